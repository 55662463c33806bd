"""Owners with agents, a site that asks for bindings, and both kinds of stores."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

import lime_jwt
from lime_server.core.agents import Agents
from lime_server.core.errors import Unavailable
from lime_server.foundation.audit import Audit
from lime_server.foundation.owners import Owners
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.audit import MemoryAudit
from lime_server.infrastructure.memory.binding import MemoryBindings
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.memory.identities import (
    MemoryAgents,
    MemoryIdentities,
    MemoryOwners,
    MemorySites,
)
from lime_server.infrastructure.memory.transactions import MemoryTransactions
from lime_server.infrastructure.postgres.audit import PostgresAudit
from lime_server.infrastructure.postgres.binding import PostgresBindings
from lime_server.infrastructure.postgres.identities import (
    PostgresAgents,
    PostgresOwners,
    PostgresSites,
)
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.modules.binding.passports import BindingPassports
from lime_server.modules.binding.service import BindingRules, Bindings, Claim, Wish

ISSUER = "https://lime.example"
CALLBACK = "https://shop.example/lime?from=account"
SECRETS = Secrets.derived_from(bytes(range(32)))
RULES = BindingRules(
    lifetime=timedelta(minutes=10),
    code_lifetime=timedelta(seconds=60),
    retention=timedelta(days=7),
)


class OneKey:
    """Signs with one key, while it may."""

    def __init__(self, key: lime_jwt.SigningKey) -> None:
        self._key = key
        self.away = False

    async def sign(self, claims: object, *, typ: str) -> str:
        if self.away:
            raise Unavailable(retry_after=1)
        return self._key.sign(claims, typ=typ)


@dataclass
class Backend:
    """The stores, and levers that no store has."""

    owners: object
    agents: object
    sites: object
    bindings: object
    audit: object
    transactions: object
    suspend_owner: Callable[[str, bool], Awaitable[None]]
    suspend_site: Callable[[str], Awaitable[None]]
    switch_agent: Callable[[str, bool], Awaitable[None]]
    list_uri: Callable[[str, str], Awaitable[None]]


@asynccontextmanager
async def memory_backend() -> AsyncIterator[Backend]:
    known, audit = MemoryIdentities(), MemoryAudit()
    bindings = MemoryBindings(known)

    async def suspend_owner(owner_id: str, suspended: bool) -> None:
        known.owners[owner_id] = replace(known.owners[owner_id], suspended=suspended)

    async def suspend_site(site_id: str) -> None:
        known.sites[site_id] = replace(known.sites[site_id], suspended=True)

    async def switch_agent(agent_id: str, active: bool) -> None:
        known.agents[agent_id] = replace(known.agents[agent_id], active=active)

    async def list_uri(site_id: str, uri: str) -> None:
        known.redirect_uris[site_id] = (uri,)

    yield Backend(
        MemoryOwners(known),
        MemoryAgents(known),
        MemorySites(known),
        bindings,
        audit,
        MemoryTransactions(known, bindings, audit),
        suspend_owner,
        suspend_site,
        switch_agent,
        list_uri,
    )


@asynccontextmanager
async def postgres_backend(url: str) -> AsyncIterator[Backend]:
    async with open_database(url, size=4, patience=10) as database:

        async def suspend_owner(owner_id: str, suspended: bool) -> None:
            await database.execute(
                "UPDATE foundation.owners SET suspended = $2 WHERE owner_id = $1",
                owner_id,
                suspended,
            )

        async def suspend_site(site_id: str) -> None:
            await database.execute(
                "UPDATE foundation.sites SET suspended = true WHERE site_id = $1", site_id
            )

        async def switch_agent(agent_id: str, active: bool) -> None:
            await database.execute(
                "UPDATE core.agents SET active = $2 WHERE agent_id = $1", agent_id, active
            )

        async def list_uri(site_id: str, uri: str) -> None:
            await database.execute(
                "UPDATE foundation.sites SET redirect_uris = $2 WHERE site_id = $1", site_id, [uri]
            )

        yield Backend(
            PostgresOwners(database),
            PostgresAgents(database),
            PostgresSites(database),
            PostgresBindings(database),
            PostgresAudit(database),
            database,
            suspend_owner,
            suspend_site,
            switch_agent,
            list_uri,
        )


@dataclass
class World:
    """One server's parts, and somebody to use them."""

    backend: Backend
    clock: ManualClock
    signer: OneKey
    key: lime_jwt.SigningKey

    def __post_init__(self) -> None:
        stores = self.backend
        self.owners = Owners(stores.owners, self.clock)
        self.agents = Agents(stores.agents, SECRETS.tokens, self.clock)
        self.sites = Sites(stores.sites, SECRETS.tokens, self.clock)
        self.audit = Audit(
            stores.audit,
            transactions=stores.transactions,
            seals=SECRETS.tokens,
            clock=self.clock,
        )
        self.passports = BindingPassports(signer=self.signer, clock=self.clock, issuer=ISSUER)
        self.bindings = Bindings(
            store=stores.bindings,
            agents=self.agents,
            redirect_uris=self.sites,
            standing=stores.sites,
            tokens=SECRETS.tokens,
            passports=self.passports,
            audit=self.audit,
            transactions=stores.transactions,
            clock=self.clock,
            rules=RULES,
        )

    async def settle(self) -> None:
        """Ada has two agents; Bob has an agent and two sites."""
        self.ada = (await self.owners.create("ada@example.com")).owner_id
        self.bob = (await self.owners.create("bob@example.com")).owner_id
        self.agent, _ = await self.agents.register(self.ada, "Agent")
        self.second, _ = await self.agents.register(self.ada, "Second")
        self.stranger, _ = await self.agents.register(self.bob, "Stranger")
        self.site, self.site_token = await self.sites.register(
            self.bob, "Shop", domain="shop.example"
        )
        self.other, self.other_token = await self.sites.register(self.bob, "Other")
        for site in (self.site, self.other):
            await self.backend.list_uri(site.site_id, CALLBACK)

    async def asked(self, **wish: str) -> str:
        """The id of a new request, a little later than the last one."""
        self.clock.advance(0.001)
        return (
            await self.bindings.create(self.site, Wish(redirect_uri=CALLBACK, **wish))
        ).binding_id

    async def approved(self, **wish: str) -> str:
        """The code of a request that Ada approved for her agent."""
        return await self.code_of(await self.asked(**wish))

    async def code_of(self, binding_id: str) -> str:
        """The code that Ada's approval of this request makes."""
        url = await self.bindings.approve(self.ada, binding_id, self.agent.agent_id)
        return query_of(url)["binding_code"]

    async def made(self) -> str:
        """The id of a binding that was made."""
        claim = Claim(code=await self.approved())
        return (await self.bindings.exchange(self.site, claim)).binding.binding_id

    def claims(self, passport: str, **expected: str) -> dict[str, object]:
        """The proven claims of a binding passport."""
        keys = lime_jwt.JwkSet.parse(lime_jwt.encode_jwks([self.key]), issuer=ISSUER)
        expect = lime_jwt.Expectation.binding(
            **{"site_id": self.site.site_id, **expected}, leeway=0
        )
        now = int(self.clock.now().timestamp())
        return lime_jwt.verify(passport, keys=keys, expect=expect, now=now)

    async def actions(self, owner_id: str) -> list[tuple[str, str, str]]:
        """What this owner's audit log says: action, kind of actor, id of target; oldest first."""
        return [
            (entry.action, entry.actor.kind, entry.target.id)
            async for entry in self.audit.entries(owner_id)
            if entry.action.startswith("binding.")
        ]


def query_of(url: str) -> dict[str, str]:
    """The query of a URL; every name once."""
    query = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert {len(values) for values in query.values()} == {1}
    return {name: values[0] for name, values in query.items()}


@pytest.fixture(scope="session")
def signing_key() -> lime_jwt.SigningKey:
    return lime_jwt.SigningKey.generate()


@pytest.fixture(params=["memory", "postgres"])
async def world(
    request: pytest.FixtureRequest, signing_key: lime_jwt.SigningKey
) -> AsyncIterator[World]:
    """Both kinds of stores obey the same rules."""
    if request.param == "memory":
        opened = memory_backend()
    else:
        opened = postgres_backend(request.getfixturevalue("migrated_postgres_url"))
    async with opened as backend:
        made = World(backend, ManualClock(), OneKey(signing_key), signing_key)
        await made.settle()
        yield made


@pytest.fixture
async def small_world(signing_key: lime_jwt.SigningKey) -> AsyncIterator[World]:
    """In memory only, for what does not depend on the kind of store."""
    async with memory_backend() as backend:
        made = World(backend, ManualClock(), OneKey(signing_key), signing_key)
        await made.settle()
        yield made


@pytest.fixture
def help_() -> SimpleNamespace:
    """What tests call."""
    return SimpleNamespace(
        CALLBACK=CALLBACK, RULES=RULES, SECRETS=SECRETS, ISSUER=ISSUER, query_of=query_of
    )
