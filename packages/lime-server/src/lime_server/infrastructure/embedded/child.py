"""Become an engine that cannot outlive the process that asked for it.

`process.spawn` runs this file with a bare interpreter between fork and engine. It would be shorter
as a `preexec_fn`, but that runs Python in a forked copy of a process that may have threads, which
can deadlock. Only the standard library is imported, and all of it before privileges are dropped:
afterwards the interpreter's own files may be out of reach.

On Linux the kernel ends the engine when its parent dies (`PR_SET_PDEATHSIG`), and this process
*becomes* the engine. Elsewhere it stays beside the engine as its guard: it holds the reading end
of a pipe whose other end only the parent has, and the end of that pipe is the end of the parent.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1

_STANDARD_INPUT = 0
# Where the engine finds the folder it was given open; no program expects anything at this number.
FOLDER_DESCRIPTOR = 100
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def _prctl(option: int, value: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(option, value, 0, 0, 0))


@dataclass(frozen=True)
class Kernel:
    """The system calls that this file makes, so that tests can watch them."""

    setgroups: Callable[[Sequence[int]], None] = os.setgroups
    setgid: Callable[[int], None] = os.setgid
    setuid: Callable[[int], None] = os.setuid
    prctl: Callable[[int, int], int] = _prctl
    getppid: Callable[[], int] = os.getppid
    execv: Callable[[str, list[str]], object] = os.execv


def main(arguments: list[str], kernel: Kernel | None = None) -> int:
    """Run the engine that `arguments` name. Returns an exit code; on Linux only of a failure."""
    kernel = kernel or Kernel()
    asked = _parse(arguments)
    # 1. Open what the engine's account may be unable to reach.
    if asked.folder is not None:
        _keep_open(asked.folder)
    # 2. Leave root behind, groups first: without root they could not be left any more.
    if asked.uid is not None:
        kernel.setgroups([])
        kernel.setgid(asked.gid)
        kernel.setuid(asked.uid)
    if asked.guard:
        return guard(asked.command, asked.signal, parent=_STANDARD_INPUT)
    # 3. Ask for the signal only now: the kernel forgets the wish when credentials change.
    if kernel.prctl(_PR_SET_PDEATHSIG, asked.signal) != 0:
        return _give_up("the kernel refuses PR_SET_PDEATHSIG")
    # 4. A parent that died before step 3 sends no signal, but leaves another parent behind.
    if kernel.getppid() != asked.parent:
        return _give_up("the parent process is gone")
    # 5. Become the engine.
    kernel.execv(asked.command[0], asked.command)
    return _give_up("exec returned")


WATCHER = "parent-watcher"
"""Name of the thread that waits for the parent's end."""


def guard(command: list[str], last_signal: int, *, parent: int) -> int:
    """Run `command` and return its exit code.

    Signals are passed on to it, and it gets `last_signal` once the file descriptor
    `parent` reaches its end. A thread named `WATCHER` reads it until then, also after the engine
    has ended: keep it open as long.
    """
    early: list[int] = []
    engine: subprocess.Popen[bytes] | None = None

    def forward(number: int, _frame: FrameType | None) -> None:
        if engine is None:
            early.append(number)
        else:
            engine.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        engine = subprocess.Popen(  # noqa: S603  # it comes from process.spawn
            command, stdin=subprocess.DEVNULL, close_fds=False
        )
        for number in early:
            engine.send_signal(number)
        threading.Thread(
            name=WATCHER, target=_at_end_of, args=(parent, engine, last_signal), daemon=True
        ).start()
        return engine.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_end_of(parent: int, engine: subprocess.Popen[bytes], last_signal: int) -> None:
    # Read from the descriptor: a thread inside a buffered reader would abort our own exit.
    while os.read(parent, 1):
        pass
    engine.send_signal(last_signal)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="child")
    parser.add_argument(
        "--parent", type=int, required=True, help="process id that must be our parent"
    )
    parser.add_argument(
        "--signal", type=int, required=True, help="what the engine gets when the parent is gone"
    )
    parser.add_argument("--folder", help="to be open for the engine, at FOLDER_DESCRIPTOR")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument(
        "--guard", action="store_true", help="stay beside the engine, watching standard input"
    )
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _keep_open(folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(opened, FOLDER_DESCRIPTOR)
    os.close(opened)


def _give_up(why: str) -> int:
    sys.stderr.write(f"lime-server: engine not started: {why}\n")
    return 1


if (
    __name__ == "__main__"
):  # pragma: no cover  # becomes another program before coverage could be written
    sys.exit(main(sys.argv[1:]))
