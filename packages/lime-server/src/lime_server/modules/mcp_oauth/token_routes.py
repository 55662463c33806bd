"""The routes of tokens, of metadata, and of agents' keys: parse, call, shape the answer.

The specifications fix what the first ones look like: no envelope, and refusals as
`{"error", "error_description"}`. The edge renders those, for whatever is raised here or before.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import JSONResponse, Response

from lime_server.core.errors import InvalidInput, NotFound
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules.mcp_oauth import token_wire as wire
from lime_server.modules.mcp_oauth.agent_keys import AgentKeyBook
from lime_server.modules.mcp_oauth.client_authentication import ClientAuthentication
from lime_server.modules.mcp_oauth.introspection import Introspection
from lime_server.modules.mcp_oauth.metadata import METADATA_PATHS, OAUTH
from lime_server.modules.mcp_oauth.revocation import Revocation
from lime_server.modules.mcp_oauth.token import TokenEndpoint

METADATA_MAX_AGE = 300
"""Seconds a client may keep the metadata: as long as the keys (protocol section 10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenParts:
    """What the routes call."""

    clients: ClientAuthentication
    tokens: TokenEndpoint
    revocation: Revocation
    introspection: Introspection
    key_book: AgentKeyBook
    sessions: Sessions


def token_router(parts: TokenParts) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["MCP authorization"])
    _endpoints(api, parts)
    _key_routes(api, parts.key_book, parts.sessions)
    return api


def _endpoints(api: APIRouter, parts: TokenParts) -> None:
    # Not in the OpenAPI document: their own metadata describes them, and their errors have another
    # form than everything that it says of errors.
    @api.post(OAUTH + "/token", include_in_schema=False)
    async def token(request: Request) -> Response:
        """A form with client credentials, or the short form: JSON with an agent's token."""
        if wire.kind_of(request) == wire.JSON:
            domain = await wire.domain_of(request)
            unverified_token = request.headers.get("x-agent-token")
            return wire.short_answer(await parts.tokens.short_form(unverified_token, domain))
        parameters = await wire.form_of(request)
        caller = await parts.clients.authenticate(wire.credentials_in(request, parameters))
        return wire.token_answer(await parts.tokens.exchange(caller, parameters))

    @api.post(OAUTH + "/revoke", include_in_schema=False)
    async def revoke(request: Request) -> Response:
        """RFC 7009. The answer says nothing of the token."""
        parameters = await wire.form_of(request)
        caller = await parts.clients.authenticate(wire.credentials_in(request, parameters))
        await parts.revocation.revoke(caller, wire.token_in(parameters))
        return wire.plain({})

    @api.post(OAUTH + "/introspect", include_in_schema=False)
    async def introspect(request: Request) -> Response:
        """RFC 7662, for confidential clients and sites."""
        parameters = await wire.form_of(request)
        sent = wire.credentials_in(request, parameters)
        asker = await parts.introspection.authenticate(sent)
        return wire.plain(await parts.introspection.introspect(asker, wire.token_in(parameters)))


AgentId = Annotated[str, Path(description="The agent's id, a UUID.")]


def _key_routes(api: APIRouter, book: AgentKeyBook, sessions: Sessions) -> None:
    current = credentials.session_of(sessions)
    fresh = credentials.fresh_session_of(sessions)

    @api.get(
        "/core/agents/{agent_id}/keys",
        summary="List an agent's public keys",
        response_model=http.Envelope[wire.AgentKeyList],
        responses=http.succeeds_with(200, "The keys, in the order they were given.")
        | http.fails_with(NotFound, *credentials.SESSION_FAILURES),
    )
    async def keys(session: Annotated[Session, Depends(current)], agent_id: AgentId) -> Response:
        """With which it can prove itself to the token endpoint (`private_key_jwt`)."""
        jwks = await book.of(session.owner.owner_id, agent_id)
        return http.success(wire.AgentKeyList.of(jwks))

    @api.put(
        "/core/agents/{agent_id}/keys",
        summary="Say which public keys an agent has",
        response_model=http.Envelope[wire.AgentKeyList],
        responses=http.succeeds_with(200, "The keys as they are kept.")
        | http.fails_with(InvalidInput, NotFound, *credentials.FRESH_SESSION_FAILURES),
    )
    async def replace(
        session: Annotated[Session, Depends(fresh)], agent_id: AgentId, body: wire.KeysBody
    ) -> Response:
        """What is not among them no longer works. Never send a private key."""
        jwks = await book.replace(session.owner.owner_id, agent_id, body.keys)
        return http.success(wire.AgentKeyList.of(jwks))


def metadata_router(document: dict[str, object]) -> APIRouter:
    """The metadata at all its places, which are absolute."""
    routes = APIRouter()
    for path in METADATA_PATHS:

        @routes.get(path, include_in_schema=False)
        @routes.head(path, include_in_schema=False)
        async def metadata() -> Response:
            """RFC 8414, without envelope."""
            headers = {"Cache-Control": f"public, max-age={METADATA_MAX_AGE}"}
            return JSONResponse(document, headers=headers)

    return routes
