"""Bytes to a server and back, as no client library would send them."""

import select
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.support.server import ServeServer

PATIENCE = 30.0
"""Seconds for which a test waits for the server's next word. Never reached when all is well."""


def connect(server: ServeServer) -> socket.socket:
    """A connection on which nothing was said yet."""
    port = int(server.public_url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def head(line: str, *headers: str) -> bytes:
    """A request line and headers, with a host and without a body."""
    return "\r\n".join([line, "Host: lime", *headers, "", ""]).encode("latin-1")


def say(server: ServeServer, *parts: bytes) -> bytes:
    """Send `parts`, and read until the server closes."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        return until_closed(connection)


def until_closed(connection: socket.socket) -> bytes:
    """Everything that comes before the server closes, in whatever way.

    Raises:
        TimeoutError: if it neither closes nor says anything within `PATIENCE`.
    """
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
    except ConnectionError:
        # What we had sent and the server had not read is answered with a reset by its kernel.
        pass
    return answer


def pour(connection: socket.socket, parts: Iterable[bytes]) -> tuple[int, bytes]:
    """Send `parts` until the server has had enough: the bytes sent, and all that it said."""
    sent = 0
    try:
        for part in parts:
            connection.sendall(part)
            sent += len(part)
            if select.select([connection], [], [], 0)[0]:
                break
    except ConnectionError:
        pass
    return sent, until_closed(connection)


def drip(connection: socket.socket, parts: Iterable[bytes]) -> bytes | None:
    """Send one of `parts` now and then until the server has had enough: all that it said.

    None if it has still not when there are no more.
    """
    try:
        for part in parts:
            connection.sendall(part)
            if select.select([connection], [], [], 0.05)[0]:
                return until_closed(connection)
    except ConnectionError:
        return b""
    return None


def statuses(answer: bytes) -> Sequence[int]:
    """The status of every response in `answer`."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def most_memory(server: ServeServer) -> int:
    """The most bytes that the server has had in memory so far (Linux)."""
    told = Path(f"/proc/{server.pid}/status").read_text()
    (line,) = [line for line in told.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
