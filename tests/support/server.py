"""Real `lime-server` processes for tests: started, watched, stopped, and nothing left behind.

Used by the contract suite, the wild clients and the login benchmark. Nothing of the server is imported here: it is run as a
user would run it, by its console script.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.commands import ServerFailedError, clean_environment, server_script

START_DEADLINE = 60.0
"""Seconds in which a server must become ready: generous, because a loaded machine may also be compiling."""

STOP_DEADLINE = 20.0
"""Seconds in which a server must end after SIGTERM. A promise about speed is asserted by its own test, not here."""

_POLL = 0.02


class PortReservation:
    """A loopback port that stays ours across restarts of the server that uses it.

    The socket is bound and never listens. Linux and macOS let a second socket with `SO_REUSEADDR` bind and listen on the same
    port, and never hand a bound port to anyone who asks for an ephemeral one.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back."""
        self._socket.close()


class LimeServer:
    """One `lime-server` process on loopback. A context manager: entering starts it, leaving stops it.

    `api_base` is set once it is ready. `start` may be called again after `stop` or `kill`: same port, same data.
    """

    running: list["LimeServer"] = []  # noqa: RUF012  # shared on purpose: a failing test prints the log of each of them
    ended: list["LimeServer"] = []  # noqa: RUF012  # the same for those that ended during the test

    def __init__(
        self, name: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.api_base = ""
        self._arguments = list(arguments)
        self._folder = folder
        self._environment = clean_environment(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def public_url(self) -> str:
        """Where it is reached, without the API's path."""
        return self.api_base.removesuffix("/api/v1")

    def start(self) -> Self:
        """Start it and return when it is ready.

        Raises:
            ServerFailedError: if it ends or is not ready within `START_DEADLINE`.
        """
        self._before_start()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dies_with_us(), str(server_script()), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        self.running.append(self)
        try:
            self._wait(self._ready, START_DEADLINE, "not ready")
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> int:
        """SIGTERM, and wait for its end.

        Returns:
            the exit status.

        Raises:
            ServerFailedError: if it is still there after `STOP_DEADLINE`; it is killed then.
        """
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return self.wait()

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        self._running().send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for the end of a server that was told to end; its exit status."""
        process = self._running()
        try:
            status = process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailedError(self._report("did not stop")) from None
        self._gone()
        return status

    def kill(self) -> None:
        """SIGKILL to the process alone, as an out-of-memory killer would do it, and wait for its end."""
        process = self._running()
        process.kill()
        process.wait()
        self._gone()

    def tail(self, lines: int = 60) -> str:
        """The last lines of what it wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()

    def _before_start(self) -> None:
        """A subclass removes what a former start left."""

    def _ready(self) -> bool:
        raise NotImplementedError

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailedError(self._report("is not running"))
        return self._process

    def _gone(self) -> None:
        # Whoever it started and did not take along ends here: they share its process group.
        process = self._running()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._process = None
        self.running.remove(self)
        self.ended.append(self)

    def _wait(self, happened: Callable[[], bool], deadline: float, complaint: str) -> None:
        end = time.monotonic() + deadline
        while not happened():
            if self._running().poll() is not None:
                raise ServerFailedError(
                    self._report(f"ended with status {self._running().returncode}")
                )
            if time.monotonic() > end:
                raise ServerFailedError(self._report(f"{complaint} after {deadline:.0f} s"))
            time.sleep(_POLL)

    def _report(self, what: str) -> str:
        return f"lime-server {self.name} {what}. Its last words:\n{self.tail()}"


class DevServer(LimeServer):
    """`lime-server dev`: its own engines in one folder. Its ready file is read into `ready`."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "dev",
        host: str = "127.0.0.1",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.ready: dict[str, Any] = {}
        self.ready_file = folder / f"{name}.ready.json"
        self.data = folder / name
        arguments = [
            "dev",
            "--data",
            str(self.data),
            "--host",
            host,
            "--port",
            "0",
            "--ready-file",
            str(self.ready_file),
        ]
        super().__init__(name, arguments, folder=folder, environment=environment or {})

    def keep_port(self) -> None:
        """Use the present port again at the next start, so that a client can find its way back."""
        port = self.public_url.rpartition(":")[2]
        self._arguments[self._arguments.index("--port") + 1] = port

    def _before_start(self) -> None:
        self.ready_file.unlink(missing_ok=True)

    def _ready(self) -> bool:
        if not self.ready_file.exists():
            return False
        self.ready = json.loads(self.ready_file.read_text())
        self.api_base = self.ready["api_base"]
        return True


class ServeServer(LimeServer):
    """`lime-server serve` on a given database and Redis, on a port that it keeps across restarts."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        settings: Mapping[str, str],
        public_url: str | None = None,
        port: PortReservation | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._port = port or PortReservation()
        base = f"http://127.0.0.1:{self._port.port}"
        environment = {
            "LIME_PUBLIC_URL": public_url or base,
            "LIME_HOST": "127.0.0.1",
            "LIME_PORT": str(self._port.port),
            **settings,
        }
        super().__init__(name, ["serve", *arguments], folder=folder, environment=environment)
        self.api_base = f"{base}/api/v1"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._port.release()

    def _ready(self) -> bool:
        try:
            return (
                httpx.get(f"{self.public_url}/health/ready", timeout=5, trust_env=False).status_code
                == 200
            )
        except httpx.TransportError:
            return False


def _dies_with_us() -> list[str]:
    """A prefix that ends the server when this process is killed and cannot say goodbye (Linux with util-linux)."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
