"""Agents: programs with an identity, and how one proves to be itself to us."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    AuthUnavailable,
    InvalidAgentToken,
    MissingAgentToken,
    NotFound,
    Unavailable,
)
from lime_server.core.ids import new_id, parse_id
from lime_server.core.names import avatar_url as clean_avatar
from lime_server.core.names import description as clean_description
from lime_server.core.names import display_name as clean_name
from lime_server.core.ports import TokenHash
from lime_server.core.tokens import Token, TokenKind

CAPABILITIES = frozenset({"oauth:mcp"})
"""All there are: `oauth:mcp` lets an agent have tokens for MCP servers (protocol section 8)."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent, together with the standing of the owner who answers for it."""

    agent_id: str
    owner_id: str
    display_name: str
    description: str | None
    avatar_url: str | None
    active: bool
    created_at: datetime
    owner_suspended: bool
    kyc_level: int
    suspended: bool
    """By an operator: the owner's own switch, `active`, does not lift it."""
    capabilities: frozenset[str] = frozenset()
    """What its owner lets it do beyond logging in to sites; see CAPABILITIES."""
    last_used_at: datetime | None = None
    """To the minute."""

    @property
    def in_good_standing(self) -> bool:
        """Whether this agent may act, and have passports."""
        return self.active and not self.suspended and not self.owner_suspended

    def require_good_standing(self) -> None:
        """Return if this agent may act.

        Raises AgentUserSuspended, or AgentInactive for both switches: the wire has one code for
        them (protocol section 2).
        """
        if self.owner_suspended:
            raise AgentUserSuspended
        if self.suspended:
            raise AgentInactive("This agent is suspended. Its owner can ask the operator why.")
        if not self.active:
            raise AgentInactive


class AgentStore(Protocol):
    """Where agents are kept."""

    async def add(self, agent: Agent, token_hash: bytes) -> None:
        """Keep a new agent and the hash of its token.

        Raises `core.errors.NotFound` if there is no such owner.
        """
        ...

    async def by_token(self, token_hash: bytes, now: datetime) -> Agent | None:
        """The agent whose token, which works at `now`, has this hash.

        Raises `core.errors.Unavailable`.
        """
        ...

    async def by_id(self, agent_id: str) -> Agent | None:
        """The agent with this id, a UUID, unless it was deleted.

        Raises `core.errors.Unavailable`.
        """
        ...


class Agents:
    """Registers agents and recognises them."""

    def __init__(
        self,
        store: AgentStore,
        tokens: TokenHash,
        clock: Clock,
        *,
        note_use: Callable[[bytes], None] = lambda _token_hash: None,
    ) -> None:
        """Keep agents in `store`, their tokens hashed with `tokens`.

        `note_use` is told the hash of every token that let its holder in; it must return at once.
        """
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._note_use = note_use

    async def register(
        self,
        owner_id: str,
        display_name: str,
        *,
        description: str | None = None,
        avatar_url: str | None = None,
    ) -> tuple[Agent, Token]:
        """Make an agent; the token is returned once and never again.

        Raises InvalidInput for a text that is none, NotFound if `owner_id` is nobody's.
        """
        now = self._clock.now()
        agent = Agent(
            agent_id=new_id(now),
            owner_id=owner_id,
            display_name=clean_name(display_name),
            description=clean_description(description),
            avatar_url=clean_avatar(avatar_url),
            active=True,
            created_at=now,
            owner_suspended=False,
            kyc_level=0,
            suspended=False,
        )
        token = Token.new(TokenKind.AGENT)
        await self._store.add(agent, self._tokens.hash(token.text))
        return agent, token

    async def find(self, unverified_id: str) -> Agent | None:
        """The agent with this id and the standing it has now; None for a deleted one, and no id."""
        agent_id = parse_id(unverified_id)
        return None if agent_id is None else await self._store.by_id(agent_id)

    async def owned_by(self, owner_id: str, unverified_id: str) -> Agent:
        """This owner's agent. Raises NotFound for anybody else's, a deleted one, and no id."""
        agent = await self.find(unverified_id)
        if agent is None or agent.owner_id != owner_id:
            raise NotFound
        return agent

    async def authenticate(self, unverified_token: str | None) -> Agent:
        """The agent who holds this token, in good standing (table of protocol section 2)."""
        # 1. Is there a token at all?
        if not unverified_token:
            raise MissingAgentToken
        # 2. Is it one of ours by its shape? A passport or a site's token is not.
        token = Token.parse(TokenKind.AGENT, unverified_token)
        if token is None:
            raise InvalidAgentToken
        # 3. Whose is it? Looked up by keyed hash, so that timing says nothing about stored tokens.
        try:
            token_hash = self._tokens.hash(token.text)
            agent = await self._store.by_token(token_hash, self._clock.now())
        except Unavailable as error:
            raise AuthUnavailable(retry_after=error.retry_after) from error
        if agent is None:
            raise InvalidAgentToken
        # 4. May its holder act?
        agent.require_good_standing()
        self._note_use(token_hash)
        return agent
