"""Helpers for tests that start and end real processes."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lime_server.infrastructure.embedded.process import Command


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Command]:
    """Makes a Command that runs a line of shell."""

    def make(script: str, *, patience: float = 30, **changes: object) -> Command:
        return Command(
            **{  # type: ignore[arg-type]  # a test names what it changes
                "name": "Engine",
                "arguments": ("/bin/sh", "-c", script),
                "cwd": tmp_path,
                "log": tmp_path / "engine.log",
                "identity": None,
                "when_orphaned": signal.SIGKILL,
                "stopping": ((signal.SIGTERM, patience),),
                **changes,
            }
        )

    return make


class Family:
    """A process, and everything that it started."""

    def __init__(self, pids: set[int]) -> None:
        self.pids = pids
        self._handles = {}
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._handles[pid] = os.pidfd_open(pid)

    def wait_until_gone(self) -> None:
        """Return when every one of them has ended; the test's own time-out is the limit."""
        for handle in self._handles.values():
            select.select([handle], [], [])
            os.close(handle)


@pytest.fixture
def family() -> Callable[..., Family]:
    """Gathers the descendants of some processes."""

    def gather(*pids: int) -> Family:
        found, parents = set(pids), _parents()
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return Family(found)

    return gather


def _parents() -> dict[int, int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may itself hold spaces and parentheses.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return parents


class Script:
    """A Python program in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, number: int) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait()


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    """Runs Python source in a process of its own, which does not outlive the test."""
    with contextlib.ExitStack() as stack:

        def run(source: str, *arguments: object, prefix: tuple[str, ...] = ()) -> Script:
            command = [*prefix, sys.executable, "-c", textwrap.dedent(source)]
            process = subprocess.Popen(
                [*command, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # Most of these are killed, or run as somebody who may not write here.
                env={key: value for key, value in os.environ.items() if "COVERAGE" not in key},
            )
            stack.callback(_finish, process)
            return Script(process)

        yield run


def _finish(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
