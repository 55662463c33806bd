"""Owners, agents and sites in memory."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from lime_server.core.agents import Agent
from lime_server.core.errors import Conflict, NotFound
from lime_server.core.held_tokens import HeldToken
from lime_server.core.ids import new_id
from lime_server.foundation.owners import Owner
from lime_server.foundation.sites import Site


@dataclass(frozen=True, slots=True)
class MemoryToken:
    """A token and whose it is."""

    holder_id: str
    held: HeldToken

    @classmethod
    def first(cls, holder_id: str, made: datetime) -> "MemoryToken":
        """The token that a new agent or site has."""
        return cls(holder_id, HeldToken(new_id(made), made))


class MemoryIdentities:
    """What the stores below share: who exists, and whose token is whose."""

    def __init__(self) -> None:
        """Nobody."""
        self.owners: dict[str, Owner] = {}
        self.agents: dict[str, Agent] = {}
        self.agent_tokens: dict[bytes, MemoryToken] = {}
        self.sites: dict[str, Site] = {}
        self.site_tokens: dict[bytes, MemoryToken] = {}
        self.redirect_uris: dict[str, tuple[str, ...]] = {}
        self.deleted: dict[str, datetime] = {}
        """When agents and sites, by id, were deleted: they left a tombstone."""

    def agent(self, agent_id: str | None) -> Agent | None:
        """The agent with its owner's standing as it is now."""
        agent = None if agent_id is None else self.agents.get(agent_id)
        if agent is None:
            return None
        owner = self.owners[agent.owner_id]
        return replace(agent, owner_suspended=owner.suspended, kyc_level=owner.kyc_level)

    def site(self, site_id: str) -> Site | None:
        """The site, suspended if its owner is."""
        site = self.sites.get(site_id)
        if site is None:
            return None
        suspended = site.suspended or self.owners[site.owner_id].suspended or not site.active
        return replace(site, suspended=suspended)

    def require_owner(self, owner_id: str) -> None:
        """Raise `core.errors.NotFound` if there is no such owner."""
        if owner_id not in self.owners:
            raise NotFound("There is no such owner.")


class MemoryOwners:
    """Keeps owners as long as the process lives."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Keep them in `identities`."""
        self._identities = identities

    async def add(self, owner: Owner) -> None:
        """Keep a new owner. Raises `core.errors.Conflict` if the address is taken."""
        if await self.by_email(owner.email):
            raise Conflict("There is an owner with this address.")
        self._identities.owners[owner.owner_id] = owner

    async def by_email(self, email: str) -> Owner | None:
        """The owner with this address, in lower case."""
        owners = self._identities.owners.values()
        return next((owner for owner in owners if owner.email == email), None)

    async def by_id(self, owner_id: str) -> Owner | None:
        """The owner with this id."""
        return self._identities.owners.get(owner_id)


class MemoryAgents:
    """Keeps agents as long as the process lives."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Keep them in `identities`."""
        self._identities = identities

    async def add(self, agent: Agent, token_hash: bytes) -> None:
        """Keep a new agent. Raises `core.errors.NotFound` if there is no such owner."""
        self._identities.require_owner(agent.owner_id)
        self._identities.agents[agent.agent_id] = agent
        token = MemoryToken.first(agent.agent_id, agent.created_at)
        self._identities.agent_tokens[token_hash] = token

    async def by_token(self, token_hash: bytes, now: datetime) -> Agent | None:
        """The agent whose token, which works at `now`, has this hash."""
        token = self._identities.agent_tokens.get(token_hash)
        works = token is not None and token.held.works_at(now)
        return self._identities.agent(token.holder_id) if token and works else None

    async def by_id(self, agent_id: str) -> Agent | None:
        """The agent with this id, unless it was deleted."""
        return None if agent_id in self._identities.deleted else self._identities.agent(agent_id)


class MemorySites:
    """Keeps sites as long as the process lives."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Keep them in `identities`."""
        self._identities = identities

    async def add(self, site: Site, token_hash: bytes) -> None:
        """Keep a new site. Raises `core.errors.NotFound` if there is no such owner."""
        self._identities.require_owner(site.owner_id)
        self._identities.sites[site.site_id] = site
        token = MemoryToken.first(site.site_id, site.created_at)
        self._identities.site_tokens[token_hash] = token

    async def by_token(self, token_hash: bytes, now: datetime) -> Site | None:
        """The site whose token, which works at `now`, has this hash."""
        token = self._identities.site_tokens.get(token_hash)
        works = token is not None and token.held.works_at(now)
        return self._identities.site(token.holder_id) if token and works else None

    async def by_id(self, site_id: str) -> Site | None:
        """The site with this id, unless it was deleted."""
        return None if site_id in self._identities.deleted else self._identities.site(site_id)

    async def redirect_uris(self, site_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Where browsers may be sent back to, for each of these sites that there is."""
        known = self._identities.sites.keys() & set(site_ids)
        return {site_id: self._identities.redirect_uris.get(site_id, ()) for site_id in known}

    async def suspended(self, site_ids: Collection[str]) -> set[str]:
        """Those of `site_ids` that are suspended, or no longer there."""
        sites = ((site_id, self._identities.site(site_id)) for site_id in site_ids)
        return {site_id for site_id, site in sites if site is None or site.suspended}

    async def spent(self, token_hashes: Collection[bytes], now: datetime) -> set[bytes]:
        """Those of these tokens, by hash, that let no site in at `now` (any more)."""
        known = self._identities.site_tokens
        return {
            token_hash
            for token_hash in token_hashes
            if token_hash not in known or not known[token_hash].held.works_at(now)
        }
