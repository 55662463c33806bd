"""Agents, sites and their tokens in memory, as their owners see and change them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from lime_server.core.agents import Agent
from lime_server.core.held_tokens import HeldToken
from lime_server.core.tokens import TokenKind
from lime_server.foundation.sites import Site
from lime_server.infrastructure.memory.identities import MemoryIdentities, MemoryToken


class MemoryAgentRegistry:
    """What owners do with agents."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Keep them in `identities`."""
        self._identities = identities

    async def lock(self, owner_id: str, agent_id: str) -> Agent | None:
        """This owner's agent; transactions in memory come one at a time."""
        return next((agent for agent in self._of(owner_id) if agent.agent_id == agent_id), None)

    async def page(self, owner_id: str, *, before: str | None, limit: int) -> list[Agent]:
        """At most `limit` of this owner's agents, newest first, with ids below `before`."""
        agents = [x for x in self._of(owner_id) if before is None or x.agent_id < before]
        return sorted(agents, key=lambda agent: agent.agent_id, reverse=True)[:limit]

    async def count(self, owner_id: str) -> int:
        """How many agents this owner has; `MemoryTransactions` lets one in at a time."""
        return len(self._of(owner_id))

    async def change(self, agent: Agent) -> None:
        """Write what an owner may change."""
        self._identities.agents[agent.agent_id] = agent

    async def bury(self, agent_id: str, now: datetime) -> None:
        """Delete it: its tokens go, and it is switched off."""
        agents = self._identities.agents
        agents[agent_id] = replace(agents[agent_id], active=False)
        self._identities.deleted[agent_id] = now
        _drop(self._identities.agent_tokens, agent_id)

    def _of(self, owner_id: str) -> list[Agent]:
        known = map(self._identities.agent, self._identities.agents.keys())
        alive = [agent for agent in known if agent and agent.owner_id == owner_id]
        return [agent for agent in alive if agent.agent_id not in self._identities.deleted]


class MemorySiteRegistry:
    """What owners do with sites."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Keep them in `identities`."""
        self._identities = identities

    async def lock(self, owner_id: str, site_id: str) -> Site | None:
        """This owner's site; transactions in memory come one at a time."""
        return next((site for site in self._of(owner_id) if site.site_id == site_id), None)

    async def page(self, owner_id: str, *, before: str | None, limit: int) -> list[Site]:
        """At most `limit` of this owner's sites, newest first, with ids below `before`."""
        sites = [x for x in self._of(owner_id) if before is None or x.site_id < before]
        return sorted(sites, key=lambda site: site.site_id, reverse=True)[:limit]

    async def count(self, owner_id: str) -> int:
        """How many sites this owner has; `MemoryTransactions` lets one in at a time."""
        return len(self._of(owner_id))

    async def change(self, site: Site) -> None:
        """Write what an owner may change."""
        # `suspended` as it was read says more than what is written here.
        written = self._identities.sites[site.site_id]
        self._identities.sites[site.site_id] = replace(site, suspended=written.suspended)

    async def set_redirect_uris(self, site_id: str, uris: tuple[str, ...]) -> None:
        """Replace the list."""
        self._identities.redirect_uris[site_id] = uris

    async def bury(self, site_id: str, now: datetime) -> None:
        """Delete it: its tokens go, and it is switched off."""
        sites = self._identities.sites
        sites[site_id] = replace(sites[site_id], active=False)
        self._identities.deleted[site_id] = now
        _drop(self._identities.site_tokens, site_id)

    def _of(self, owner_id: str) -> list[Site]:
        known = map(self._identities.site, self._identities.sites.keys())
        alive = [site for site in known if site and site.owner_id == owner_id]
        return [site for site in alive if site.site_id not in self._identities.deleted]


class MemoryHeldTokens:
    """The tokens of agents, or of sites."""

    def __init__(self, identities: MemoryIdentities, kind: TokenKind) -> None:
        """Keep those of `kind` in `identities`."""
        self._identities = identities
        self._kind = kind
        agents = kind is TokenKind.AGENT
        self._tokens = identities.agent_tokens if agents else identities.site_tokens

    async def of(self, holder_id: str, now: datetime) -> list[HeldToken]:
        """Those that work at `now`, newest first."""
        held = [x.held for x in self._tokens.values() if x.holder_id == holder_id]
        working = [token for token in held if token.works_at(now)]
        return sorted(working, key=lambda token: (token.created_at, token.token_id), reverse=True)

    async def rotate(
        self, holder_id: str, new: HeldToken, token_hash: bytes, *, old_until: datetime
    ) -> None:
        """Keep `new`; the others expire at `old_until`, or earlier where they did already."""
        for hashed, token in list(self._tokens.items()):
            if token.holder_id != holder_id:
                continue
            if not token.held.works_at(new.created_at):
                del self._tokens[hashed]
            elif token.held.works_at(old_until):
                held = replace(token.held, expires_at=old_until)
                self._tokens[hashed] = MemoryToken(holder_id, held)
        self._tokens[token_hash] = MemoryToken(holder_id, new)

    async def touch(self, uses: Mapping[bytes, datetime], *, every: timedelta) -> None:
        """Note when tokens, by hash, were last used; of their holders too."""
        for hashed, used_at in uses.items():
            token = self._tokens.get(hashed)
            if token is None:
                continue
            before = token.held.last_used_at
            if before is None or before <= used_at - every:
                held = replace(token.held, last_used_at=used_at)
                self._tokens[hashed] = MemoryToken(token.holder_id, held)
                self._touch_holder(token.holder_id, used_at)

    def _touch_holder(self, holder_id: str, used_at: datetime) -> None:
        if self._kind is TokenKind.AGENT:
            agents = self._identities.agents
            agents[holder_id] = replace(agents[holder_id], last_used_at=used_at)
        else:
            sites = self._identities.sites
            sites[holder_id] = replace(sites[holder_id], last_used_at=used_at)


def _drop(tokens: dict[bytes, MemoryToken], holder_id: str) -> None:
    for hashed, token in list(tokens.items()):
        if token.holder_id == holder_id:
            del tokens[hashed]
