"""Engines for more than one machine, before, behind and beside real servers."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tools.debian_engines import NotHereError, find_or_install, find_or_install_pgbouncer

T = TypeVar("T")


@pytest.fixture(scope="session")
def pgbouncer_program() -> Path:
    """Debian's PgBouncer."""
    return _here(find_or_install_pgbouncer)


@pytest.fixture(scope="session")
def redis_program() -> Path:
    """Debian's Redis, which is a Sentinel and a cluster's node as well."""
    return _here(find_or_install)[1]


def _here(find: Callable[[], T]) -> T:
    try:
        return find()
    except NotHereError as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))
