"""Several processes behind one socket, and the one that made them and looks after them.

Python runs on one core at a time, so a machine with more of them wants more processes. They share
the listening socket: whoever has time accepts. Nothing else is shared; they are to each other what
servers on other machines are.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import getLogger
from typing import NoReturn

log = getLogger(__name__)

AGAIN_AFTER = 1.0
"""Seconds until a worker that died is replaced; twice as many for each in a row that died before it
was ready: what keeps one from starting, a migrated database say, must not keep a core busy."""
AGAIN_AT_MOST = 60.0
"""Seconds: the longest such pause."""
MOST = 256
"""Workers: more than any machine has cores that Python could use."""
FIGURES = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers' metrics meet; prometheus-client's own variable."""

_ENDINGS = {signal.SIGTERM, signal.SIGINT}
_HEARD = {*_ENDINGS, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM}
_READY = b"."


@dataclass(slots=True)
class _Worker:
    pid: int
    ready: int
    """The reading end of a pipe into which the worker writes when it is ready."""
    was_ready: bool = False


@dataclass(slots=True)
class Workers:
    """Processes that do the same work until they are told to end."""

    count: int
    work: Callable[[Callable[[], None]], int]
    """Does it, and returns an exit status; calls what it is given when it is ready. It must end in
    an orderly way on SIGTERM."""
    on_ending: Callable[[], None] = lambda: None
    """Called once it is to end, when the workers were told."""
    on_gone: Callable[[int], None] = lambda _pid: None
    """Told the pid of every worker that has ended."""
    _alive: dict[int, _Worker] = field(default_factory=dict)
    _seen_ready: bool = False
    _ending: bool = False
    _stillborn: int = 0
    """Workers in a row that died before they were ready."""
    _status: int = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT arrives and every worker has ended; the exit status.

        A worker that dies is replaced. One that fails before any was ever ready ends all: what it
        failed of would fail every other. A second signal is passed on, too. SIGHUP is not obeyed:
        it would end what a terminal started, and nothing else wants it.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        # The workers notice the end of this process, however it comes, by the end of this pipe.
        life, alive = os.pipe()
        try:
            for _ in range(self.count):
                self._start(life, alive, before)
            while self._alive or not self._ending:
                self._hear(signal.sigwait(_HEARD), life, alive, before)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(life)
            os.close(alive)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self._status

    def _hear(self, number: int, life: int, alive: int, mask: "set[int | signal.Signals]") -> None:
        if number in _ENDINGS:
            self._end()
        elif number == signal.SIGALRM and not self._ending:
            try:
                for _ in range(self.count - len(self._alive)):
                    self._start(life, alive, mask)
            except OSError as error:
                # No processes, memory or descriptors to be had. The others need not end for that.
                log.error("a worker cannot be replaced yet: %s", error.strerror)
                signal.setitimer(signal.ITIMER_REAL, self._pause())
        elif number == signal.SIGCHLD:
            self._bury()

    def _start(self, life: int, alive: int, mask: "set[int | signal.Signals]") -> None:
        ready, tell = os.pipe()
        os.set_blocking(ready, False)
        try:
            pid = os.fork() or self._be_one(tell, life, alive, mask)
        except OSError:
            os.close(ready)
            raise
        finally:
            os.close(tell)
        self._alive[pid] = _Worker(pid, ready)

    def _be_one(
        self, tell: int, life: int, alive: int, mask: "set[int | signal.Signals]"
    ) -> NoReturn:
        """What a worker does, which has just come to be."""
        os.close(alive)
        # Out of the terminal's reach: what it sends to all would come twice, and twice means hurry.
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        threading.Thread(target=_end_with, args=(life,), daemon=True).start()
        status = 1
        try:
            status = self.work(lambda: _say_ready(tell))
        except BaseException:
            log.exception("a worker failed")
        finally:
            # Not by returning: everything above belongs to the process that this one came from.
            os._exit(status)

    def _end(self) -> None:
        # Whatever this process was told: one that is only just starting ends by this one at once.
        for pid in self._alive:
            os.kill(pid, signal.SIGTERM)
        if not self._ending:
            self._ending = True
            self.on_ending()

    def _bury(self) -> None:
        # One signal may stand for several.
        for worker in list(self._alive.values()):
            self._seen_ready |= worker.was_ready or _was_ready(worker)
        for pid, status in _ended():
            if pid not in self._alive:
                continue
            gone = self._alive.pop(pid)
            os.close(gone.ready)
            self._stillborn = 0 if gone.was_ready else self._stillborn + 1
            self.on_gone(pid)
            code = os.waitstatus_to_exitcode(status)
            if self._ending:
                # One that was only just starting ends by the signal itself.
                self._status = self._status or (0 if code == -signal.SIGTERM else abs(code))
            elif not self._seen_ready:
                self._status = max(code, 1)
                self._end()
            else:
                pause = self._pause()
                log.error("worker %s died with %s and will be replaced in %g s", pid, code, pause)
                signal.setitimer(signal.ITIMER_REAL, pause)

    def _pause(self) -> float:
        return min(AGAIN_AFTER * 2.0 ** min(self._stillborn, 16), AGAIN_AT_MOST)


def can_fork() -> bool:
    """Whether this system can make workers."""
    return hasattr(os, "fork")


def _ended() -> Iterator[tuple[int, int]]:
    """Processes of ours that have ended, with their status."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _was_ready(worker: _Worker) -> bool:
    try:
        worker.was_ready = os.read(worker.ready, 1) == _READY
    except BlockingIOError:
        worker.was_ready = False
    return worker.was_ready


def _say_ready(tell: int) -> None:
    os.write(tell, _READY)
    os.close(tell)


def _end_with(life: int) -> None:
    """End this process in an orderly way when the other end of `life` is gone."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def shared_figures() -> Iterator[None]:
    """Let the workers count together: whichever is asked tells the figures of all.

    To be entered before anything imports prometheus-client, which decides then how it counts.
    """
    with tempfile.TemporaryDirectory(prefix="lime-metrics-") as folder:
        os.environ[FIGURES] = folder
        try:
            yield
        finally:
            del os.environ[FIGURES]
