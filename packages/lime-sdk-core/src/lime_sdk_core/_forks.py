"""Locks that survive a fork.

A child has all its parent's objects and only one of its threads. A lock that another one held stays
held there, and nobody is left who could release it: a server that loads its application before it
forks its workers (`gunicorn --preload`) would hang in each of them.
"""

from __future__ import annotations

import os
from threading import Lock
from types import TracebackType
from weakref import WeakSet


class ForkLock:
    """A lock that is free in a child, whoever held it in the parent.

    What it guards may be half done there: check the process first, and begin anew in another one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        _known.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = Lock()


_known: WeakSet[ForkLock] = WeakSet()


def _renew_all() -> None:
    for lock in list(_known):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
