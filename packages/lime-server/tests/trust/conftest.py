"""Owners with an agent and a site, and those who watch over them, on both kinds of stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from lime_server.core.agents import Agents
from lime_server.foundation.audit import Audit
from lime_server.foundation.kyc import Kyc, KycProvider
from lime_server.foundation.operators import Kind, Operators
from lime_server.foundation.owners import Owner, Owners
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.kyc import ManualKyc, ScriptedKyc
from lime_server.infrastructure.memory.audit import MemoryAudit
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.memory.identities import (
    MemoryAgents,
    MemoryIdentities,
    MemoryOwners,
    MemorySites,
)
from lime_server.infrastructure.memory.kyc import MemoryKyc
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.memory.operators import MemoryOperators
from lime_server.infrastructure.memory.transactions import MemoryTransactions
from lime_server.infrastructure.postgres.audit import PostgresAudit
from lime_server.infrastructure.postgres.identities import (
    PostgresAgents,
    PostgresOwners,
    PostgresSites,
)
from lime_server.infrastructure.postgres.kyc import PostgresKyc
from lime_server.infrastructure.postgres.operators import PostgresOperators
from lime_server.infrastructure.postgres.pool import open_database

SECRETS = Secrets.derived_from(bytes(range(32)))
WEBHOOK_SECRET = b"a secret of thirty-two characters"
PDF = b"%PDF-1.7 who I am"
PNG = b"\x89PNG\r\n\x1a\n my face"


@dataclass
class Stores:
    """One kind of stores."""

    transactions: object
    log: object
    operators: object
    kyc: object
    owners: object
    agents: object
    sites: object
    database: object = None


def memory_stores() -> Stores:
    known = MemoryIdentities()
    log, cases = MemoryAudit(), MemoryKyc(known)
    return Stores(
        MemoryTransactions(known, log, cases),
        log,
        MemoryOperators(known),
        cases,
        MemoryOwners(known),
        MemoryAgents(known),
        MemorySites(known),
    )


@asynccontextmanager
async def postgres_stores(url: str) -> AsyncIterator[Stores]:
    async with open_database(url, size=4, patience=10) as database:
        yield Stores(
            database,
            PostgresAudit(database),
            PostgresOperators(database),
            PostgresKyc(database, SECRETS.documents),
            PostgresOwners(database),
            PostgresAgents(database),
            PostgresSites(database),
            database,
        )


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    """Both obey the same rules."""
    if request.param == "memory":
        yield memory_stores()
        return
    async with postgres_stores(request.getfixturevalue("migrated_postgres_url")) as made:
        yield made


class World:
    """The services over one kind of stores, and two operators with an owner to watch over."""

    def __init__(self, stores: Stores, clock: ManualClock) -> None:
        self.stores = stores
        self.clock = clock
        self.audit = Audit(
            stores.log, transactions=stores.transactions, seals=SECRETS.audit, clock=clock
        )
        self.owners = Owners(stores.owners, clock)
        self.agents = Agents(stores.agents, SECRETS.tokens, clock)
        self.sites = Sites(stores.sites, SECRETS.tokens, clock)
        self.operators = Operators(
            stores.operators,
            owners=self.owners,
            transactions=stores.transactions,
            audit=self.audit,
        )
        self.kyc = self.reviewed_by(ManualKyc())

    def reviewed_by(self, provider: KycProvider) -> Kyc:
        """KYC with this provider."""
        return Kyc(
            self.stores.kyc,
            provider,
            reviewers=self.stores.operators,
            transactions=self.stores.transactions,
            audit=self.audit,
            clock=self.clock,
            limiter=MemoryLimiter(lambda: self.clock.now().timestamp()),
        )

    async def settle(self) -> None:
        """Let everybody move in."""
        self.owner: Owner = await self.owners.create("ada@example.com")
        self.clock.advance(1)
        self.operator: Owner = await self.operators.create("ops@example.com")
        self.clock.advance(1)
        self.other: Owner = await self.operators.create("ops2@example.com")
        self.agent, self.agent_token = await self.agents.register(self.owner.owner_id, "Agent")
        self.site, self.site_token = await self.sites.register(self.owner.owner_id, "Shop")
        self.ids = {
            Kind.OWNER: self.owner.owner_id,
            Kind.AGENT: self.agent.agent_id,
            Kind.SITE: self.site.site_id,
        }

    async def log(self, owner: Owner) -> list[tuple[str, str]]:
        """Who did what, as this owner's chain tells it."""
        return [(e.actor.kind, e.action) async for e in self.audit.entries(owner.owner_id)]

    async def owner_now(self, owner: Owner) -> Owner:
        """The owner as they stand."""
        found = await self.stores.owners.by_id(owner.owner_id)
        assert found is not None
        return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def world(stores: Stores, clock: ManualClock) -> World:
    made = World(stores, clock)
    await made.settle()
    return made


@pytest.fixture
async def postgres_world(migrated_postgres_url: str, clock: ManualClock) -> AsyncIterator[World]:
    """A world on PostgreSQL, for what only a database can do."""
    async with postgres_stores(migrated_postgres_url) as stores:
        made = World(stores, clock)
        await made.settle()
        yield made


@pytest.fixture
async def small_world(clock: ManualClock) -> World:
    """A world in memory, for what does not depend on the kind of store."""
    made = World(memory_stores(), clock)
    await made.settle()
    return made


@pytest.fixture
def help_() -> SimpleNamespace:
    """What tests call; fixtures are how they get at it without importing this file."""
    return SimpleNamespace(
        SECRETS=SECRETS,
        WEBHOOK_SECRET=WEBHOOK_SECRET,
        PDF=PDF,
        PNG=PNG,
        ScriptedKyc=lambda: ScriptedKyc(WEBHOOK_SECRET),
    )
