"""Helpers for tests that start and end real processes."""

import contextlib
import os
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
                "folder": None,
                "when_orphaned": signal.SIGKILL,
                "stopping": ((signal.SIGTERM, patience),),
                **changes,
            }
        )

    return make


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
