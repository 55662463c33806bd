"""Which live PostgreSQL works in a folder.

A number in `postmaster.pid` proves nothing: after a crash it may belong to any process. So a
process counts only if it is a PostgreSQL and this very folder is where it works; nothing is ever
killed on the strength of a number in a file.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")


def live_postgres(cluster: Path, *, proc: Path = _PROC) -> list[int]:
    """The ids of all PostgreSQL processes that work in `cluster`, orphaned ones included."""
    return (
        holders_in_proc(cluster, proc)
        if proc.is_dir()
        else holders_in_list(cluster, _process_list())
    )


def holders_in_proc(cluster: Path, proc: Path) -> list[int]:
    """Linux: every PostgreSQL process has its data folder as working directory."""
    wanted = cluster.stat()
    found = []
    for process in proc.glob("[0-9]*"):
        # Processes end while we look, and those of other users keep their working directory to
        # themselves.
        with contextlib.suppress(OSError):
            is_postgres = (process / "comm").read_text().strip() in {"postgres", "postmaster"}
            if is_postgres and os.path.samestat((process / "cwd").stat(), wanted):
                found.append(int(process.name))
    return sorted(found)


def holders_in_list(cluster: Path, processes: Iterable[str]) -> list[int]:
    """Elsewhere: lines of `ps -o pid=,command=` show a server's data folder as it was told it."""
    server = re.compile(rf"\s*(\d+)\s+\S*postgres\b.*\s-D {re.escape(str(cluster))}(\s|$)")
    return [int(found[1]) for line in processes if (found := server.match(line))]


def _process_list() -> list[str]:
    command = ["ps", "-axww", "-o", "pid=,command="]
    # The command is a constant, and `ps` is wherever the system keeps it.
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return listed.stdout.splitlines()
