"""The limit of open files, as this process has it."""

import math
import sys

import pytest

from lime_server.infrastructure import descriptors

resource = pytest.importorskip("resource")


@pytest.fixture
def lowered():
    """A soft limit below the hard one, until the test ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_becomes_the_hard_one(lowered):
    descriptors.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (lowered, lowered)


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_a_system_that_refuses_is_left_as_it_is(lowered, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    descriptors.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512, lowered)


def test_what_can_be_had_is_the_hard_limit(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert descriptors.most() == 4096
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    assert descriptors.most() == math.inf


def test_where_there_is_no_such_limit_nothing_is_in_the_way(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    descriptors.raise_limit()
    assert descriptors.most() == math.inf
