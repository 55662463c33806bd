"""Access tokens for MCP servers (protocol sections 6 and 8; RFC 9068)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.errors import Forbidden
from lime_server.core.ids import new_id
from lime_server.core.passport import PassportContext, PassportType
from lime_server.core.ports import PassportSigner
from lime_server.modules.mcp_oauth.errors import AccessDenied
from lime_server.modules.mcp_oauth.scopes import scope_text

AUDIENCE = "mcp"
LIFETIME = 300
"""Seconds; verifiers refuse more (protocol section 6)."""
CAPABILITY = "oauth:mcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a token is to say."""

    agent: Agent
    client_id: str
    """Who holds it: the agent itself, or a client that its owner let act as the agent."""
    resource: str | None
    domain: str
    scopes: Sequence[str]
    family_id: str | None = None
    """Becomes `sid`, by which the token ends with the consent that it comes from."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token on its way to its client."""

    text: str = field(repr=False)
    expires_in: int = LIFETIME
    """Seconds."""


class AccessTokens:
    """Mints access tokens; nothing is kept of them."""

    def __init__(self, *, signer: PassportSigner, clock: Clock, issuer: str) -> None:
        """Sign as `issuer`, the OAuth issuer."""
        self._signer = signer
        self._clock = clock
        self._issuer = issuer

    async def mint(self, order: Order) -> AccessToken:
        """A fresh token. Raises AccessDenied unless the agent may have one now."""
        require_capable(order.agent)
        now = self._clock.now()
        session = {} if order.family_id is None else {"sid": order.family_id}
        context = PassportContext(
            type=PassportType.ACCESS,
            issuer=self._issuer,
            audience=AUDIENCE if order.resource is None else (AUDIENCE, order.resource),
            agent=order.agent,
            passport_id=new_id(now),
            issued_at=now,
            lifetime=LIFETIME,
        ).adding(
            domain=order.domain,
            client_id=order.client_id,
            scope=scope_text(order.scopes),
            **session,
        )
        return AccessToken(await self._signer.sign(context.claims(), typ=context.type))


def require_capable(agent: Agent) -> None:
    """Return if this agent may have tokens for MCP servers. Raises AccessDenied."""
    try:
        agent.require_good_standing()
    except Forbidden as error:
        raise AccessDenied(error.message) from None
    if CAPABILITY not in agent.capabilities:
        raise AccessDenied("This agent may not use MCP servers: its owner can allow it.")
