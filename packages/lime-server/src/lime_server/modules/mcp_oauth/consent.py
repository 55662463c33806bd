"""Consent: an owner lets a client act as one of their agents, or does not."""

from dataclasses import dataclass
from datetime import timedelta

from lime_server.core.clock import Clock
from lime_server.core.errors import InvalidInput
from lime_server.core.ids import new_id
from lime_server.core.ports import TokenHash, Transactions
from lime_server.core.tokens import Token, TokenKind
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.modules.mcp_oauth.authorization import (
    Authorization,
    AuthorizationRequest,
    Parameters,
)
from lime_server.modules.mcp_oauth.model import AuthorizationCode, Grant
from lime_server.modules.mcp_oauth.ports import Agents, ClientStore, CodeStore, GrantStore

CODE_LIFETIME = timedelta(seconds=60)
"""OAuth 2.1, section 4.1.2, allows ten minutes; a redirect takes a second."""
CAPABILITY = "oauth:mcp"
"""What an agent needs to have tokens for MCP servers (protocol section 8)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an owner is asked."""

    request: AuthorizationRequest
    remembered: Grant | None
    """What they answered last time, if that still stands. It is only what the page proposes: who
    shows a public client's id need not be that client (RFC 8252, section 8.6)."""


class Consent:
    """Asks owners, and writes down what they say."""

    def __init__(
        self,
        *,
        authorization: Authorization,
        agents: Agents,
        clients: ClientStore,
        grants: GrantStore,
        codes: CodeStore,
        tokens: TokenHash,
        audit: Audit,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._authorization = authorization
        self._agents = agents
        self._clients = clients
        self._grants = grants
        self._codes = codes
        self._tokens = tokens
        self._audit = audit
        self._transactions = transactions
        self._clock = clock

    async def question(self, owner_id: str, parameters: Parameters) -> Question:
        """What this owner is asked. Changes nothing. Raises what `Authorization.read` does."""
        request = await self._authorization.read(parameters)
        standing = await self._grants.of_client(
            owner_id, request.client.client_id, _text_of(request)
        )
        return Question(request, standing[0] if standing else None)

    async def approve(self, owner_id: str, parameters: Parameters, unverified_agent_id: str) -> str:
        """The owner picked one of their agents; returns where the browser must go, with a code.

        Raises NotFound for an agent that is not this owner's, AgentUserSuspended, AgentInactive,
        InvalidInput for one without the capability, and what `Authorization.read` does.
        """
        # 1. The whole request again: only what is valid now is granted.
        request = await self._authorization.read(parameters)
        # 2. This owner's agent, and one that could have tokens?
        agent = await self._agents.owned_by(owner_id, unverified_agent_id)
        agent.require_good_standing()
        if CAPABILITY not in agent.capabilities:
            raise InvalidInput(
                f"This agent may not have tokens for MCP servers: grant it {CAPABILITY} first.",
                detail={"field": "agent_id", "capability": CAPABILITY},
            )
        # 3. Write it all, or nothing; of the code only the hash.
        now = self._clock.now()
        code = Token.new(TokenKind.AUTHORIZATION_CODE)
        async with self._transactions.transaction():
            grant = await self._grants.add_or_renew(
                Grant(
                    grant_id=new_id(now),
                    owner_id=owner_id,
                    agent_id=agent.agent_id,
                    client_id=request.client.client_id,
                    client_name=request.client.name,
                    redirect_host=request.redirect_uri.host,
                    resource=_text_of(request),
                    scopes=request.scopes,
                    created_at=now,
                )
            )
            await self._codes.add(
                AuthorizationCode(
                    code_hash=self._tokens.hash(code.text),
                    grant_id=grant.grant_id,
                    family_id=new_id(now),
                    client_id=grant.client_id,
                    redirect_uri=request.redirect_uri.text,
                    code_challenge=request.code_challenge,
                    resource=grant.resource,
                    scopes=request.scopes,
                    expires_at=now + CODE_LIFETIME,
                )
            )
            await self._clients.touch(grant.client_id, now)
            await self._audit.record(
                "oauth.consent.given",
                owner_id=owner_id,
                actor=Actor("owner", owner_id),
                target=Target("oauth-grant", grant.grant_id),
                detail={
                    "client_id": grant.client_id,
                    "agent_id": grant.agent_id,
                    "resource": grant.resource,
                    "scopes": list(request.scopes),
                },
            )
        # 4. The code travels through the browser; no token ever does.
        return self._authorization.answer(request, code=code.text)

    async def refuse(self, parameters: Parameters) -> str:
        """The owner said no; returns where the browser must go. Raises as `read` does."""
        request = await self._authorization.read(parameters)
        return self._authorization.answer(
            request, error="access_denied", error_description="The owner refused."
        )


def _text_of(request: AuthorizationRequest) -> str | None:
    return None if request.resource is None else request.resource.text
