"""The routes of login histories. One file: there is nothing to decide but whose it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from lime_server.core.agents import Agents
from lime_server.core.clock import Clock
from lime_server.core.errors import InvalidInput, NotFound
from lime_server.core.pages import DEFAULT_LIMIT, page, parse_cursor
from lime_server.foundation.sessions import Session, Sessions
from lime_server.foundation.sites import Sites
from lime_server.modules import credentials, http
from lime_server.modules.login_history.ports import LoginHistory, PastLogin
from lime_server.modules.login_history.wire import LoginRecord


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """What the routes call."""

    history: LoginHistory
    agents: Agents
    sites: Sites
    clock: Clock


def router(parts: HistoryParts, sessions: Sessions) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["Login history"])
    current = credentials.session_of(sessions)

    @api.get(
        "/core/agents/{agent_id}/logins",
        summary="See where an agent logged in",
        response_model=http.Envelope[http.ListOf[LoginRecord]],
        responses=http.succeeds_with(200, "Newest first, as far back as the server remembers.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def of_agent(
        session: Annotated[Session, Depends(current)],
        agent_id: Annotated[str, Path(description="The agent's id, a UUID.")],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """What the agent approved or denied, at whatever site."""
        agent = await parts.agents.owned_by(session.owner.owner_id, agent_id)
        before, now = parse_cursor(cursor), parts.clock.now()
        rows = await parts.history.of_agent(agent.agent_id, before=before, limit=limit + 1, now=now)
        return _answer(rows, limit)

    @api.get(
        "/foundation/sites/{site_id}/logins",
        summary="See who logged in to a site",
        response_model=http.Envelope[http.ListOf[LoginRecord]],
        responses=http.succeeds_with(200, "Newest first, as far back as the server remembers.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def of_site(
        session: Annotated[Session, Depends(current)],
        site_id: Annotated[str, Path(description="The site's id, a UUID.")],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """What became of the site's login requests. Who refused is not said."""
        site = await parts.sites.owned_by(session.owner.owner_id, site_id)
        before, now = parse_cursor(cursor), parts.clock.now()
        rows = await parts.history.of_site(site.site_id, before=before, limit=limit + 1, now=now)
        return _answer([past.told_to_site() for past in rows], limit)

    return api


def _answer(rows: Sequence[PastLogin], limit: int) -> Response:
    found = page(rows, limit, lambda past: past.login_request_id)
    return http.success(http.ListOf[LoginRecord].of(found, LoginRecord.of))
