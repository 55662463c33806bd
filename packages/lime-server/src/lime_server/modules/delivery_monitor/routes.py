"""The routes of the delivery monitor: parse, call, shape the answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from lime_server.core.errors import NotFound
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules.delivery_monitor import wire
from lime_server.modules.delivery_monitor.response import MonitorResponse
from lime_server.modules.delivery_monitor.service import DeliveryMonitor

SiteId = Annotated[str, Path(description="The site's id, a UUID.")]
EventId = Annotated[str, Path(description="The event's id, a UUID.")]

_STATE = {"$ref": "#/components/schemas/DeliveryState"}

_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Frames whose `data:` is what `…/delivery` answers, one whenever it "
        "changes. Ends after a minute: connect again.",
        "headers": http.REQUEST_ID_HEADER,
        "content": {"text/event-stream": {"schema": http.event_schema(_STATE)}},
    }
}


def router(monitor: DeliveryMonitor, sessions: Sessions) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(prefix="/foundation/sites/{site_id}/delivery", tags=["Delivery monitor"])
    current = credentials.session_of(sessions)

    @api.get(
        "",
        summary="See what is on its way to a site",
        response_model=http.Envelope[wire.DeliveryState],
        responses=http.succeeds_with(200, "Open streams, and events that can still be sent.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def look(session: Annotated[Session, Depends(current)], site_id: SiteId) -> Response:
        """Streams to every server, and what they have yet to acknowledge."""
        snapshot = await monitor.look(session.owner.owner_id, site_id)
        return http.success(wire.DeliveryState.of(snapshot))

    @api.get(
        "/stream",
        summary="Watch what is on its way to a site",
        status_code=200,
        response_class=MonitorResponse,
        responses=_STREAM_DOC | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def watch(session: Annotated[Session, Depends(current)], site_id: SiteId) -> Response:
        """The same, as server-sent events."""
        site = await monitor.site(session.owner.owner_id, site_id)
        return MonitorResponse(monitor, session.owner.owner_id, site.site_id)

    @api.post(
        "/{event_id}/redeliver",
        summary="Send an event again",
        status_code=202,
        response_model=http.Envelope[wire.Nudged],
        responses=http.succeeds_with(202, "It goes out with the next look.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def redeliver(
        session: Annotated[Session, Depends(current)], site_id: SiteId, event_id: EventId
    ) -> Response:
        """Within the delivery window, acknowledged or not. The passport in it is a fresh one."""
        await monitor.redeliver(session.owner.owner_id, site_id, event_id)
        return http.success(wire.Nudged(), status=202)

    @api.post(
        "/test",
        summary="Send a test frame",
        status_code=202,
        response_model=http.Envelope[wire.Nudged],
        responses=http.succeeds_with(202, "Every stream that is open carries it.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def test(session: Annotated[Session, Depends(current)], site_id: SiteId) -> Response:
        """`{"type": "test"}`, which clients ignore: it shows that the way is open."""
        await monitor.test(session.owner.owner_id, site_id)
        return http.success(wire.Nudged(), status=202)

    return api
