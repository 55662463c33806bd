"""Processes and all that they started, for tests about what is left behind (Linux)."""

import contextlib
import os
import select
from pathlib import Path


class Family:
    """A process, and everything that it started."""

    def __init__(self, *pids: int) -> None:
        """Gather them as they are now; those that they start later are not noticed."""
        self.pids = _descendants(set(pids))
        self._handles: dict[int, int] = {}
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                self._handles[pid] = os.pidfd_open(pid)

    def wait_until_gone(self) -> None:
        """Return when every one of them has ended; the test's own time-out is the limit."""
        for handle in self._handles.values():
            select.select([handle], [], [])
            os.close(handle)


def _descendants(pids: set[int]) -> set[int]:
    found, parents = set(pids), _parents()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _parents() -> dict[int, int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may itself hold spaces and parentheses.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return parents
