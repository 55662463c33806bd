"""What an owner does with agents. Every change and its line in the audit log are one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from lime_server.core.agents import CAPABILITIES, Agent, Agents
from lime_server.core.clock import Clock
from lime_server.core.errors import Conflict, InvalidInput, NotFound
from lime_server.core.held_tokens import HeldToken, HeldTokens
from lime_server.core.ids import parse_id
from lime_server.core.pages import Page, page, parse_cursor
from lime_server.core.ports import Transactions
from lime_server.core.tokens import Token
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.modules.agents.ports import AgentRegistry

MAX_AGENTS = 1000
"""Agents of one owner: more than a fleet that people still tell apart by name."""


class OwnedAgents:
    """The owner's side of agents. `owner_id` is always that of the session that asks."""

    def __init__(
        self,
        *,
        agents: Agents,
        registry: AgentRegistry,
        tokens: HeldTokens,
        transactions: Transactions,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """Put the parts together."""
        self._agents = agents
        self._registry = registry
        self._tokens = tokens
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    async def register(
        self,
        owner_id: str,
        display_name: str,
        *,
        description: str | None,
        avatar_url: str | None,
    ) -> tuple[Agent, Token]:
        """Make an agent; its token is returned once.

        Raises InvalidInput for a text that is none, and Conflict beyond MAX_AGENTS.
        """
        async with self._transactions.transaction():
            if await self._registry.count(owner_id) >= MAX_AGENTS:
                raise Conflict(f"An owner has at most {MAX_AGENTS} agents: delete one first.")
            agent, token = await self._agents.register(
                owner_id, display_name, description=description, avatar_url=avatar_url
            )
            await self._record("agent.registered", agent, {"display_name": agent.display_name})
        return agent, token

    async def page(
        self, owner_id: str, *, unverified_cursor: str | None, limit: int
    ) -> Page[Agent]:
        """This owner's agents, newest first. Raises InvalidInput for a cursor that is none."""
        before = parse_cursor(unverified_cursor)
        rows = await self._registry.page(owner_id, before=before, limit=limit + 1)
        return page(rows, limit, lambda agent: agent.agent_id)

    async def read(self, owner_id: str, unverified_id: str) -> Agent:
        """This owner's agent. Raises NotFound for any other."""
        return await self._agents.owned_by(owner_id, unverified_id)

    async def change(
        self, owner_id: str, unverified_id: str, edit: Callable[[Agent], Agent]
    ) -> Agent:
        """Make of this owner's agent what `edit` makes of it. Raises NotFound, and what that does.

        What it changed is written to the audit log, by name. No change leaves no trace.
        """
        async with self._transactions.transaction():
            # 1. As it is now, and stays until we are done.
            old = await self._locked(owner_id, unverified_id)
            # 2. Decide, in memory.
            new = edit(old)
            changed = [name for name in _CHANGEABLE if getattr(old, name) != getattr(new, name)]
            # 3. Both, or neither.
            if changed:
                await self._registry.change(new)
                await self._record("agent.changed", new, {n: _shown(new, n) for n in changed})
        return new

    async def set_capabilities(
        self, owner_id: str, unverified_id: str, capabilities: frozenset[str]
    ) -> Agent:
        """Let this owner's agent do these things and no others.

        Raises InvalidInput for one that does not exist, and NotFound.
        """
        if unknown := sorted(capabilities - CAPABILITIES):
            raise InvalidInput(
                "There are no such capabilities.",
                detail={"field": "capabilities", "unknown": unknown, "known": sorted(CAPABILITIES)},
            )
        return await self.change(
            owner_id, unverified_id, lambda agent: replace(agent, capabilities=capabilities)
        )

    async def delete(self, owner_id: str, unverified_id: str) -> None:
        """Delete this owner's agent for good. Raises NotFound."""
        async with self._transactions.transaction():
            agent = await self._locked(owner_id, unverified_id)
            await self._registry.bury(agent.agent_id, self._clock.now())
            await self._record("agent.deleted", agent, {"display_name": agent.display_name})

    async def tokens(self, owner_id: str, unverified_id: str) -> list[HeldToken]:
        """The tokens of this owner's agent that work now, newest first. Raises NotFound."""
        agent = await self.read(owner_id, unverified_id)
        return await self._tokens.of(agent.agent_id)

    async def rotate(
        self, owner_id: str, unverified_id: str, overlap: timedelta
    ) -> tuple[HeldToken, Token]:
        """A new token, returned once; the others work for `overlap`.

        Raises what `HeldTokens.rotate` raises, and NotFound.
        """
        async with self._transactions.transaction():
            agent = await self._locked(owner_id, unverified_id)
            held, token = await self._tokens.rotate(agent.agent_id, overlap)
            detail = {"token_id": held.token_id, "overlap_seconds": int(overlap.total_seconds())}
            await self._record("agent.token.rotated", agent, detail)
        return held, token

    async def _locked(self, owner_id: str, unverified_id: str) -> Agent:
        agent_id = parse_id(unverified_id)
        agent = None if agent_id is None else await self._registry.lock(owner_id, agent_id)
        if agent is None:
            raise NotFound
        return agent

    async def _record(self, action: str, agent: Agent, detail: Mapping[str, object]) -> None:
        await self._audit.record(
            action,
            owner_id=agent.owner_id,
            actor=Actor("owner", agent.owner_id),
            target=Target("agent", agent.agent_id),
            detail=detail,
        )


_CHANGEABLE = ("display_name", "description", "avatar_url", "active", "capabilities")


def _shown(agent: Agent, name: str) -> object:
    value = getattr(agent, name)
    return sorted(value) if isinstance(value, frozenset) else value
