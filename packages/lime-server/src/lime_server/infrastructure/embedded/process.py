"""One engine process: start it so that it cannot outlive us, notice its end, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lime_server.infrastructure.embedded.errors import StartFailedError
from lime_server.infrastructure.embedded.identity import Identity

# Seconds. A cold start takes half a second on an idle machine; crash recovery on a busy one may
# take many.
START_TIMEOUT = 60.0
# Seconds between two looks at an engine that is starting or stopping.
_LOOK = 0.005
# Seconds a guard gets to end its engine for good.
_GUARD_PATIENCE = 5.0
_CHILD = Path(__file__).with_name("child.py")
_LOG_LINES = 12


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how it is told to go."""

    name: str
    """For messages: "PostgreSQL"."""
    arguments: tuple[str, ...]
    cwd: Path
    log: Path
    """Receives standard output and standard error; emptied first."""
    identity: Identity | None
    """The account to run as; None for our own."""
    folder: Path | None
    """Handed over open, at `child.FOLDER_DESCRIPTOR`: for a folder that it cannot walk to."""
    when_orphaned: signal.Signals
    """Sent by the kernel, or by the guard, when we are gone."""
    stopping: tuple[tuple[signal.Signals, float], ...]
    """Signals to stop it with, each with the seconds it is given; SIGKILL follows by itself."""


class Process:
    """A running engine."""

    def __init__(self, command: Command, popen: subprocess.Popen[bytes]) -> None:
        self.command = command
        self._popen = popen

    @property
    def pid(self) -> int:
        """The engine's process id, or its guard's where the kernel cannot guard it."""
        return self._popen.pid

    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal), or None while it runs."""
        return self._popen.poll()

    def stop(self) -> None:
        """End it, gently first, and wait until it is gone. Stopping it again does nothing."""
        for number, patience in self.command.stopping:
            self._popen.send_signal(number)
            if self._ended(patience):
                break
        else:
            self._end_now()
        if self._popen.stdin:
            self._popen.stdin.close()

    def _end_now(self) -> None:
        if self._popen.stdin:
            # A guard must not be killed before it has ended what it guards.
            self._popen.stdin.close()
            if self._ended(_GUARD_PATIENCE):
                return
        self._popen.kill()
        self._popen.wait()

    def _ended(self, patience: float) -> bool:
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_until(self, ready: Callable[[], bool], *, timeout: float = START_TIMEOUT) -> None:
        """Look at `ready` until it holds.

        Raises:
            StartFailedError: it ended, or `timeout` seconds went by. It is not stopped here.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if self.exit_code() is not None:
                raise StartFailedError(self.obituary())
            if time.monotonic() > deadline:
                raise StartFailedError(
                    f"{self.command.name} was not ready after {timeout:g} seconds."
                    f"{self._last_words()}"
                )
            time.sleep(_LOOK)

    def finish(self, *, timeout: float = START_TIMEOUT) -> None:
        """Wait for a program that is meant to end by itself, such as initdb.

        Raises:
            StartFailedError: it failed, or took more than `timeout` seconds and was stopped.
        """
        try:
            self._ended(timeout)
        finally:
            self.stop()
        if self._popen.returncode != 0:
            raise StartFailedError(self.obituary())

    def obituary(self) -> str:
        """A sentence about how it ended, with the end of its log."""
        code = self._popen.returncode
        how = (
            f"was ended by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )
        return f"{self.command.name} {how}.{self._last_words()}"

    def _last_words(self) -> str:
        lines = self.command.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join([f" The end of {self.command.log}:", *lines]) if lines else ""


def spawn(command: Command, *, guarded: bool = sys.platform != "linux") -> Process:
    """Start `command` under `child.py`, in a session of its own: Ctrl-C is for us alone.

    On Linux the caller must be the main thread: the kernel considers a child orphaned when the
    *thread* that made it ends.

    Raises:
        RuntimeError: called from another thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "engines must be started by the main thread: they end with the thread that started them"
        )
    with command.log.open("wb") as log:
        return Process(
            command,
            subprocess.Popen(  # noqa: S603  # our own file, run by our own interpreter
                [
                    *_bare_interpreter(),
                    *_child_options(command, guarded=guarded),
                    "--",
                    *command.arguments,
                ],
                cwd=command.cwd,
                # Nothing of ours: a setting such as PGDATA must not reach them, and a secret such
                # as the master key even less.
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.PIPE if guarded else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ),
        )


def _bare_interpreter() -> Sequence[str]:
    # -I and -S: no user or site packages, which would cost more time than the rest of the start.
    return (sys.executable, "-I", "-S", str(_CHILD))


def _child_options(command: Command, *, guarded: bool) -> list[str]:
    options = ["--parent", str(os.getpid()), "--signal", str(int(command.when_orphaned))]
    if command.identity is not None:
        options += ["--uid", str(command.identity.uid), "--gid", str(command.identity.gid)]
    if command.folder is not None:
        options += ["--folder", str(command.folder)]
    return [*options, "--guard"] if guarded else options
