"""The monitor's stream as an HTTP response."""

from fastapi import Response
from starlette.types import Receive, Scope, Send

from lime_server.modules import sse
from lime_server.modules.delivery_monitor.service import DeliveryMonitor, Snapshot
from lime_server.modules.delivery_monitor.wire import DeliveryState


class MonitorResponse(Response):
    """Shows one owner how deliveries to one site stand, for as long as the browser stays."""

    media_type = sse.MEDIA_TYPE

    def __init__(self, monitor: DeliveryMonitor, owner_id: str, site_id: str) -> None:
        """A stream for an owner who is signed in; whose site it is, is looked at for each frame."""
        super().__init__(headers=sse.HEADERS)
        del self.headers["content-length"]
        self._monitor = monitor
        self._owner_id = owner_id
        self._site_id = site_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until the stream ends, the browser goes away, or it reads too slowly."""
        with self._monitor.viewer(self._owner_id, self._site_id) as viewer:
            await sse.send_frames(
                scope,
                receive,
                send,
                self._monitor.frames(self._owner_id, viewer, _shape),
                headers=self.raw_headers,
                on_gone=viewer.leave,
                patience=self._monitor.timing.patience,
            )


def _shape(snapshot: Snapshot) -> bytes:
    return DeliveryState.of(snapshot).model_dump_json().encode()
