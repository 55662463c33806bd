"""HTTP/1.1 as uvicorn and httptools speak it, with the limits that they lack.

By themselves they take headers of any size and wait for them for ever.
"""

import asyncio
import secrets
from typing import Any, Protocol, cast

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.web.asgi import FULL, WATCHED, answer_error, envelope

_FRAMING = 4
"""Bytes of a header line besides name and value: colon, space, CR, LF."""
SAID_EVERY = 10.0
"""Seconds between two lines of the log that say that there are too many connections: whoever makes
them must not fill the log as well."""

log = structlog.get_logger(__name__)


class ConnectionTally(Protocol):
    """Counts connections."""

    def connections_allowed(self, most: int) -> None:
        """There may be so many."""
        ...

    def connection_opened(self) -> None:
        """One more is open."""
        ...

    def connection_closed(self) -> None:
        """One less is open."""
        ...

    def connection_refused(self) -> None:
        """A request was refused because there were too many."""
        ...


class HeadersTooLargeError(Exception):
    """Raised inside the parser's callbacks to stop it."""


class UnknownCodingError(Exception):
    """The same, for a body of which nobody could tell where it ends."""


def guarded(
    *, max_header_bytes: int, header_timeout: float, max_connections: int, tally: ConnectionTally
) -> type[HttpToolsProtocol]:
    """A protocol class with these limits, as uvicorn wants it.

    `header_timeout` is in seconds, from the connection or the end of the last request to the end of
    the headers; idle connections that had a request are closed by uvicorn's keep-alive limit.

    While there are more than `max_connections`, each request is the last one of its connection, and
    only those who watch over the server are answered by the application (`WATCHED`): otherwise a
    server that is merely full would be taken for dead, and its streams would fill the next one.
    """
    tally.connections_allowed(max_connections)

    class Guarded(_Guarded):
        max_size = max_header_bytes
        patience = header_timeout
        most_connections = max_connections
        door = _Door(max_connections, tally)

    return Guarded


class _Guarded(HttpToolsProtocol):
    max_size: int
    patience: float
    most_connections: int
    door: "_Door"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._between = True
        # What the parser has told us of these headers, and what it may still hold back: it tells a
        # header when it is complete, so one endless header would never be counted.
        self._told = 0
        self._fed = 0

    # The connection

    def connection_made(  # type: ignore[override] # as uvicorn narrows it itself
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self.door.tally.connection_opened()
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.door.tally.connection_closed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # Refused before; what still arrives is not read.
        # A chunk that also holds the end of a body is not counted: the parser does not say where
        # that ended. The next one is.
        self._fed = self._fed + len(data) if self._in_headers or self._between else 0
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers and self._fed > self.max_size:
            self._refuse(431, "HEADERS_TOO_LARGE", "The request's headers are too large.")
        elif not self._is_answering:
            # Also for bytes that begin nothing, such as empty lines before a request, and for
            # the rest of a body whose request was answered early.
            self._expect_headers()

    # One request

    def on_message_begin(self) -> None:
        self._in_headers = True
        self._between = False
        self._told = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _FRAMING)
        # The parser takes a coding that it does not know for a body that goes on until the
        # connection ends, which no request has (RFC 9112, section 6.3).
        if name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise UnknownCodingError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._fed = 0
        self._stop_waiting()
        # For streams whose reader does not read: closing would wait until it does.
        self.scope["extensions"] = {"lime.abort": {"call": self.transport.abort}}
        if len(self.connections) > self.most_connections:
            app, self.app = self.app, self.door.before(self.app)
            super().on_headers_complete()
            self.app = app
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_headers and not self.transport.is_closing():
            # The next request began while this one was being answered.
            self._expect_headers()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for whatever the parser or its callbacks refuse."""
        if self._told > self.max_size:
            self._refuse(431, "HEADERS_TOO_LARGE", "The request's headers are too large.")
        else:
            self._refuse(400, "INVALID_REQUEST", msg)

    def _count(self, size: int) -> None:
        self._told += size
        if self._told > self.max_size:
            raise HeadersTooLargeError

    # Giving up

    def _expect_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self._too_late)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._in_headers:
            self._refuse(408, "REQUEST_TIMEOUT", "The request did not arrive in time.")
        else:
            # Nothing was asked, so there is nothing to answer.
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer without the application, and close."""
        if self._is_answering:
            # To an earlier request on this connection: the two answers must not be mixed.
            self.transport.close()
            return
        body = envelope(code, message)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", secrets.token_hex(16).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()


class _Door:
    """What stands before the application while there are too many connections."""

    def __init__(self, most: int, tally: ConnectionTally) -> None:
        self.tally = tally
        self._most = most
        self._refused = 0
        self._said_at: float | None = None

    def before(self, app: ASGIApp) -> ASGIApp:
        """`app` for those who watch over it, and a refusal for everybody else."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if _watches(scope):
                scope["extensions"][FULL] = {}
                await app(scope, receive, _the_last(send))
            else:
                self._note(asyncio.get_running_loop().time())
                request_id = (b"x-request-id", secrets.token_hex(16).encode())
                error = Unavailable("Too many connections.", retry_after=1)
                await answer_error(_the_last(send, request_id), error)

        return answer

    def _note(self, now: float) -> None:
        self.tally.connection_refused()
        self._refused += 1
        if self._said_at is None or now - self._said_at >= SAID_EVERY:
            log.warning("too many connections", refused=self._refused, allowed=self._most)
            self._refused, self._said_at = 0, now


def _watches(scope: Scope) -> bool:
    """Whether this asks how the server is, and nothing else.

    A body would have to be awaited, and with it the end of a connection that is too many.
    """
    body = any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in scope["headers"]
    )
    return (scope["method"], scope["path"]) in WATCHED and not body


def _the_last(send: Send, *headers: tuple[bytes, bytes]) -> Send:
    """A `send` that adds `headers`, and after whose answer the connection is closed."""

    async def dressed(message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers, (b"connection", b"close")]
        await send(message)

    return dressed
