"""Owners, agents and sites in memory."""

from collections.abc import Collection
from dataclasses import replace

from lime_server.core.agents import Agent
from lime_server.core.errors import Conflict, NotFound
from lime_server.foundation.owners import Owner
from lime_server.foundation.sites import Site


class MemoryIdentities:
    """What the stores below share: who exists, and whose token is whose."""

    def __init__(self) -> None:
        """Nobody."""
        self.owners: dict[str, Owner] = {}
        self.agents: dict[str, Agent] = {}
        self.agent_tokens: dict[bytes, str] = {}
        self.sites: dict[str, Site] = {}
        self.site_tokens: dict[bytes, str] = {}

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
        return replace(site, suspended=site.suspended or self.owners[site.owner_id].suspended)

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
        self._identities.agent_tokens[token_hash] = agent.agent_id

    async def by_token(self, token_hash: bytes) -> Agent | None:
        """The agent whose token has this hash."""
        return self._identities.agent(self._identities.agent_tokens.get(token_hash))

    async def by_id(self, agent_id: str) -> Agent | None:
        """The agent with this id."""
        return self._identities.agent(agent_id)


class MemorySites:
    """Keeps sites as long as the process lives."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Keep them in `identities`."""
        self._identities = identities

    async def add(self, site: Site, token_hash: bytes) -> None:
        """Keep a new site. Raises `core.errors.NotFound` if there is no such owner."""
        self._identities.require_owner(site.owner_id)
        self._identities.sites[site.site_id] = site
        self._identities.site_tokens[token_hash] = site.site_id

    async def by_token(self, token_hash: bytes) -> Site | None:
        """The site whose token has this hash."""
        site_id = self._identities.site_tokens.get(token_hash)
        return None if site_id is None else self._identities.site(site_id)

    async def suspended(self, site_ids: Collection[str]) -> set[str]:
        """Those of `site_ids` that are suspended, or no longer there."""
        sites = ((site_id, self._identities.site(site_id)) for site_id in site_ids)
        return {site_id for site_id, site in sites if site is None or site.suspended}
