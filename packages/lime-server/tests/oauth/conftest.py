"""Owners with agents, clients that hold codes, and both kinds of stores behind the real routes."""

import base64
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from fastapi import APIRouter, FastAPI

import lime_jwt
from lime_server.composition.mcp_oauth import oauth_pruning, open_oauth, token_parts
from lime_server.composition.oauth_clients import client_finder, client_parts
from lime_server.core.agents import Agents
from lime_server.core.errors import NotSignedIn, Unavailable
from lime_server.core.ids import new_id
from lime_server.core.origin import Origin, coming_from
from lime_server.core.ports import Limit
from lime_server.core.tokens import Token, TokenKind
from lime_server.core.urls import API_PATH
from lime_server.foundation.audit import Audit
from lime_server.foundation.owners import Owners
from lime_server.foundation.sessions import Session, SessionRules
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.audit import MemoryAudit
from lime_server.infrastructure.memory.client_documents import MemoryDocuments
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.memory.identities import (
    MemoryAgents,
    MemoryIdentities,
    MemoryOwners,
    MemorySites,
)
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.memory.mcp_oauth import MemoryOAuth
from lime_server.infrastructure.memory.transactions import MemoryTransactions
from lime_server.infrastructure.postgres.audit import PostgresAudit
from lime_server.infrastructure.postgres.identities import (
    PostgresAgents,
    PostgresOwners,
    PostgresSites,
)
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.body import Bodies
from lime_server.infrastructure.web.errors import Errors
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.web.oauth import CrossOrigin
from lime_server.modules.mcp_oauth.client_routes import client_router
from lime_server.modules.mcp_oauth.metadata import CROSS_ORIGIN_PATHS, PLAIN_PATHS, metadata
from lime_server.modules.mcp_oauth.model import (
    AuthMethod,
    AuthorizationCode,
    Client,
    ClientKind,
    Grant,
    GrantType,
)
from lime_server.modules.mcp_oauth.token_routes import metadata_router, token_router
from lime_server.settings import Settings
from tests.support.oauth import memory_oauth

BASE = "https://lime.example"
ISSUER = f"{BASE}{API_PATH}/modules/oauth"
RESOURCE = "https://mcp.shop.com/mcp"
CALLBACK = "http://127.0.0.1:33418/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
SECRETS = Secrets.derived_from(bytes(range(32)))
EVERY_GRANT = frozenset(GrantType)


class OneKey:
    """Signs with one key, while it may; publishes it."""

    def __init__(self, key: lime_jwt.SigningKey) -> None:
        self._key = key
        self.away = False
        self.jwks = SimpleNamespace(body=lime_jwt.encode_jwks([key]))

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
    oauth: object
    audit: object
    transactions: object
    set_agent: Callable[..., Awaitable[None]]
    verify_domain: Callable[[str], Awaitable[None]]
    suspend_site: Callable[[str], Awaitable[None]]
    delete_agent: Callable[[str], Awaitable[None]]


@asynccontextmanager
async def memory_backend() -> AsyncIterator[Backend]:
    known, audit, shared = MemoryIdentities(), MemoryAudit(), MemoryOAuth()

    async def set_agent(agent_id: str, *, active: bool, capabilities: frozenset[str]) -> None:
        known.agents[agent_id] = replace(
            known.agents[agent_id], active=active, capabilities=capabilities
        )

    async def verify_domain(site_id: str) -> None:
        known.sites[site_id] = replace(known.sites[site_id], domain_verified=True)

    async def suspend_site(site_id: str) -> None:
        known.sites[site_id] = replace(known.sites[site_id], suspended=True)

    async def delete_agent(agent_id: str) -> None:
        known.deleted[agent_id] = known.agents[agent_id].created_at

    yield Backend(
        MemoryOwners(known),
        MemoryAgents(known),
        MemorySites(known),
        memory_oauth(shared),
        audit,
        MemoryTransactions(known, shared, audit),
        set_agent,
        verify_domain,
        suspend_site,
        delete_agent,
    )


@asynccontextmanager
async def postgres_backend(url: str) -> AsyncIterator[Backend]:
    async with open_database(url, size=4, patience=10) as database:

        async def set_agent(agent_id: str, *, active: bool, capabilities: frozenset[str]) -> None:
            await database.execute(
                "UPDATE core.agents SET active = $2, capabilities = $3 WHERE agent_id = $1",
                agent_id,
                active,
                sorted(capabilities),
            )

        async def verify_domain(site_id: str) -> None:
            await database.execute(
                "UPDATE foundation.sites SET domain_verified = true WHERE site_id = $1", site_id
            )

        async def suspend_site(site_id: str) -> None:
            await database.execute(
                "UPDATE foundation.sites SET suspended = true WHERE site_id = $1", site_id
            )

        async def delete_agent(agent_id: str) -> None:
            await database.execute(
                "UPDATE core.agents SET active = false, deleted_at = now() WHERE agent_id = $1",
                agent_id,
            )

        yield Backend(
            PostgresOwners(database),
            PostgresAgents(database),
            PostgresSites(database),
            open_oauth(database),
            PostgresAudit(database),
            database,
            set_agent,
            verify_domain,
            suspend_site,
            delete_agent,
        )


class Door:
    """Lets owners in who name themselves; the real one has tests of its own."""

    rules = SessionRules(origin=BASE)

    def __init__(self, world: "World") -> None:
        self._world = world
        self.fresh = True

    async def authenticate(self, unverified_cookie: str | None) -> Session:
        owner = await self._world.owners.find(f"{unverified_cookie}@example.com")
        if owner is None:
            raise NotSignedIn
        now = self._world.clock.now()
        return Session(owner.owner_id, owner, now, now, now)

    async def count_change(self, _session: Session) -> None:
        """The rest of the tests changes as much as it likes."""

    def is_csrf_token(self, unverified_cookie: str, unverified_csrf: str) -> bool:
        return unverified_csrf == f"csrf-{unverified_cookie}"

    def is_fresh(self, session: Session) -> bool:
        return self.fresh


@dataclass
class World:
    """One server's parts, and somebody to use them."""

    backend: Backend
    clock: ManualClock
    signer: OneKey
    key: lime_jwt.SigningKey

    def __post_init__(self) -> None:
        stores = self.backend
        self.oauth = stores.oauth
        self.owners = Owners(stores.owners, self.clock)
        self.agents = Agents(stores.agents, SECRETS.tokens, self.clock)
        self.sites = Sites(stores.sites, SECRETS.tokens, self.clock)
        self.audit = Audit(
            stores.audit,
            transactions=stores.transactions,
            seals=SECRETS.tokens,
            clock=self.clock,
        )
        self.door = Door(self)
        self.metrics = Metrics()
        self.documents = MemoryDocuments()
        self._numbers = itertools.count()
        self.scopes: tuple[str, ...] = ("mcp",)
        """What is granted."""

    def app(self, **settings: object) -> FastAPI:
        """The routes of OAuth with everything that the edge does to them."""
        chosen = Settings(
            **{
                "public_url": BASE,
                "database_url": "postgresql://unused",
                "master_key": "00" * 32,
                "rate_per_token": Limit(rate=1, burst=100),
            }
            | settings
        )
        self.parts = SimpleNamespace(
            settings=chosen,
            oauth=self.oauth,
            ring=self.signer,
            agents=self.agents,
            sites=self.sites,
            registry=SimpleNamespace(limiter=MemoryLimiter(lambda: 0.0)),
            tokens=SECRETS.tokens,
            clock=self.clock,
            signer=self.signer,
            audit=self.audit,
            metrics=self.metrics,
            transactions=self.backend.transactions,
            sessions=self.door,
            documents=self.documents,
        )
        clients = client_finder(self.parts)
        self.client_parts = client_parts(self.parts, clients)
        self.pruning = oauth_pruning(self.parts)
        app = FastAPI()
        api = APIRouter(prefix=API_PATH)
        api.include_router(token_router(token_parts(self.parts, clients)))
        api.include_router(client_router(self.client_parts))
        app.include_router(api)
        app.include_router(metadata_router(metadata(chosen.public_url, chosen.mcp_scopes)))
        errors.install(app, plain=PLAIN_PATHS)
        app.add_middleware(Bodies, max_bytes=65536, timeout=5.0)
        app.add_middleware(Errors, plain=PLAIN_PATHS)
        app.add_middleware(CrossOrigin, paths=CROSS_ORIGIN_PATHS)
        return app

    async def settle(self) -> None:
        """Ada has an agent that may use MCP servers; Bob has one that may not, and a site."""
        self.ada = (await self.owners.create("ada@example.com")).owner_id
        self.bob = (await self.owners.create("bob@example.com")).owner_id
        self.agent, self.agent_token = await self.agents.register(self.ada, "Agent")
        self.stranger, self.stranger_token = await self.agents.register(self.bob, "Stranger")
        self.site, self.site_token = await self.sites.register(
            self.bob, "Shop", domain="mcp.shop.com"
        )
        await self.allow()
        await self.backend.verify_domain(self.site.site_id)

    async def allow(self, *, active: bool = True, capable: bool = True) -> None:
        """Switch Ada's agent on or off, and its capability."""
        capabilities = frozenset({"oauth:mcp"} if capable else ())
        await self.backend.set_agent(self.agent.agent_id, active=active, capabilities=capabilities)

    async def client(self, method: AuthMethod = AuthMethod.NONE, **changes: object) -> Client:
        """A registered client; with a secret, `self.secret` is it."""
        now = self.clock.now()
        self.secret = Token.new(TokenKind.CLIENT_SECRET).text
        secret = method in {AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST}
        client = Client(
            **{
                "client_id": new_id(now),
                "kind": ClientKind.REGISTERED,
                "name": "Tool",
                "redirect_uris": (CALLBACK,),
                "auth_method": method,
                "grant_types": EVERY_GRANT,
                "secret_hash": SECRETS.tokens.hash(self.secret) if secret else None,
                "created_at": now,
            }
            | changes
        )
        await self.oauth.clients.add(client)
        return client

    async def granted(self, client: Client, resource: str | None = RESOURCE) -> Grant:
        """Ada's consent that `client` acts as her agent."""
        now = self.clock.now()
        return await self.oauth.grants.add_or_renew(
            Grant(
                grant_id=new_id(now),
                owner_id=self.ada,
                agent_id=self.agent.agent_id,
                client_id=client.client_id,
                client_name=client.name,
                redirect_host="127.0.0.1",
                resource=resource,
                scopes=self.scopes,
                created_at=now,
            )
        )

    async def code(self, client: Client, resource: str | None = RESOURCE) -> str:
        """A code for it."""
        grant = await self.granted(client, resource)
        code = Token.new(TokenKind.AUTHORIZATION_CODE)
        await self.oauth.codes.add(
            AuthorizationCode(
                code_hash=SECRETS.tokens.hash(code.text),
                grant_id=grant.grant_id,
                family_id=new_id(self.clock.now()),
                client_id=client.client_id,
                redirect_uri=CALLBACK,
                code_challenge=CHALLENGE,
                resource=resource,
                scopes=self.scopes,
                expires_at=self.clock.now() + timedelta(seconds=60),
            )
        )
        return code.text

    async def exchange_form(self, client: Client, **changes: str) -> dict[str, str]:
        """The form that exchanges a new code of this client."""
        return {
            "grant_type": "authorization_code",
            "client_id": client.client_id,
            "code": await self.code(client),
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        } | changes

    def claims(self, token: str, **expected: str) -> dict[str, object]:
        """The proven claims of an access token."""
        keys = lime_jwt.JwkSet.parse(self.signer.jwks.body, issuer=ISSUER)
        expect = lime_jwt.Expectation.access_token(**expected, leeway=0)
        now = int(self.clock.now().timestamp())
        return lime_jwt.verify(token, keys=keys, expect=expect, now=now)

    async def actions(self, owner_id: str) -> list[str]:
        """What this owner's audit log says."""
        return [entry.action async for entry in self.audit.entries(owner_id)]


class Api:
    """A client of the routes."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def token(self, form: dict[str, str] | None = None, **more: object) -> httpx.Response:
        return await self.http.post(f"{ISSUER}/token", data=form, **more)

    async def revoke(self, form: dict[str, str], **more: object) -> httpx.Response:
        return await self.http.post(f"{ISSUER}/revoke", data=form, **more)

    async def introspect(self, form: dict[str, str], **more: object) -> httpx.Response:
        return await self.http.post(f"{ISSUER}/introspect", data=form, **more)

    async def short(self, token: str | None, body: object = None, **more: object) -> httpx.Response:
        headers = {} if token is None else {"X-Agent-Token": token}
        body = {"domain": "mcp.shop.com"} if body is None else body
        return await self.http.post(f"{ISSUER}/token", json=body, headers=headers, **more)


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


@asynccontextmanager
async def serving(world: World, **settings: object) -> AsyncIterator[Api]:
    """The routes of `world`."""
    transport = httpx.ASGITransport(world.app(**settings))
    with coming_from(Origin("request", "192.0.2.1", None)):
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            yield Api(http)


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    async with serving(world) as made:
        yield made


@pytest.fixture
async def small_api(small_world: World) -> AsyncIterator[Api]:
    async with serving(small_world) as made:
        yield made


@pytest.fixture
def help_() -> SimpleNamespace:
    """What tests call."""
    return SimpleNamespace(
        BASE=BASE,
        ISSUER=ISSUER,
        RESOURCE=RESOURCE,
        CALLBACK=CALLBACK,
        VERIFIER=VERIFIER,
        CHALLENGE=CHALLENGE,
        SECRETS=SECRETS,
        serving=serving,
    )
