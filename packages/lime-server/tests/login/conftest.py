"""A small world of owners, agents and sites, on in-memory twins and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest

import lime_jwt
import lime_pow
from lime_server.composition import build
from lime_server.composition.parts import Parts
from lime_server.core.agents import Agent, Agents
from lime_server.core.keyring import KeyRing, Keys
from lime_server.core.keys import Key, KeyState, Rules
from lime_server.foundation.owners import Owner, Owners
from lime_server.foundation.sites import Site, Sites
from lime_server.infrastructure.crypto import Puzzles, RingSigner, Secrets
from lime_server.infrastructure.memory.answers import MemoryAnswers
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.binding import MemoryBindings
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.memory.identities import (
    MemoryAgents,
    MemoryIdentities,
    MemoryOwners,
    MemorySites,
)
from lime_server.infrastructure.memory.keys import MemoryKeys
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.memory.mcp_oauth import MemoryOAuth
from lime_server.infrastructure.memory.site_login import MemoryEvents, MemoryLogins, MemorySiteLogin
from lime_server.infrastructure.memory.tally import MemoryTally
from lime_server.infrastructure.postgres.events import PostgresEvents
from lime_server.infrastructure.postgres.identities import (
    PostgresAgents,
    PostgresOwners,
    PostgresSites,
)
from lime_server.infrastructure.postgres.logins import PostgresLogins
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.modules.site_login.delivery import Delivery, DeliveryTiming
from lime_server.modules.site_login.passports import Passports
from lime_server.modules.site_login.service import LoginRules, SiteLogin
from lime_server.modules.site_login.stream import StreamParts, StreamTiming
from lime_server.modules.site_login.sweep import Sweep, SweepRules
from lime_server.settings import Settings
from tests.support.accounts import memory_accounts
from tests.support.oauth import memory_oauth
from tests.support.registry import memory_registry
from tests.support.trust import memory_trust

ISSUER = "https://lime.example"
SECRETS = Secrets.derived_from(bytes(range(32)))
LIFETIME = timedelta(seconds=300)
WINDOW = timedelta(seconds=300)
LEASE = timedelta(seconds=10)


class Broken:
    """A store whose engine is away: every operation raises what it was given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        async def fail(*_: object, **__: object) -> object:
            raise self._error

        return fail


@dataclass
class Backend:
    """The stores, and levers that no store has."""

    owners: object
    agents: object
    sites: object
    logins: object
    events: object
    suspend_owner: Callable[[str, bool], Awaitable[None]]
    suspend_site: Callable[[str, bool], Awaitable[None]]
    switch_agent: Callable[[str, bool], Awaitable[None]]
    delete_agent: Callable[[str], Awaitable[None]]


@asynccontextmanager
async def memory_backend() -> AsyncIterator[Backend]:
    identities = MemoryIdentities()
    shared = MemorySiteLogin(identities)

    async def suspend_owner(owner_id: str, suspended: bool) -> None:
        identities.owners[owner_id] = replace(identities.owners[owner_id], suspended=suspended)

    async def suspend_site(site_id: str, suspended: bool) -> None:
        identities.sites[site_id] = replace(identities.sites[site_id], suspended=suspended)

    async def switch_agent(agent_id: str, active: bool) -> None:
        identities.agents[agent_id] = replace(identities.agents[agent_id], active=active)

    async def delete_agent(agent_id: str) -> None:
        del identities.agents[agent_id]

    yield Backend(
        MemoryOwners(identities),
        MemoryAgents(identities),
        MemorySites(identities),
        MemoryLogins(shared),
        MemoryEvents(shared),
        suspend_owner,
        suspend_site,
        switch_agent,
        delete_agent,
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

        async def suspend_site(site_id: str, suspended: bool) -> None:
            await database.execute(
                "UPDATE foundation.sites SET suspended = $2 WHERE site_id = $1", site_id, suspended
            )

        async def switch_agent(agent_id: str, active: bool) -> None:
            await database.execute(
                "UPDATE core.agents SET active = $2 WHERE agent_id = $1", agent_id, active
            )

        async def delete_agent(agent_id: str) -> None:
            await database.execute("DELETE FROM core.agents WHERE agent_id = $1", agent_id)

        yield Backend(
            PostgresOwners(database),
            PostgresAgents(database),
            PostgresSites(database),
            PostgresLogins(database),
            PostgresEvents(database),
            suspend_owner,
            suspend_site,
            switch_agent,
            delete_agent,
        )


@pytest.fixture(params=["memory", "postgres"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Both kinds of stores obey the same rules."""
    if request.param == "memory":
        async with memory_backend() as made:
            yield made
    else:
        async with postgres_backend(request.getfixturevalue("migrated_postgres_url")) as made:
            yield made


@pytest.fixture(scope="session")
def signing_key() -> lime_jwt.SigningKey:
    return lime_jwt.SigningKey.generate()


class OneKeyMaker:
    """Makes the same key every time: to find primes for each test would take too long."""

    def __init__(self, key: lime_jwt.SigningKey) -> None:
        self._key = key

    async def make(self, now: object) -> Key:
        return Key(
            kid=self._key.kid,
            state=KeyState.STANDBY,
            public_jwk=self._key.public_jwk(),
            private_key=self._key.to_pkcs8(),
            created_at=now,
        )


def make_ring(clock: object, signing_key: lime_jwt.SigningKey) -> KeyRing:
    store, rules = MemoryKeys(), Rules()
    keys = Keys(store, OneKeyMaker(signing_key), clock=clock, rules=rules, bell=MemoryBell())
    parse = lime_jwt.SigningKey.from_pkcs8
    return KeyRing(store, keys, parse=parse, clock=clock, rules=rules)


@dataclass
class World:
    """One server's parts, and somebody to use them."""

    backend: Backend
    clock: ManualClock
    ring: KeyRing
    bell: MemoryBell = field(default_factory=MemoryBell)
    tally: MemoryTally = field(default_factory=MemoryTally)
    timing: StreamTiming = field(default_factory=lambda: StreamTiming(60, 300))
    poll_interval: float = 60.0

    def __post_init__(self) -> None:
        shared = {"bell": self.bell, "tally": self.tally, "clock": self.clock}
        stores = self.backend
        self.owners = Owners(stores.owners, self.clock)
        self.agents = Agents(stores.agents, SECRETS.tokens, self.clock)
        self.sites = Sites(stores.sites, SECRETS.tokens, self.clock)
        self.delivery = Delivery(
            events=stores.events,
            standing=stores.sites,
            timing=DeliveryTiming(self.poll_interval, LEASE),
            **shared,
        )
        self.logins = SiteLogin(
            logins=stores.logins,
            puzzles=Puzzles(),
            watch=self.delivery,
            rules=LoginRules(difficulty=1, lifetime=LIFETIME, delivery_window=WINDOW),
            **shared,
        )
        self.passports = Passports(
            events=stores.events,
            signer=RingSigner(self.ring),
            clock=self.clock,
            issuer=ISSUER,
            lifetime=60,
        )
        self.sweep = Sweep(
            logins=stores.logins,
            rules=SweepRules(0.01, LIFETIME, WINDOW, timedelta(hours=1)),
            draw=lambda: 0.0,
            **shared,
        )
        self.streams = StreamParts(self.delivery, self.passports, self.timing)

    async def settle(self) -> None:
        """Make an owner with an agent and a site, and another owner's."""
        self.owner: Owner = await self.owners.create("ada@example.com")
        self.agent, self.agent_token = await self.agents.register(self.owner.owner_id, "Agent")
        self.site, self.site_token = await self.sites.register(
            self.owner.owner_id, "Shop", domain="shop.example"
        )
        self.landlord: Owner = await self.owners.create("bob@example.com")
        self.stranger, _ = await self.agents.register(self.landlord.owner_id, "Stranger")
        self.other_site, self.other_token = await self.sites.register(
            self.landlord.owner_id, "Other"
        )

    async def request(self, site: Site | None = None, redirect_url: str | None = None) -> str:
        """A new login request's id."""
        return (await self.logins.create(site or self.site, redirect_url)).request_id

    async def solved(self, request_id: str) -> str:
        """A nonce for this request."""
        return nonce_for((await self.logins.look(request_id)).login.challenge, 1)

    async def approved(self, agent: Agent | None = None, site: Site | None = None) -> str:
        """The id of a request that `agent` has approved, a little later than the last one."""
        self.clock.advance(0.001)
        request_id = await self.request(site)
        nonce = await self.solved(request_id)
        await self.logins.approve(agent or self.agent, request_id, nonce)
        return request_id

    def claims(self, passport: str, request_id: str) -> dict[str, object]:
        """The proven claims of a login passport."""
        keys = lime_jwt.JwkSet.parse(self.ring.jwks.body, issuer=ISSUER)
        expect = lime_jwt.Expectation.login(request_id=request_id)
        now = int(self.clock.now().timestamp())
        return lime_jwt.verify(passport, keys=keys, expect=expect, now=now)


def nonce_for(challenge: str, difficulty: int) -> str:
    nonce = lime_pow.Solver(challenge, difficulty).advance(1_000_000)
    assert nonce is not None
    return nonce


def wrong_nonce_for(challenge: str, difficulty: int) -> str:
    for number in range(1000):
        try:
            lime_pow.check(challenge, f"wrong{number}", difficulty)
        except lime_pow.InvalidNonceError:
            return f"wrong{number}"
    raise AssertionError("every nonce is right")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def world(backend: Backend, clock: ManualClock, signing_key: lime_jwt.SigningKey) -> World:
    """A world on each kind of store."""
    ring = make_ring(clock, signing_key)
    await ring.open()
    made = World(backend, clock, ring)
    await made.settle()
    return made


@pytest.fixture
async def small_world(clock: ManualClock, signing_key: lime_jwt.SigningKey) -> AsyncIterator[World]:
    """A world in memory, for what does not depend on the kind of store."""
    ring = make_ring(clock, signing_key)
    await ring.open()
    async with memory_backend() as stores:
        made = World(stores, clock, ring)
        await made.settle()
        yield made


@pytest.fixture
async def delivering(world: World) -> AsyncIterator[World]:
    """The same, with the hub running. Its poll never comes: everything goes by rings."""
    async with running(world.delivery.run()):
        yield world


@asynccontextmanager
async def running(work: Awaitable[object]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def help_() -> SimpleNamespace:
    """What tests call; fixtures are how they get at it without importing this file."""
    return SimpleNamespace(
        Broken=Broken,
        World=World,
        SECRETS=SECRETS,
        LEASE=LEASE,
        WINDOW=WINDOW,
        LIFETIME=LIFETIME,
        ISSUER=ISSUER,
        memory_backend=memory_backend,
        postgres_backend=postgres_backend,
        make_ring=make_ring,
        nonce_for=nonce_for,
        wrong_nonce_for=wrong_nonce_for,
        running=running,
    )


BASE = "https://lime.example/api/v1"


@pytest.fixture
def parts(small_world):
    world = small_world
    settings = Settings(
        public_url="https://lime.example",
        database_url="postgresql://unused",
        master_key="00" * 32,
        difficulty=1,
        access_log=False,
    )
    trust = memory_trust(world.backend.owners._identities, world.clock)
    return Parts(
        settings=settings,
        clock=world.clock,
        transactions=trust.transactions,
        audit=trust.audit,
        operators=trust.operators,
        kyc=trust.kyc,
        accounts=(
            office := memory_accounts(
                settings,
                world.backend.owners._identities,
                tokens=SECRETS.tokens,
                transactions=trust.transactions,
                audit=trust.audit,
                clock=world.clock,
            )
        ),
        sessions=office.routes.sessions,
        owners=world.owners,
        agents=world.agents,
        sites=world.sites,
        registry=memory_registry(world.backend.logins._shared, world.clock),
        standing=world.backend.sites,
        logins=world.backend.logins,
        events=world.backend.events,
        bindings=MemoryBindings(world.backend.owners._identities),
        oauth=memory_oauth(MemoryOAuth()),
        answers=MemoryAnswers(),
        tokens=SECRETS.tokens,
        puzzles=Puzzles(),
        signer=RingSigner(world.ring),
        keys=world.ring._keys,
        ring=world.ring,
        bell=world.bell,
        counter=MemoryLimiter(lambda: 0.0),
    )


@pytest.fixture
async def api(small_world, parts):
    """A client of the application, and who it can pretend to be."""
    app = build(parts)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=BASE) as client,
    ):
        yield SimpleNamespace(
            app=app,
            client=client,
            get=client.get,
            post=client.post,
            agent={"X-Agent-Token": small_world.agent_token.text},
            site={"X-Site-Token": small_world.site_token.text},
            other_site={"X-Site-Token": small_world.other_token.text},
        )
