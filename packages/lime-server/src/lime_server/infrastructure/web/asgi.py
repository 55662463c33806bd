"""Small helpers for pure ASGI: reading headers, answering without a framework."""

import json
from collections.abc import Iterable, Mapping

from starlette.types import Message, Receive, Scope, Send

from lime_server.core.errors import DomainError

Headers = list[tuple[bytes, bytes]]

WATCHED = frozenset(
    (method, path)
    for method in ("GET", "HEAD")
    for path in ("/health/live", "/health/ready", "/metrics")
)
"""Asked by machines that watch us, at their own pace, and answered also while others are refused.
Nothing else may be done there."""
FULL = "lime.full"
"""The extension of a scope that came while there were too many connections."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header called `name` (lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def all_headers(scope: Scope, name: bytes) -> list[str]:
    """Every header called `name` (lower case), in order."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def replayed(first: Message, receive: Receive) -> Receive:
    """A `receive` that gives `first`, which was read already, once more before what follows."""
    pending = [first]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def envelope(code: str, message: str, detail: Mapping[str, object] | None = None) -> bytes:
    """The error envelope of protocol section 1."""
    error: dict[str, object] = {"code": code, "message": message}
    if detail is not None:
        error["detail"] = dict(detail)
    whole = {"ok": False, "error": error}
    return json.dumps(whole, ensure_ascii=False, default=str, separators=(",", ":")).encode()


async def answer(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a whole JSON response."""
    start: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def answer_error(send: Send, error: DomainError) -> None:
    """Send `error` as its envelope, with `Retry-After` where it says when to come back."""
    headers: Headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.unread:
        # Whatever follows on this connection could be mistaken for a request.
        headers.append((b"connection", b"close"))
    await answer(send, error.status, envelope(error.code, error.message, error.detail), headers)
