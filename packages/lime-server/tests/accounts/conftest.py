"""A server with owners' accounts, in memory or on PostgreSQL, and a browser."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from lime_server.composition.accounts import AccountOffice, AccountStores
from lime_server.core.clock import Clock
from lime_server.core.origin import Origin, coming_from
from lime_server.foundation.audit import Audit
from lime_server.foundation.owners import Owner, Owners
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.memory.identities import MemoryIdentities, MemoryOwners
from lime_server.infrastructure.postgres.accounts import (
    PostgresAccounts,
    PostgresSessions,
    PostgresTickets,
)
from lime_server.infrastructure.postgres.audit import PostgresAudit
from lime_server.infrastructure.postgres.factors import PostgresFactors, PostgresOutbox
from lime_server.infrastructure.postgres.identities import PostgresOwners
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.errors import Errors
from lime_server.modules.accounts.routes import router
from lime_server.settings import Settings
from tests.support.accounts import memory_accounts, memory_stores
from tests.support.trust import memory_trust

SECRETS = Secrets.derived_from(bytes(range(32)))
URL = "https://lime.example"
BASE = f"{URL}/api/v1"
PASSWORD = "correct horse battery"
ADA = "ada@example.com"


def make_settings(**changes: object) -> Settings:
    return Settings(
        **{
            "public_url": URL,
            "database_url": "postgresql://unused",
            "master_key": "00" * 32,
            "captcha": "none",
            **changes,
        }
    )


@dataclass
class Backend:
    """Stores of one kind, and what belongs to them."""

    stores: AccountStores
    owners: Owners
    transactions: object
    audit: Audit
    clock: ManualClock
    identities: MemoryIdentities | None = None

    def office(self, settings: Settings | None = None, **parts: object) -> AccountOffice:
        return memory_accounts(
            settings or make_settings(),
            self.identities or MemoryIdentities(),
            tokens=SECRETS.tokens,
            transactions=self.transactions,
            audit=self.audit,
            clock=self.clock,
            stores=self.stores,
            **parts,
        )


def memory_backend() -> Backend:
    identities, clock = MemoryIdentities(), ManualClock()
    stores = memory_stores(identities)
    covered = (
        stores.accounts,
        stores.sessions,
        stores.tickets,
        stores.factors,
        stores.outbox,
    )
    trust = memory_trust(identities, clock, covered=covered)
    owners = Owners(MemoryOwners(identities), clock)
    return Backend(stores, owners, trust.transactions, trust.audit, clock, identities)


@asynccontextmanager
async def postgres_backend(url: str) -> AsyncIterator[Backend]:
    clock: Clock = ManualClock()
    async with open_database(url, size=6, patience=10) as database:
        stores = AccountStores(
            accounts=PostgresAccounts(database),
            sessions=PostgresSessions(database),
            tickets=PostgresTickets(database),
            factors=PostgresFactors(database, SECRETS.accounts),
            outbox=PostgresOutbox(database, SECRETS.accounts),
        )
        audit = Audit(
            PostgresAudit(database), transactions=database, seals=SECRETS.audit, clock=clock
        )
        owners = Owners(PostgresOwners(database), clock)
        yield Backend(stores, owners, database, audit, clock)


@pytest.fixture(params=["memory", "postgres"])
async def backend(request):
    """Both kinds of stores obey the same rules."""
    if request.param == "memory":
        yield memory_backend()
    else:
        async with postgres_backend(request.getfixturevalue("migrated_postgres_url")) as made:
            yield made


@pytest.fixture
def memory():
    return memory_backend()


class Browser:
    """A client that keeps cookies and sends what our own pages send."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(server.app), base_url=server.base
        )

    async def request(self, method: str, path: str, json: object = None, **kwargs: object):
        headers = {"Origin": self.server.url, **kwargs.pop("headers", {})}
        if csrf := self.client.cookies.get("lime_csrf"):
            headers.setdefault("X-CSRF-Token", csrf)
        address = kwargs.pop("address", "192.0.2.7")
        origin = Origin("request-1", address, kwargs.pop("user_agent", "Test\x00Browser"))
        with coming_from(origin):
            return await self.client.request(
                method, f"/foundation/{path}", json=json, headers=headers, **kwargs
            )

    async def get(self, path: str, **kwargs: object):
        return await self.request("GET", path, **kwargs)

    async def post(self, path: str, json: object = None, **kwargs: object):
        return await self.request("POST", path, json, **kwargs)

    async def delete(self, path: str, **kwargs: object):
        return await self.request("DELETE", path, **kwargs)

    async def sign_in(self, email: str = ADA, password: str = PASSWORD, **kwargs: object):
        return await self.post("users/login", {"email": email, "password": password}, **kwargs)

    async def register(self, email: str = ADA, password: str = PASSWORD) -> str:
        """Register to the end; returns the owner's id."""
        body = {"email": email, "password": password}
        assert (await self.post("users/register", body)).status_code == 201
        code = await self.server.code()
        answer = await self.post("users/register/verify", {"email": email, "code": code})
        return data(answer)["user_id"]


class Server:
    """The routes over one backend."""

    def __init__(self, backend: Backend, settings: Settings | None = None, **parts: object) -> None:
        self.backend = backend
        self.settings = settings or make_settings()
        self.url = str(self.settings.public_url)
        self.base = self.settings.public_url.api_base
        self.office = backend.office(self.settings, **parts)
        self.app = FastAPI()
        api = APIRouter(prefix="/api/v1")
        api.include_router(router(self.office.routes))
        self.app.include_router(api)
        errors.install(self.app)
        self.app.add_middleware(Errors)

    def browser(self) -> Browser:
        return Browser(self)

    async def mails(self) -> list:
        """What the mailbox has, newest first."""
        while await self.office.post.send_due():
            pass
        return list(self.office.mailbox.mails)

    async def code(self) -> str:
        mail = (await self.mails())[0]
        return re.search(r"\b\d{6}(\d\d)?\b", mail.text)[0]

    async def actions(self, owner_id: str) -> list[str]:
        """What the audit log says of this owner, oldest first."""
        await self.office.later.finish()
        return [entry.action async for entry in self.backend.audit.entries(owner_id)]

    async def suspend(self, owner_id: str) -> None:
        owners = self.backend.identities.owners
        owners[owner_id] = replace(owners[owner_id], suspended=True)


@pytest.fixture
def server(memory):
    return Server(memory)


@pytest.fixture
def browser(server):
    return server.browser()


@pytest.fixture
async def ada(browser):
    """A browser in which Ada is signed in."""
    browser.owner_id = await browser.register()
    data(await browser.sign_in())
    return browser


@pytest.fixture
async def owner(backend) -> Owner:
    return await backend.owners.create(ADA)


def data(response, status=200):
    assert response.status_code == status, response.text
    return response.json()["data"]


def failure(response):
    return response.status_code, response.json()["error"]["code"]


@pytest.fixture
def say():
    """How answers are read; a fixture, because tests do not import each other."""
    return data


@pytest.fixture
def refusal():
    return failure


@pytest.fixture
def make_server(memory):
    def make(**changes: object) -> Server:
        parts = {
            name: changes.pop(name) for name in ("captcha", "limiter", "sender") if name in changes
        }
        return Server(memory, make_settings(**changes), **parts)

    return make
