"""The routes of clients and owners: registration, authorization, consent, grants."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    DomainError,
    InvalidInput,
    NotFound,
)
from lime_server.core.pages import DEFAULT_LIMIT, parse_cursor
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules.mcp_oauth import client_wire as wire
from lime_server.modules.mcp_oauth.access_tokens import LIFETIME
from lime_server.modules.mcp_oauth.authorization import Authorization, GoesBack, Misdirected
from lime_server.modules.mcp_oauth.consent import Consent, Question
from lime_server.modules.mcp_oauth.grants import Grants
from lime_server.modules.mcp_oauth.metadata import OAUTH
from lime_server.modules.mcp_oauth.model import GrantType
from lime_server.modules.mcp_oauth.registration import Registration, information


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientParts:
    """What the routes call."""

    registration: Registration
    authorization: Authorization
    consent: Consent
    grants: Grants
    sessions: Sessions
    scopes: tuple[str, ...]
    """All there are."""
    public_url: str
    """Under which the consent page is, and nothing that a request says."""
    consent_lifetime: timedelta
    """After which a client that refreshes has to ask again."""


def client_router(parts: ClientParts) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["MCP authorization"], prefix=OAUTH)
    _client_routes(api, parts)
    _consent_routes(api, parts)
    _grant_routes(api, parts)
    return api


def _client_routes(api: APIRouter, parts: ClientParts) -> None:
    # Not in the OpenAPI document: RFC 8414's metadata describes them.
    @api.post("/register", include_in_schema=False)
    async def register(request: Request) -> Response:
        """RFC 7591, for anybody."""
        registered = await parts.registration.register(await wire.registration_in(request))
        return wire.registered(information(registered, parts.scopes))

    @api.get("/authorize", include_in_schema=False)
    @api.post("/authorize", include_in_schema=False)
    async def authorize(request: Request) -> Response:
        """Sends the browser to the consent page. Looks at no cookie, and changes nothing."""
        try:
            parameters = await wire.parameters_in(request)
            await parts.authorization.read(parameters)
        except GoesBack as refusal:
            return wire.redirect(refusal.redirect_to)
        except Misdirected as refusal:
            return wire.refusal_page(str(refusal))
        except DomainError as error:
            return wire.refusal_page(
                error.message, status=error.status, retry_after=error.retry_after
            )
        return wire.consent_page(parts.public_url, parameters)


def _consent_routes(api: APIRouter, parts: ClientParts) -> None:
    current_session = credentials.session_of(parts.sessions)

    @api.get(
        "/consent",
        summary="See what a client asks for",
        openapi_extra={"parameters": wire.QUERY},
        response_model=http.Envelope[wire.ConsentQuestion],
        responses=http.succeeds_with(200, "Who asks, for what, and where the answer goes.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def question(
        request: Request, session: Annotated[Session, Depends(current_session)]
    ) -> Response:
        """For the consent page, with the query of the authorization request. Changes nothing."""
        try:
            asked = await parts.consent.question(
                session.owner.owner_id, await wire.parameters_in(request)
            )
        except (GoesBack, Misdirected) as refusal:
            raise _invalid(refusal) from None
        return http.success(wire.ConsentQuestion.of(asked, _expires_in(parts, asked)))

    @api.post(
        "/consent",
        summary="Let a client act as an agent",
        response_model=http.Envelope[wire.ConsentAnswered],
        responses=http.succeeds_with(200, "Send the browser to `redirect_to`.")
        | http.fails_with(
            InvalidInput,
            NotFound,
            AgentInactive,
            AgentUserSuspended,
            *credentials.SESSION_FAILURES,
        ),
    )
    async def approve(
        session: Annotated[Session, Depends(current_session)], body: wire.ApproveConsentBody
    ) -> Response:
        """By the owner, who picked one of their agents. Repeat it with an `Idempotency-Key`."""
        try:
            redirect_to = await parts.consent.approve(
                session.owner.owner_id, body.parameters(), body.agent_id
            )
        except (GoesBack, Misdirected) as refusal:
            raise _invalid(refusal) from None
        return http.success(wire.ConsentAnswered(redirect_to=redirect_to))

    @api.post(
        "/consent/refuse",
        summary="Do not let a client act",
        response_model=http.Envelope[wire.ConsentAnswered],
        responses=http.succeeds_with(200, "Send the browser to `redirect_to`.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def refuse(
        _session: Annotated[Session, Depends(current_session)], body: wire.RefuseConsentBody
    ) -> Response:
        """By the owner: the client is told `error=access_denied`. May be repeated."""
        try:
            redirect_to = await parts.consent.refuse(body.parameters())
        except (GoesBack, Misdirected) as refusal:
            raise _invalid(refusal) from None
        return http.success(wire.ConsentAnswered(redirect_to=redirect_to))


GrantId = Annotated[str, Path(description="The grant's id, a UUID.")]


def _grant_routes(api: APIRouter, parts: ClientParts) -> None:
    current_session = credentials.session_of(parts.sessions)

    @api.get(
        "/grants",
        summary="List what clients may do",
        response_model=http.Envelope[http.ListOf[wire.OwnersGrant]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def of_owner(
        session: Annotated[Session, Depends(current_session)],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """Consents of this owner that stand."""
        found = await parts.grants.of_owner(
            session.owner.owner_id, before=parse_cursor(cursor), limit=limit
        )
        return http.success(http.ListOf.of(found, wire.OwnersGrant.of))

    @api.delete(
        "/grants/{grant_id}",
        summary="Take a consent back",
        response_model=http.Envelope[wire.GrantRevoked],
        responses=http.succeeds_with(200, "The client gets no more tokens.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def revoke(
        session: Annotated[Session, Depends(current_session)], grant_id: GrantId
    ) -> Response:
        """With every token that it led to. May be repeated."""
        await parts.grants.revoke(session.owner.owner_id, grant_id)
        return http.success(wire.GrantRevoked())


def _expires_in(parts: ClientParts, asked: Question) -> int:
    refreshing = asked.request.client.may(GrantType.REFRESH_TOKEN)
    return int(parts.consent_lifetime.total_seconds()) if refreshing else LIFETIME


def _invalid(refusal: GoesBack | Misdirected) -> InvalidInput:
    """For our own page: it was shown a request that the authorization endpoint would refuse."""
    if isinstance(refusal, Misdirected):
        return InvalidInput(str(refusal))
    return InvalidInput(refusal.description, detail={"error": refusal.error})
