"""The routes of the site login: parse, call, shape the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from starlette.types import Receive, Scope, Send

from lime_server.core.agents import Agent, Agents
from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    AuthUnavailable,
    InvalidAgentToken,
    InvalidInput,
    InvalidPow,
    MissingAgentToken,
    MissingPowNonce,
    RateLimited,
    SiteLoginRequestNotFound,
    SiteSuspended,
    SiteTokenAuthUnavailable,
    SiteTokenInvalid,
    SiteTokenMissing,
    Unavailable,
)
from lime_server.foundation.sites import Site, Sites
from lime_server.modules import http
from lime_server.modules.site_login import wire
from lime_server.modules.site_login.passports import Passports
from lime_server.modules.site_login.seat import Ending, Seat
from lime_server.modules.site_login.service import SiteLogin
from lime_server.modules.site_login.stream import EventStream, StreamParts

MAX_WAIT = 30
"""Seconds a long poll may last (protocol section 3): less than what proxies cut."""

AGENT_FAILURES = (
    MissingAgentToken,
    InvalidAgentToken,
    AgentInactive,
    AgentUserSuspended,
    RateLimited,
    AuthUnavailable,
    Unavailable,
)
SITE_FAILURES = (
    SiteTokenMissing,
    SiteTokenInvalid,
    SiteSuspended,
    RateLimited,
    SiteTokenAuthUnavailable,
    Unavailable,
)

RequestId = Annotated[str, Path(description="The login request's id, a UUID.")]
Wait = Annotated[
    int | None,
    Query(
        ge=0,
        le=MAX_WAIT,
        description="Seconds to wait for the outcome. With it, the answer carries the passport.",
    ),
]
Consumer = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=64,
        pattern=r"^[!-~]+$",
        description="Names a worker. Each event then goes to one of the site's named workers, and "
        "comes again until it is acknowledged.",
    ),
]


@dataclass(frozen=True, slots=True)
class SiteLoginParts:
    """What the routes call."""

    logins: SiteLogin
    agents: Agents
    sites: Sites
    passports: Passports
    streams: StreamParts


def router(parts: SiteLoginParts) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["Site login"])
    _site_routes(api, parts)
    _agent_routes(api, parts)
    _event_routes(api, parts)
    return api


def _site_routes(api: APIRouter, parts: SiteLoginParts) -> None:
    current_site = _current_site(parts.sites)

    @api.post(
        "/modules/agent-login/requests",
        summary="Ask for a login",
        status_code=201,
        response_model=http.Envelope[wire.CreatedLogin],
        responses=http.succeeds_with(201, "Hand `login_request_id` to the agent.")
        | http.fails_with(InvalidInput, *SITE_FAILURES),
    )
    async def create(
        site: Annotated[Site, Depends(current_site)], body: wire.CreateBody | None = None
    ) -> Response:
        """Step 1, by the site: a request that one agent can approve while it lives."""
        login = await parts.logins.create(site, body.redirect_url if body else None)
        return http.success(wire.CreatedLogin.of(login), status=201)

    @api.get(
        "/modules/agent-login/requests/{request_id}",
        summary="See what became of a login",
        response_model=http.Envelope[wire.LoginStatus],
        responses=http.succeeds_with(200, "The request as it stands.")
        | http.fails_with(InvalidInput, SiteLoginRequestNotFound, *SITE_FAILURES),
    )
    async def status(
        site: Annotated[Site, Depends(current_site)], request_id: RequestId, wait: Wait = None
    ) -> Response:
        """The site's view; with `?wait=` the long-poll twin of the event stream."""
        if wait is None:
            login, passport = await parts.logins.status(site, request_id), None
        else:
            login = await parts.logins.outcome(site, request_id, wait=wait)
            approved = login.is_approved
            passport = (
                await parts.passports.of_login(site.site_id, login.request_id) if approved else None
            )
        return http.success(wire.LoginStatus.now(login, passport))


def _agent_routes(api: APIRouter, parts: SiteLoginParts) -> None:
    current_agent = _current_agent(parts.agents)

    @api.get(
        "/auth/requests/{request_id}",
        summary="See the puzzle of a login",
        response_model=http.Envelope[wire.Puzzle],
        responses=http.succeeds_with(200, "What to solve, and for which site.")
        | http.fails_with(SiteLoginRequestNotFound, RateLimited, Unavailable),
    )
    async def look(request_id: RequestId) -> Response:
        """Step 2, by the agent, without a credential: what it has to solve, and for whom."""
        return http.success(wire.Puzzle.of(await parts.logins.look(request_id)))

    @api.post(
        "/modules/agent-login/requests/{request_id}/approve",
        summary="Log in",
        response_model=http.Envelope[wire.Decision],
        responses=http.succeeds_with(200, "The agent is in; the site gets its passport.")
        | http.fails_with(
            InvalidInput, MissingPowNonce, InvalidPow, SiteLoginRequestNotFound, *AGENT_FAILURES
        ),
    )
    async def approve(
        agent: Annotated[Agent, Depends(current_agent)],
        request_id: RequestId,
        body: wire.ApproveBody | None = None,
    ) -> Response:
        """Step 4, by the agent: with the puzzle solved, let itself in. May be repeated."""
        nonce = body.pow_nonce if body else None
        return http.success(wire.Decision.of(await parts.logins.approve(agent, request_id, nonce)))

    @api.post(
        "/modules/agent-login/requests/{request_id}/deny",
        summary="Refuse to log in",
        response_model=http.Envelope[wire.Decision],
        responses=http.succeeds_with(200, "The site is told.")
        | http.fails_with(InvalidInput, SiteLoginRequestNotFound, *AGENT_FAILURES),
    )
    async def deny(
        agent: Annotated[Agent, Depends(current_agent)],
        request_id: RequestId,
        _body: wire.DenyBody | None = None,
    ) -> Response:
        """Step 4, the other way: the agent will not log in. May be repeated."""
        return http.success(wire.Decision.of(await parts.logins.deny(agent, request_id)))


def _event_routes(api: APIRouter, parts: SiteLoginParts) -> None:
    current_site = _current_site(parts.sites)

    @api.get(
        "/modules/agent-login/events",
        summary="Hear what becomes of logins",
        response_class=EventStreamResponse,
        responses={200: _STREAM_DOC} | http.fails_with(InvalidInput, *SITE_FAILURES),
    )
    async def events(
        site: Annotated[Site, Depends(current_site)], consumer: Consumer = None
    ) -> Response:
        """Step 5: the passport comes to the site, on a stream of server-sent events."""
        return EventStreamResponse(parts.streams, site.site_id, consumer)

    @api.post(
        "/modules/agent-login/events/ack",
        summary="Say which events were handled",
        response_model=http.Envelope[wire.Acknowledged],
        responses=http.succeeds_with(200, "They are not sent again.")
        | http.fails_with(InvalidInput, *SITE_FAILURES),
    )
    async def acknowledge(
        site: Annotated[Site, Depends(current_site)], body: wire.AckBody
    ) -> Response:
        """After its handler returned, a site acknowledges. Unknown ids change nothing."""
        await parts.streams.acknowledge(site.site_id, body.ids)
        return http.success(wire.Acknowledged())


_STREAM_DOC = {
    "description": "Frames of one `data:` line each, holding a JSON object with a `type`: `approved`, "
    "`denied`, `expired`, `keepalive`, `error` or `goaway`. Unknown types are to be ignored.",
    "headers": http.REQUEST_ID_HEADER,
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


def _current_agent(agents: Agents) -> Callable[..., Awaitable[Agent]]:
    async def current_agent(token: Annotated[str | None, Depends(http.agent_token)]) -> Agent:
        return await agents.authenticate(token)

    return current_agent


def _current_site(sites: Sites) -> Callable[..., Awaitable[Site]]:
    async def current_site(token: Annotated[str | None, Depends(http.site_token)]) -> Site:
        return await sites.authenticate(token)

    return current_site


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
