"""The routes of an owner's sites: parse, call, shape the answer."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from lime_server.core.errors import Conflict, InvalidInput, NotFound
from lime_server.core.pages import DEFAULT_LIMIT
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules import owned as shared
from lime_server.modules.sites import wire
from lime_server.modules.sites.proof import Method
from lime_server.modules.sites.service import OwnedSites

SiteId = Annotated[str, Path(description="The site's id, a UUID.")]


def router(owned: OwnedSites, sessions: Sessions) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(prefix="/foundation/sites", tags=["Sites"])
    _site_routes(api, owned, sessions)
    _token_routes(api, owned, sessions)
    _domain_routes(api, owned, sessions)
    return api


def _site_routes(api: APIRouter, owned: OwnedSites, sessions: Sessions) -> None:
    current = credentials.session_of(sessions)
    fresh = credentials.fresh_session_of(sessions)

    @api.post(
        "/register",
        summary="Make a site",
        status_code=201,
        response_model=http.Envelope[wire.RegisteredSite],
        responses=http.succeeds_with(201, "The token is shown only now.")
        | http.fails_with(InvalidInput, Conflict, *credentials.SESSION_FAILURES),
    )
    async def register(
        session: Annotated[Session, Depends(current)], body: wire.RegisterBody
    ) -> Response:
        """A backend that accepts agents, for which the owner answers."""
        listed, token = await owned.register(
            session.owner.owner_id, body.display_name, domain=body.domain
        )
        return http.success(wire.RegisteredSite.made(listed, token), status=201)

    @api.get(
        "",
        summary="List the own sites",
        response_model=http.Envelope[http.ListOf[wire.OwnedSite]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def sites(
        session: Annotated[Session, Depends(current)],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """What was deleted is not among them."""
        found = await owned.page(session.owner.owner_id, unverified_cursor=cursor, limit=limit)
        return http.success(http.ListOf[wire.OwnedSite].of(found, wire.OwnedSite.of))

    @api.get(
        "/{site_id}",
        summary="Read one of the own sites",
        response_model=http.Envelope[wire.OwnedSite],
        responses=http.succeeds_with(200, "The site as it stands.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def read(session: Annotated[Session, Depends(current)], site_id: SiteId) -> Response:
        """Another owner's site does not exist here."""
        return http.success(wire.OwnedSite.of(await owned.read(session.owner.owner_id, site_id)))

    @api.patch(
        "/{site_id}",
        summary="Rename, switch off or on",
        response_model=http.Envelope[wire.OwnedSite],
        responses=http.succeeds_with(200, "The site as it stands now.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def change(
        session: Annotated[Session, Depends(current)], site_id: SiteId, body: wire.ChangeBody
    ) -> Response:
        """What is absent from the body stays as it is. Switched off, it is refused at once."""
        listed = await owned.change(session.owner.owner_id, site_id, body.applied_to)
        return http.success(wire.OwnedSite.of(listed))

    @api.put(
        "/{site_id}/redirect-uris",
        summary="Say where browsers may be sent back to",
        response_model=http.Envelope[wire.OwnedSite],
        responses=http.succeeds_with(200, "The site as it stands now.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def set_redirect_uris(
        session: Annotated[Session, Depends(current)], site_id: SiteId, body: wire.RedirectUrisBody
    ) -> Response:
        """The whole list. A redirect URI is later matched against it exactly."""
        listed = await owned.set_redirect_uris(session.owner.owner_id, site_id, body.redirect_uris)
        return http.success(wire.OwnedSite.of(listed))

    @api.delete(
        "/{site_id}",
        summary="Delete a site",
        response_model=http.Envelope[shared.Deleted],
        responses=http.succeeds_with(200, "Its tokens no longer work; its id is never given again.")
        | http.fails_with(NotFound, *credentials.FRESH_SESSION_FAILURES),
    )
    async def delete(session: Annotated[Session, Depends(fresh)], site_id: SiteId) -> Response:
        """For good. Agents' owners keep their record of logins to it."""
        await owned.delete(session.owner.owner_id, site_id)
        return http.success(shared.Deleted())


def _token_routes(api: APIRouter, owned: OwnedSites, sessions: Sessions) -> None:
    current = credentials.session_of(sessions)
    fresh = credentials.fresh_session_of(sessions)

    @api.get(
        "/{site_id}/tokens",
        summary="List a site's tokens",
        response_model=http.Envelope[http.ListOf[shared.OwnedToken]],
        responses=http.succeeds_with(200, "Those that work now, newest first; always one page.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def tokens(session: Annotated[Session, Depends(current)], site_id: SiteId) -> Response:
        """When each was made and last used, and until when it works; never the token."""
        held = await owned.tokens(session.owner.owner_id, site_id)
        items = [shared.OwnedToken.of(one) for one in held]
        return http.success(http.ListOf[shared.OwnedToken](items=items, next_cursor=None))

    @api.post(
        "/{site_id}/tokens",
        summary="Rotate a site's token",
        status_code=201,
        response_model=http.Envelope[wire.NewToken],
        responses=http.succeeds_with(201, "The token is shown only now.")
        | http.fails_with(InvalidInput, NotFound, Conflict, *credentials.FRESH_SESSION_FAILURES),
    )
    async def rotate(
        session: Annotated[Session, Depends(fresh)],
        site_id: SiteId,
        body: shared.RotateBody | None = None,
    ) -> Response:
        """The old tokens work for `overlap_seconds` more, while the new one is put in place."""
        overlap = (body or shared.RotateBody()).overlap
        held, token = await owned.rotate(session.owner.owner_id, site_id, overlap)
        return http.success(wire.NewToken.made(held, token), status=201)


def _domain_routes(api: APIRouter, owned: OwnedSites, sessions: Sessions) -> None:
    current = credentials.session_of(sessions)

    @api.post(
        "/{site_id}/domain",
        summary="Claim a domain",
        response_model=http.Envelope[wire.DomainClaim],
        responses=http.succeeds_with(200, "What has to be where.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def claim(
        session: Annotated[Session, Depends(current)], site_id: SiteId, body: wire.DomainBody
    ) -> Response:
        """Another domain than before is unproven until the check finds the proof."""
        proof = await owned.claim_domain(session.owner.owner_id, site_id, body.domain)
        return http.success(wire.DomainClaim.of(proof))

    @api.post(
        "/{site_id}/domain/check",
        summary="Prove the domain",
        response_model=http.Envelope[wire.DomainCheck],
        responses=http.succeeds_with(200, "What was found.")
        | http.fails_with(InvalidInput, NotFound, Conflict, *credentials.SESSION_FAILURES),
    )
    async def check(
        session: Annotated[Session, Depends(current)], site_id: SiteId, body: wire.CheckBody
    ) -> Response:
        """Looks for the proof now, in the DNS or at the site, at a public address only."""
        owner_id = session.owner.owner_id
        problem = await owned.check_domain(owner_id, site_id, Method(body.method))
        verified = (await owned.read(owner_id, site_id)).site.domain_verified
        return http.success(wire.DomainCheck(domain_verified=verified, problem=problem))
