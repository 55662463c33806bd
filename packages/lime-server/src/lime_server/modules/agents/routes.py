"""The routes of an owner's agents: parse, call, shape the answer."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from lime_server.core.errors import Conflict, InvalidInput, NotFound
from lime_server.core.pages import DEFAULT_LIMIT
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules import owned as shared
from lime_server.modules.agents import wire
from lime_server.modules.agents.service import OwnedAgents

AgentId = Annotated[str, Path(description="The agent's id, a UUID.")]


def router(owned: OwnedAgents, sessions: Sessions) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(prefix="/core/agents", tags=["Agents"])
    _agent_routes(api, owned, sessions)
    _token_routes(api, owned, sessions)
    return api


def _agent_routes(api: APIRouter, owned: OwnedAgents, sessions: Sessions) -> None:
    current = credentials.session_of(sessions)
    fresh = credentials.fresh_session_of(sessions)

    @api.post(
        "/register",
        summary="Make an agent",
        status_code=201,
        response_model=http.Envelope[wire.RegisteredAgent],
        responses=http.succeeds_with(201, "The token is shown only now.")
        | http.fails_with(InvalidInput, Conflict, *credentials.SESSION_FAILURES),
    )
    async def register(
        session: Annotated[Session, Depends(current)], body: wire.RegisterBody
    ) -> Response:
        """A program with an identity, for which the owner answers."""
        agent, token = await owned.register(
            session.owner.owner_id,
            body.display_name,
            description=body.description,
            avatar_url=body.avatar_url,
        )
        return http.success(wire.RegisteredAgent.made(agent, token), status=201)

    @api.get(
        "",
        summary="List the own agents",
        response_model=http.Envelope[http.ListOf[wire.OwnedAgent]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def agents(
        session: Annotated[Session, Depends(current)],
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """What was deleted is not among them."""
        found = await owned.page(session.owner.owner_id, unverified_cursor=cursor, limit=limit)
        return http.success(http.ListOf[wire.OwnedAgent].of(found, wire.OwnedAgent.of))

    @api.get(
        "/{agent_id}",
        summary="Read one of the own agents",
        response_model=http.Envelope[wire.OwnedAgent],
        responses=http.succeeds_with(200, "The agent as it stands.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def read(session: Annotated[Session, Depends(current)], agent_id: AgentId) -> Response:
        """Another owner's agent does not exist here."""
        return http.success(wire.OwnedAgent.of(await owned.read(session.owner.owner_id, agent_id)))

    @api.patch(
        "/{agent_id}",
        summary="Rename, describe, switch off or on",
        response_model=http.Envelope[wire.OwnedAgent],
        responses=http.succeeds_with(200, "The agent as it stands now.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def change(
        session: Annotated[Session, Depends(current)], agent_id: AgentId, body: wire.ChangeBody
    ) -> Response:
        """What is absent from the body stays as it is. Switched off, it is refused at once."""
        agent = await owned.change(session.owner.owner_id, agent_id, body.applied_to)
        return http.success(wire.OwnedAgent.of(agent))

    @api.put(
        "/{agent_id}/capabilities",
        summary="Say what an agent may do",
        response_model=http.Envelope[wire.OwnedAgent],
        responses=http.succeeds_with(200, "The agent as it stands now.")
        | http.fails_with(InvalidInput, NotFound, *credentials.SESSION_FAILURES),
    )
    async def set_capabilities(
        session: Annotated[Session, Depends(current)],
        agent_id: AgentId,
        body: wire.CapabilitiesBody,
    ) -> Response:
        """`oauth:mcp`: it may have tokens for MCP servers. What is absent is taken away."""
        agent = await owned.set_capabilities(
            session.owner.owner_id, agent_id, frozenset(body.capabilities)
        )
        return http.success(wire.OwnedAgent.of(agent))

    @api.delete(
        "/{agent_id}",
        summary="Delete an agent",
        response_model=http.Envelope[shared.Deleted],
        responses=http.succeeds_with(200, "Its tokens no longer work; its id is never given again.")
        | http.fails_with(NotFound, *credentials.FRESH_SESSION_FAILURES),
    )
    async def delete(session: Annotated[Session, Depends(fresh)], agent_id: AgentId) -> Response:
        """For good. Sites keep their record of its logins."""
        await owned.delete(session.owner.owner_id, agent_id)
        return http.success(shared.Deleted())


def _token_routes(api: APIRouter, owned: OwnedAgents, sessions: Sessions) -> None:
    current = credentials.session_of(sessions)
    fresh = credentials.fresh_session_of(sessions)

    @api.get(
        "/{agent_id}/tokens",
        summary="List an agent's tokens",
        response_model=http.Envelope[http.ListOf[shared.OwnedToken]],
        responses=http.succeeds_with(200, "Those that work now, newest first; always one page.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def tokens(session: Annotated[Session, Depends(current)], agent_id: AgentId) -> Response:
        """When each was made and last used, and until when it works; never the token."""
        held = await owned.tokens(session.owner.owner_id, agent_id)
        items = [shared.OwnedToken.of(one) for one in held]
        return http.success(http.ListOf[shared.OwnedToken](items=items, next_cursor=None))

    @api.post(
        "/{agent_id}/tokens",
        summary="Rotate an agent's token",
        status_code=201,
        response_model=http.Envelope[wire.NewToken],
        responses=http.succeeds_with(201, "The token is shown only now.")
        | http.fails_with(InvalidInput, NotFound, Conflict, *credentials.FRESH_SESSION_FAILURES),
    )
    async def rotate(
        session: Annotated[Session, Depends(fresh)],
        agent_id: AgentId,
        body: shared.RotateBody | None = None,
    ) -> Response:
        """The old tokens work for `overlap_seconds` more, while the new one is put in place."""
        overlap = (body or shared.RotateBody()).overlap
        held, token = await owned.rotate(session.owner.owner_id, agent_id, overlap)
        return http.success(wire.NewToken.made(held, token), status=201)
