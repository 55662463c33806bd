"""A cable that a test can cut: a loopback TCP port that passes bytes on to an engine, until told not to.

An engine may belong to someone else (`LIME_TEST_DATABASE_URL`), so a test does not stop it; it pulls the plug instead.
"""

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

Address = str | tuple[str, int]
"""A Unix socket's path, or host and port."""


class Relay:
    """A context manager. `cut` drops every connection and refuses new ones; `mend` takes them again, on the same port."""

    def __init__(self, upstream: Address) -> None:
        self._upstream = upstream
        self._listener = _listener(0)
        self.port: int = self._listener.getsockname()[1]
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._acceptor = self._accepting(self._listener)

    def cut(self) -> None:
        """From now on nobody reaches the engine through here."""
        self._stop_listening()
        with self._lock:
            connections, self._connections = self._connections, set()
        for each in connections:
            _shut(each)

    def mend(self) -> None:
        """Let clients in again."""
        self._listener = _listener(self.port)
        self._acceptor = self._accepting(self._listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def _stop_listening(self) -> None:
        # A shut listener wakes whoever waits in accept(); closing alone would not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()

    def _accepting(self, listener: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                engine = _connected(self._upstream)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._connections |= {client, engine}
            threading.Thread(target=self._pass_on, args=(client, engine), daemon=True).start()

    def _pass_on(self, client: socket.socket, engine: socket.socket) -> None:
        others = {client: engine, engine: client}
        with selectors.DefaultSelector() as ready, suppress(OSError, ValueError):
            for each in others:
                ready.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    if not (chunk := source.recv(65536)):
                        raise OSError("closed")
                    others[source].sendall(chunk)
        with self._lock:
            self._connections -= {client, engine}
        for each in others:
            _shut(each)
            each.close()


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _connected(upstream: Address) -> socket.socket:
    if isinstance(upstream, tuple):
        return socket.create_connection(upstream)
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(upstream)
    return engine


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
