"""The routes of the site login: parse, call, shape the answer."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from lime_server.core.agents import Agent, Agents
from lime_server.core.errors import (
    InvalidInput,
    InvalidPow,
    MissingPowNonce,
    RateLimited,
    SiteLoginRequestNotFound,
    Unavailable,
)
from lime_server.foundation.sites import Admission, Site, Sites
from lime_server.modules import credentials, http
from lime_server.modules.site_login import wire
from lime_server.modules.site_login.passports import Passports
from lime_server.modules.site_login.response import EventStreamResponse
from lime_server.modules.site_login.service import SiteLogin
from lime_server.modules.site_login.stream import StreamParts

MAX_WAIT = 30
"""Seconds a long poll may last (protocol section 3): less than what proxies cut."""

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
    current_site = credentials.site_of(parts.sites)

    @api.post(
        "/modules/agent-login/requests",
        summary="Ask for a login",
        status_code=201,
        response_model=http.Envelope[wire.CreatedLogin],
        responses=http.succeeds_with(201, "Hand `login_request_id` to the agent.")
        | http.fails_with(InvalidInput, *credentials.SITE_FAILURES),
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
        | http.fails_with(InvalidInput, SiteLoginRequestNotFound, *credentials.SITE_FAILURES),
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
    current_agent = credentials.agent_of(parts.agents)

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
            InvalidInput,
            MissingPowNonce,
            InvalidPow,
            SiteLoginRequestNotFound,
            *credentials.AGENT_FAILURES,
        ),
        # Without one there is an error of its own.
        openapi_extra={"requestBody": {"required": True}},
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
        | http.fails_with(InvalidInput, SiteLoginRequestNotFound, *credentials.AGENT_FAILURES),
    )
    async def deny(
        agent: Annotated[Agent, Depends(current_agent)],
        request_id: RequestId,
        _body: wire.DenyBody | None = None,
    ) -> Response:
        """Step 4, the other way: the agent will not log in. May be repeated."""
        return http.success(wire.Decision.of(await parts.logins.deny(agent, request_id)))


def _event_routes(api: APIRouter, parts: SiteLoginParts) -> None:
    current_site = credentials.site_of(parts.sites)
    admitted = credentials.admission_of(parts.sites)

    @api.get(
        "/modules/agent-login/events",
        summary="Hear what becomes of logins",
        status_code=200,
        response_class=EventStreamResponse,
        responses=_STREAM_DOC | http.fails_with(InvalidInput, *credentials.SITE_FAILURES),
    )
    async def events(
        admission: Annotated[Admission, Depends(admitted)], consumer: Consumer = None
    ) -> Response:
        """Step 5: the passport comes to the site, on a stream of server-sent events."""
        return EventStreamResponse(parts.streams, admission, consumer)

    @api.post(
        "/modules/agent-login/events/ack",
        summary="Say which events were handled",
        response_model=http.Envelope[wire.Acknowledged],
        responses=http.succeeds_with(200, "They are not sent again.")
        | http.fails_with(InvalidInput, *credentials.SITE_FAILURES),
    )
    async def acknowledge(
        site: Annotated[Site, Depends(current_site)], body: wire.AckBody
    ) -> Response:
        """After its handler returned, a site acknowledges. Unknown ids change nothing."""
        await parts.streams.delivery.acknowledge(site.site_id, body.ids)
        return http.success(wire.Acknowledged())


_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Frames of one `data:` line each, holding a JSON object with a `type`. "
        "Ignore unknown types.",
        "headers": http.REQUEST_ID_HEADER,
        "content": {
            "text/event-stream": {"schema": http.event_schema(wire.FRAME_SCHEMA, with_id=True)}
        },
    }
}
