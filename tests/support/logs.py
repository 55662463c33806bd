"""Logging that is the whole process's, lent to one test."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def lent_logging() -> Iterator[None]:
    """Whatever is configured within, logging is then as it was, for the tests that follow."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        yield
    finally:
        root.handlers = handlers
        # Not the attribute: every logger remembers what it was told of levels.
        root.setLevel(level)
        structlog.reset_defaults()
