"""Two owners with agents and sites, on in-memory twins and on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from lime_server.composition.registry import RegistryParts, open_registry
from lime_server.core.agents import Agents
from lime_server.foundation.audit import Audit
from lime_server.foundation.owners import Owners
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.memory.identities import (
    MemoryAgents,
    MemoryIdentities,
    MemoryOwners,
    MemorySites,
)
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.memory.site_login import MemoryEvents, MemoryLogins, MemorySiteLogin
from lime_server.infrastructure.memory.tally import MemoryTally
from lime_server.infrastructure.postgres.audit import PostgresAudit
from lime_server.infrastructure.postgres.events import PostgresEvents
from lime_server.infrastructure.postgres.identities import PostgresOwners
from lime_server.infrastructure.postgres.logins import PostgresLogins
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.modules.agents.service import OwnedAgents
from lime_server.modules.delivery_monitor.service import DeliveryMonitor, MonitorTiming
from lime_server.modules.site_login.delivery import Delivery, DeliveryTiming
from lime_server.modules.site_login.model import Event, Login, State
from lime_server.modules.site_login.presence import Presence
from lime_server.modules.sites.service import OwnedSites
from tests.support.registry import MemoryProofs, memory_registry
from tests.support.trust import memory_trust

SECRETS = Secrets.derived_from(bytes(range(32)))
SERVER = "0190a2b4-0000-7000-8000-00000000aaaa"
NOBODY = "0190a2b4-0000-7000-8000-000000000000"
WINDOW = timedelta(seconds=300)


@dataclass
class World:
    """Services over one kind of store."""

    clock: ManualClock
    owners: Owners
    agents: Agents
    sites: Sites
    registry: RegistryParts
    transactions: object
    audit: Audit
    logins: object
    events: object
    proofs: MemoryProofs

    def __post_init__(self) -> None:
        self.bell = MemoryBell()
        shared = {
            "transactions": self.transactions,
            "audit": self.audit,
            "clock": self.clock,
        }
        self.owned_agents = OwnedAgents(
            agents=self.agents,
            registry=self.registry.agents,
            tokens=self.registry.agent_tokens,
            **shared,
        )
        self.owned_sites = OwnedSites(
            sites=self.sites,
            registry=self.registry.sites,
            tokens=self.registry.site_tokens,
            proofs=self.proofs,
            proof_secrets=SECRETS.domains,
            slowing=self.registry.limiter,
            loopback_too=False,
            **shared,
        )
        self.delivery = Delivery(
            events=self.events,
            standing=SimpleNamespace(),
            bell=self.bell,
            tally=MemoryTally(),
            clock=self.clock,
            timing=DeliveryTiming(60, timedelta(seconds=10)),
        )
        # As while it runs, without its loop.
        self.bell.listen(self.delivery._heard)
        self.presence = Presence(
            seats=self.delivery,
            store=self.registry.presence,
            clock=self.clock,
            server_id=SERVER,
            interval=0.005,
        )
        self.monitor = DeliveryMonitor(
            sites=self.sites,
            events=self.registry.deliveries,
            open_streams=self.presence,
            streams=self.delivery,
            bell=self.bell,
            slowing=self.registry.limiter,
            timing=MonitorTiming(look_every=0.01, pause=0.001, keepalive=60, lifetime=60),
            **shared,
        )

    async def settle(self) -> None:
        self.ada = (await self.owners.create("ada@example.com")).owner_id
        self.bob = (await self.owners.create("bob@example.com")).owner_id
        self.agent, self.agent_token = await self.agents.register(self.ada, "Agent")
        self.site, self.site_token = await self.sites.register(self.ada, "Shop")
        self.strange_agent, _ = await self.agents.register(self.bob, "Strange agent")
        self.strange_site, _ = await self.sites.register(self.bob, "Strange site")

    async def login(self, state: State = State.APPROVED, agent=None, site=None) -> str:
        """The id of a request of `site` that stands so, a little later than the last one."""
        from lime_server.core.ids import new_id

        self.clock.advance(0.01)
        now = self.clock.now()
        agent, site = agent or self.agent, site or self.site
        login = Login(
            request_id=new_id(now),
            site_id=site.site_id,
            state=State.PENDING,
            challenge="c" * 43,
            difficulty=1,
            redirect_url=None,
            created_at=now,
            expires_at=now + WINDOW,
        )
        await self.logins.add(login)
        if state is not State.PENDING:
            decide = login.denied_by if state is State.DENIED else login.approved_by
            new = decide(agent, now)
            event = Event.telling(new, now=now, window=WINDOW)
            assert await self.logins.decide(login, new, event)
        if state is State.DELIVERED:
            await self.events.acknowledge(site.site_id, [login.request_id], now)
        return login.request_id

    async def log(self, owner_id: str | None = None) -> list[str]:
        """What was done, latest first."""
        entries = await self.audit.page(owner_id or self.ada, limit=100)
        return [entry.action for entry in entries]


@asynccontextmanager
async def memory_world(clock: ManualClock) -> AsyncIterator[World]:
    identities = MemoryIdentities()
    shared, proofs = MemorySiteLogin(identities), MemoryProofs()
    trust = memory_trust(identities, clock)
    registry = memory_registry(shared, clock, proofs=proofs)
    agent_use, site_use = registry.uses
    yield World(
        clock=clock,
        owners=Owners(MemoryOwners(identities), clock),
        agents=Agents(MemoryAgents(identities), SECRETS.tokens, clock, note_use=agent_use.note),
        sites=Sites(MemorySites(identities), SECRETS.tokens, clock, note_use=site_use.note),
        registry=registry,
        transactions=trust.transactions,
        audit=trust.audit,
        logins=MemoryLogins(shared),
        events=MemoryEvents(shared),
        proofs=proofs,
    )


@asynccontextmanager
async def postgres_world(url: str, clock: ManualClock) -> AsyncIterator[World]:
    async with open_database(url, size=4, patience=10) as database:
        limiter, proofs = MemoryLimiter(lambda: 0.0), MemoryProofs()
        holders = open_registry(database, SECRETS, limiter=limiter, clock=clock)
        yield World(
            clock=clock,
            owners=Owners(PostgresOwners(database), clock),
            agents=holders.agents,
            sites=holders.sites,
            registry=replace(holders.registry, proofs=proofs),
            transactions=database,
            audit=Audit(
                PostgresAudit(database), transactions=database, seals=SECRETS.audit, clock=clock
            ),
            logins=PostgresLogins(database),
            events=PostgresEvents(database),
            proofs=proofs,
        )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[World]:
    """The same on each kind of store."""
    if request.param == "memory":
        opened = memory_world(clock)
    else:
        opened = postgres_world(request.getfixturevalue("migrated_postgres_url"), clock)
    async with opened as made:
        await made.settle()
        yield made


@pytest.fixture
async def small_world(clock: ManualClock) -> AsyncIterator[World]:
    """In memory, for what does not depend on the kind of store."""
    async with memory_world(clock) as made:
        await made.settle()
        yield made
