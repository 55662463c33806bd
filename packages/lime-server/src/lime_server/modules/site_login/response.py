"""An event stream as an HTTP response."""

import asyncio
from contextlib import aclosing, suppress
from logging import getLogger

from fastapi import Response
from starlette.types import Receive, Scope, Send

from lime_server.modules.site_login.seat import Ending, Seat
from lime_server.modules.site_login.stream import EventStream, StreamParts

log = getLogger(__name__)

ABORT = "lime.abort"
"""The ASGI extension by which our own runner lets a response drop its connection."""


class EventStreamResponse(Response):
    """Runs one event stream for as long as the client stays."""

    media_type = "text/event-stream"

    def __init__(self, parts: StreamParts, site_id: str, consumer: str | None) -> None:
        """A stream for a site that has proved to be itself."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._parts = parts
        self._site_id = site_id
        self._consumer = consumer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until the stream ends, the client goes away, or it reads too slowly."""
        with self._parts.delivery.seat(self._site_id, self._consumer) as seat:
            departure = asyncio.create_task(_until_gone(receive, seat))
            try:
                await send(
                    {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                )
                await self._pump(seat, send)
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

    async def _pump(self, seat: Seat, send: Send) -> None:
        stream = EventStream(seat, self._parts)
        async with aclosing(stream.frames()) as frames:
            async for frame in frames:
                # A reader that does not read fills the transport's buffer, and then blocks us here.
                async with asyncio.timeout(self._parts.timing.patience):
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, seat: Seat) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    seat.end(Ending.GONE)
