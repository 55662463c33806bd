"""Everything that the rig runs beside engines, as processes that can be killed: servers, sites' workers, agents."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tests.support.commands import clean_environment, server_script
from tests.support.server import PortReservation

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
REST = 0.3
"""Seconds for which whoever has died stays dead, at least: a supervisor takes as long."""
STOP_PATIENCE = 30.0


class Program:
    """A process that is started again whenever `supervise` finds it dead."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing runs yet."""
        self.name = name
        self.log = folder / f"{name}.log"
        self.environment = dict(environment)
        self.lives = 0
        self.wanted = True
        """Whether it is to be started when it is dead."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._died_at = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def supervise(self) -> None:
        """Start it if it is dead, wanted, and has been dead for a moment."""
        if self.is_alive or not self.wanted:
            return
        now = time.monotonic()
        if self._process is not None:
            self._gone(self._process)
        if now - self._died_at >= REST:
            self.start()

    def start(self) -> None:
        """Begin another life."""
        self.lives += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dies_with_us(), *self._command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self._speaks else log,
                stderr=log,
                env=clean_environment(self.environment),
                cwd=self._folder,
                start_new_session=True,
            )
        self._born()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, and wait until it is gone; its exit status."""
        return self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: it stays, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    _speaks = False

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _born(self) -> None:
        """A subclass begins to listen to it."""

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        try:
            status = process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{self.name} did not end. {self.last_words()}") from None
        self._gone(process)
        return status

    def _gone(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._process, self._died_at = None, time.monotonic()

    def last_words(self) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


class Server(Program):
    """`lime-server serve`, always on the same port."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing runs yet, and the port is ours."""
        self._reserved = PortReservation()
        self.port = self._reserved.port
        self.descriptors: int | None = None
        """Most open files, as `ulimit -n` would say."""
        own = {"LIME_HOST": "127.0.0.1", "LIME_PORT": str(self.port)}
        super().__init__(name, folder, {**environment, **own})

    def _command(self) -> Sequence[str]:
        limit = f"ulimit -n {self.descriptors}; " if self.descriptors else ""
        return ["sh", "-c", f'{limit}exec "$0" serve', str(server_script())]

    @property
    def is_ready(self) -> bool:
        """Whether it says so."""
        try:
            answer = httpx.get(
                f"http://127.0.0.1:{self.port}/health/ready", timeout=2, trust_env=False
            )
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def resident_bytes(self) -> int:
        """How much memory it has."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def release(self) -> None:
        """Give the port back."""
        self._reserved.release()


class Worker(Program):
    """A Python program of the rig with a ledger of its own for each life."""

    _speaks = True

    def __init__(
        self,
        name: str,
        program: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        ledgers: Path,
        environment: Mapping[str, str],
        heard: Callable[[str], None] | None = None,
    ) -> None:
        """`arguments` follow the ledger's path; `heard` is called with every line of output."""
        super().__init__(name, folder, {**environment, "PYTHONPATH": str(ROOT)})
        self._program = program
        self._arguments = list(arguments)
        self._ledgers = ledgers
        self._heard = heard

    @property
    def life(self) -> str:
        """The name of its present life, and of that one's ledger."""
        return f"{self.name}-{self.lives:04}"

    def say(self, line: str) -> bool:
        """Give it an order; False if nobody was there to take it."""
        process = self._process
        if process is None or process.stdin is None or process.poll() is not None:
            return False
        try:
            os.write(process.stdin.fileno(), line.encode() + b"\n")
        except (OSError, ValueError):
            # Dead, closed, or so stuck that the pipe is full: whoever has no ears gets no orders.
            return False
        return True

    def _command(self) -> Sequence[str]:
        ledger = self._ledgers / f"{self.life}.jsonl"
        return [sys.executable, str(PROGRAMS / self._program), str(ledger), *self._arguments]

    def _born(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if self._heard is not None:
                    self._heard(line.decode().strip())


def _dies_with_us() -> list[str]:
    """A prefix that ends the process when the rig is killed and cannot say goodbye."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
