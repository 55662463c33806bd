"""An event stream as an HTTP response."""

from functools import partial

from fastapi import Response
from starlette.types import Receive, Scope, Send

from lime_server.foundation.sites import Admission
from lime_server.modules import sse
from lime_server.modules.site_login.seat import Ending
from lime_server.modules.site_login.stream import EventStream, StreamParts


class EventStreamResponse(Response):
    """Runs one event stream for as long as the client stays."""

    media_type = sse.MEDIA_TYPE

    def __init__(self, parts: StreamParts, admission: Admission, consumer: str | None) -> None:
        """A stream for a site that has proved to be itself, for as long as its token works."""
        super().__init__(headers=sse.HEADERS)
        del self.headers["content-length"]
        self._parts = parts
        self._admission = admission
        self._consumer = consumer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until the stream ends, the client goes away, or it reads too slowly.

        Raises RateLimited, before anything was sent, when the site has too many streams.
        """
        site_id, token_hash = self._admission.site.site_id, self._admission.token_hash
        with self._parts.delivery.seat(site_id, self._consumer, token_hash) as seat:
            await sse.send_frames(
                scope,
                receive,
                send,
                EventStream(seat, self._parts).frames(),
                headers=self.raw_headers,
                on_gone=partial(seat.end, Ending.GONE),
                patience=self._parts.timing.patience,
            )
