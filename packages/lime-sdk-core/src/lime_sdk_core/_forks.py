"""Locks that survive a fork.

A child has all its parent's objects and only one of its threads. A lock that another one held stays
held there, and nobody is left who could release it: a server that loads its application before it
forks its workers (`gunicorn --preload`) would hang in each of them.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Protocol
from weakref import WeakSet


class Locked(Protocol):
    """What has a lock."""

    _lock: Lock


def lock_of(owner: Locked) -> Lock:
    """Return a lock for `owner._lock`, which is another one in a child: free, whoever held this.

    What it guards may be half done there: check the process first, and begin anew in another one.
    """
    _owners.add(owner)
    return Lock()


_owners: WeakSet[Locked] = WeakSet()


def _renew_all() -> None:
    for owner in list(_owners):
        owner._lock = Lock()  # noqa: SLF001 - that is what they came for


# Windows has no forks, and nothing to do: as much as making a dict.
getattr(os, "register_at_fork", dict)(after_in_child=_renew_all)
