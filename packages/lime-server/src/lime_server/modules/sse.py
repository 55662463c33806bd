"""Server-sent events as an HTTP response: a reader that leaves is noticed, a stuck one is cut."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from logging import getLogger

from starlette.types import Receive, Scope, Send

log = getLogger(__name__)

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
ABORT = "lime.abort"
"""The ASGI extension by which our own runner lets a response drop its connection."""


async def send_frames(
    scope: Scope,
    receive: Receive,
    send: Send,
    frames: AsyncGenerator[bytes, None],
    *,
    headers: list[tuple[bytes, bytes]],
    on_gone: Callable[[], None],
    patience: float,
) -> None:
    """Send `frames` until they end, the client goes away, or it reads too slowly.

    `on_gone` is called when the client leaves, and must make `frames` end. `patience` is how many
    seconds a client may leave a frame unread.
    """
    departure = asyncio.create_task(_until_gone(receive, on_gone))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _pump(frames, send, patience)
    except TimeoutError:
        log.warning("an event stream was not read, and is cut off")
        # To close is not enough: that would wait for the reader to take what lies in the
        # buffer. A server that offers no way to abort has to be told by an error.
        abort = scope.get("extensions", {}).get(ABORT)
        if abort is None:
            raise
        abort["call"]()
        await departure
    finally:
        departure.cancel()
        with suppress(asyncio.CancelledError):
            await departure


async def _pump(frames: AsyncGenerator[bytes, None], send: Send, patience: float) -> None:
    async with aclosing(frames):
        async for frame in frames:
            # A reader that does not read fills the transport's buffer, and then blocks us here.
            async with asyncio.timeout(patience):
                await send({"type": "http.response.body", "body": frame, "more_body": True})
    # The last frame may have been the one that filled it.
    async with asyncio.timeout(patience):
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, on_gone: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    on_gone()
