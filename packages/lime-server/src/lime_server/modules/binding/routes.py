"""The routes of agent binding: parse, call, shape the answer."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    BindingCodeInvalid,
    BindingNotFound,
    InvalidInput,
    NotFound,
    RedirectUriNotListed,
)
from lime_server.core.pages import DEFAULT_LIMIT, page, parse_cursor
from lime_server.foundation.sessions import Session, Sessions
from lime_server.foundation.sites import Site, Sites
from lime_server.modules import credentials, http
from lime_server.modules.binding import wire
from lime_server.modules.binding.model import KnownBinding
from lime_server.modules.binding.service import Bindings

BindingId = Annotated[str, Path(description="The binding's id, a UUID.")]


@dataclass(frozen=True, slots=True)
class BindingParts:
    """What the routes call."""

    bindings: Bindings
    sessions: Sessions
    sites: Sites
    public_url: str
    """Under which the connect page is, and nothing that a request says."""


def router(parts: BindingParts) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["Agent binding"], prefix="/modules/bindings")
    _making_routes(api, parts)
    _connect_routes(api, parts)
    _site_routes(api, parts)
    _owner_routes(api, parts)
    return api


def _making_routes(api: APIRouter, parts: BindingParts) -> None:
    current_site = credentials.site_of(parts.sites)

    @api.post(
        "/requests",
        summary="Ask for a binding",
        status_code=201,
        response_model=http.Envelope[wire.CreatedBinding],
        responses=http.succeeds_with(201, "Send the human's browser to `connect_url`.")
        | http.fails_with(InvalidInput, RedirectUriNotListed, *credentials.SITE_FAILURES),
    )
    async def create(
        site: Annotated[Site, Depends(current_site)], body: wire.AskBindingBody
    ) -> Response:
        """By the site, whose human wants to link an agent to their account there."""
        binding = await parts.bindings.create(site, body.wish())
        return http.success(wire.CreatedBinding.of(binding, parts.public_url), status=201)

    @api.post(
        "/exchange",
        summary="Exchange a code for a passport",
        response_model=http.Envelope[wire.ExchangedBinding],
        responses=http.succeeds_with(200, "The binding is made. The code is spent.")
        | http.fails_with(InvalidInput, BindingCodeInvalid, *credentials.SITE_FAILURES),
    )
    async def exchange(
        site: Annotated[Site, Depends(current_site)], body: wire.ExchangeBody
    ) -> Response:
        """By the site, once, within a minute of the approval."""
        exchanged = await parts.bindings.exchange(site, body.claim())
        return http.success(wire.ExchangedBinding.of(exchanged))


def _connect_routes(api: APIRouter, parts: BindingParts) -> None:
    current_session = credentials.session_of(parts.sessions)

    @api.get(
        "/requests/{binding_id}",
        summary="See what a site asks for",
        response_model=http.Envelope[wire.BindingQuestion],
        responses=http.succeeds_with(200, "Which site it is, and what it will learn.")
        | http.fails_with(BindingNotFound, *credentials.SESSION_FAILURES),
    )
    async def look(
        _session: Annotated[Session, Depends(current_session)], binding_id: BindingId
    ) -> Response:
        """For the connect page, while the request waits for an answer."""
        return http.success(wire.BindingQuestion.of(await parts.bindings.look(binding_id)))

    @api.post(
        "/requests/{binding_id}/approve",
        summary="Bind an agent",
        response_model=http.Envelope[wire.GoingBack],
        responses=http.succeeds_with(200, "Send the browser to `redirect_to`.")
        | http.fails_with(
            InvalidInput,
            BindingNotFound,
            NotFound,
            AgentInactive,
            AgentUserSuspended,
            *credentials.SESSION_FAILURES,
        ),
    )
    async def approve(
        session: Annotated[Session, Depends(current_session)],
        binding_id: BindingId,
        body: wire.PickAgentBody,
    ) -> Response:
        """By the human, who picked one of their agents. Repeat it with an `Idempotency-Key`."""
        redirect_to = await parts.bindings.approve(
            session.owner.owner_id, binding_id, body.agent_id
        )
        return http.success(wire.GoingBack(redirect_to=redirect_to))

    @api.post(
        "/requests/{binding_id}/refuse",
        summary="Bind no agent",
        response_model=http.Envelope[wire.GoingBack],
        responses=http.succeeds_with(200, "Send the browser to `redirect_to`.")
        | http.fails_with(InvalidInput, BindingNotFound, *credentials.SESSION_FAILURES),
    )
    async def refuse(
        session: Annotated[Session, Depends(current_session)],
        binding_id: BindingId,
        _body: wire.RefuseBindingBody | None = None,
    ) -> Response:
        """By the human: the site is told `error=access_denied`. May be repeated."""
        redirect_to = await parts.bindings.refuse(session.owner.owner_id, binding_id)
        return http.success(wire.GoingBack(redirect_to=redirect_to))


def _site_routes(api: APIRouter, parts: BindingParts) -> None:
    current_site = credentials.site_of(parts.sites)

    @api.get(
        "/of-site",
        summary="List the site's bindings",
        response_model=http.Envelope[http.ListOf[wire.SitesBinding]],
        responses=http.succeeds_with(200, "Latest request first; ended ones too.")
        | http.fails_with(InvalidInput, *credentials.SITE_FAILURES),
    )
    async def of_site(
        site: Annotated[Site, Depends(current_site)],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """Those that were made; `status` tells the ended ones from the others."""
        rows = await parts.bindings.of_site(site, before=parse_cursor(cursor), limit=limit + 1)
        found = page(rows, limit, _ident)
        items = [wire.SitesBinding.of(known.binding) for known in found.items]
        return http.success(http.ListOf(items=items, next_cursor=found.next_cursor))

    @api.get(
        "/of-site/{binding_id}",
        summary="See what became of a binding",
        response_model=http.Envelope[wire.SitesBinding],
        responses=http.succeeds_with(200, "The binding as it stands.")
        | http.fails_with(BindingNotFound, *credentials.SITE_FAILURES),
    )
    async def status(
        site: Annotated[Site, Depends(current_site)], binding_id: BindingId
    ) -> Response:
        """By the site, of its own requests and bindings."""
        return http.success(wire.SitesBinding.of(await parts.bindings.status(site, binding_id)))

    @api.delete(
        "/of-site/{binding_id}",
        summary="End a binding, as its site",
        response_model=http.Envelope[wire.SitesBinding],
        responses=http.succeeds_with(200, "It has ended.")
        | http.fails_with(BindingNotFound, *credentials.SITE_FAILURES),
    )
    async def end_by_site(
        site: Annotated[Site, Depends(current_site)], binding_id: BindingId
    ) -> Response:
        """May be repeated: who ended it first stays on record."""
        binding = await parts.bindings.end_by_site(site, binding_id)
        return http.success(wire.SitesBinding.of(binding))


def _owner_routes(api: APIRouter, parts: BindingParts) -> None:
    current_session = credentials.session_of(parts.sessions)

    @api.get(
        "",
        summary="List the owner's bindings",
        response_model=http.Envelope[http.ListOf[wire.OwnersBinding]],
        responses=http.succeeds_with(200, "Latest request first; ended ones too.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def of_owner(
        session: Annotated[Session, Depends(current_session)],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """Which sites have which of this owner's agents, and which had."""
        rows = await parts.bindings.of_owner(
            session.owner.owner_id, before=parse_cursor(cursor), limit=limit + 1
        )
        found = page(rows, limit, _ident)
        items = [wire.OwnersBinding.of(known) for known in found.items]
        return http.success(http.ListOf(items=items, next_cursor=found.next_cursor))

    @api.delete(
        "/{binding_id}",
        summary="End a binding, as its owner",
        response_model=http.Envelope[wire.OwnersBinding],
        responses=http.succeeds_with(200, "It has ended.")
        | http.fails_with(BindingNotFound, *credentials.SESSION_FAILURES),
    )
    async def end_by_owner(
        session: Annotated[Session, Depends(current_session)], binding_id: BindingId
    ) -> Response:
        """May be repeated: who ended it first stays on record."""
        known = await parts.bindings.end_by_owner(session.owner.owner_id, binding_id)
        return http.success(wire.OwnersBinding.of(known))


def _ident(known: KnownBinding) -> str:
    return known.binding.binding_id
