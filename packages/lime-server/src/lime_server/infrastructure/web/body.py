"""Request bodies: bounded in size and time, and unambiguous before anything reads them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lime_server.core.errors import (
    BodyTooLarge,
    DomainError,
    InvalidInput,
    RequestTooSlow,
    Unavailable,
)
from lime_server.core.origin import asking_network
from lime_server.infrastructure.web.asgi import all_headers, header, replayed

_MOST_DIGITS = 18
LARGE_AT_ONCE = 12
"""Large bodies that one process holds at once, for the sake of its memory. Documents have 14 MB
in base64: 170 MB while they come, and three or four times that if all of them were read, decoded
and stored in the same moment."""
LARGE_FROM_OWNER = 2
"""Of these, from one owner: one, and another for who tries again while the first still hangs."""
LARGE_FROM_NETWORK = 4
"""Of these, from one network: it takes six owners in three of them to keep anybody else out."""
LEAST_RATE = 64 * 1024
"""Bytes a second at which a large body may come: half of what a slow uplink (1 Mbit/s) carries."""
LONGEST = 300.0
"""Seconds that a large body may take, however large: what `LIME_BODY_TIMEOUT` can be at most."""

MOST_VALUES = 10_000
"""Values in one body of JSON: one of 64 KiB that lists ids has 1,700. It is their number that takes
time to read, and nobody else is served meanwhile: ten megabytes of documents take milliseconds, but
of small members seconds."""


@dataclass(frozen=True, slots=True)
class LargeBodies:
    """What takes more than others, and who may send it."""

    limits: Mapping[tuple[str, str], int]
    """Methods and paths, and how many bytes."""
    owner_of: Callable[[Scope], Awaitable[str]]
    """Whose request it is, told by its headers alone: nobody's is refused before its body is read.

    Raises what such a request deserves.
    """


class Bodies:
    """Pure ASGI middleware: reads the whole body before the application sees any of it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        timeout: float,
        large: LargeBodies | None = None,
    ) -> None:
        """`timeout` is in seconds, for the whole body; larger ones than `max_bytes` get more.

        `large` names the few methods and paths that take them.
        """
        self._app = app
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._large = large
        self._held: list[tuple[str, str]] = []
        """Whose large bodies there are, and from which network."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises `BodyTooLarge`, `RequestTooSlow` or `InvalidInput`; for a large body also what its
        `owner_of` raises, and `Unavailable` when there are as many as can be held.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits = {} if self._large is None else self._large.limits
        limit = limits.get((scope["method"], scope["path"]), self._max_bytes)
        length = _length(scope, limit)
        expected = limit if length is None else length
        if expected == 0:
            await self._app(scope, receive, send)
        elif self._large is None or expected <= self._max_bytes:
            await self._whole(scope, receive, send, limit, self._timeout)
        else:
            patience = patience_for(expected, self._timeout)
            # Asked before there is room: nobody takes any who has no right to it.
            with _unread():
                place = self._place_for_large(await self._large.owner_of(scope))
            self._held.append(place)
            try:
                await self._whole(scope, receive, send, limit, patience)
            finally:
                self._held.remove(place)

    def _place_for_large(self, owner: str) -> tuple[str, str]:
        """What to hold for a large body of `owner`. Raises Unavailable if there is no room."""
        network = asking_network()
        if (
            len(self._held) >= LARGE_AT_ONCE
            or [one for one, _ in self._held].count(owner) >= LARGE_FROM_OWNER
            or [where for _, where in self._held].count(network) >= LARGE_FROM_NETWORK
        ):
            raise Unavailable(retry_after=1)
        return owner, network

    async def _whole(
        self, scope: Scope, receive: Receive, send: Send, limit: int, patience: float
    ) -> None:
        # 1. All of it, or nothing.
        try:
            async with asyncio.timeout(patience):
                body = await _read(receive, limit)
        except TimeoutError:
            raise RequestTooSlow from None
        if body is None:
            return  # The client left; there is nobody to answer.
        # 2. What two readers could read in two ways is refused.
        if _is_json(scope):
            if _values_at_most(body) > MOST_VALUES:
                raise InvalidInput("The body has too many values.")
            check_json(body)
        # 3. Hand it on in one piece; afterwards the client's leaving can be heard as before.
        whole = {"type": "http.request", "body": body, "more_body": False}
        await self._app(scope, replayed(whole, receive), send)


def patience_for(size: int, timeout: float) -> float:
    """Seconds that a large body of `size` bytes may take where a small one has `timeout`."""
    return min(timeout + size / LEAST_RATE, LONGEST)


@contextmanager
def _unread() -> Iterator[None]:
    """Let what is refused within the block end its connection: its body is still on its way."""
    try:
        yield
    except DomainError as error:
        error.unread = True
        raise


def _length(scope: Scope, limit: int) -> int | None:
    """The bytes that are announced, 0 for no body; None if they will be counted as they come."""
    lengths = all_headers(scope, b"content-length")
    chunked = all_headers(scope, b"transfer-encoding")
    if (lengths and chunked) or len(set(lengths)) > 1:
        # Two readers of one connection could disagree where the next request begins
        # (RFC 9112, section 6.3).
        raise InvalidInput("The length of the body is ambiguous.")
    if not lengths:
        return None if chunked else 0
    if not lengths[0].isascii() or not lengths[0].isdigit():
        raise InvalidInput("Content-Length is not a number.")
    # Digits are counted first: to convert a number of thousands of them takes its time.
    if len(lengths[0]) > _MOST_DIGITS or int(lengths[0]) > limit:
        raise BodyTooLarge
    return int(lengths[0])


async def _read(receive: Receive, limit: int) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _is_json(scope: Scope) -> bool:
    kind = (header(scope, b"content-type") or "").split(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _values_at_most(body: bytes) -> int:
    """The values in `body` or more, counted without reading it: marks in strings count too."""
    return 1 + body.count(b",") + body.count(b"[") + body.count(b"{")


def check_json(body: bytes) -> None:
    """Return if `body` is empty or JSON that everyone reads alike; raises `InvalidInput` otherwise.

    Refused beyond the grammar: invalid UTF-8, a byte order mark, duplicate member names
    (RFC 8259, section 4), `NaN` and `Infinity`, and nesting deeper than the interpreter's stack.
    """
    if not body:
        return
    try:
        _DECODER.decode(body.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidInput("The body is not valid JSON.") from None


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("duplicate member")


def _no_constant(_name: str) -> None:
    raise ValueError("not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)
