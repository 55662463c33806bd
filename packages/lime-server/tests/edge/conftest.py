"""Small real things that the tests of the edge share."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import pytest

import lime_jwt
from lime_server.core.errors import Unavailable
from lime_server.core.keys import Key, KeyState
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.postgres.pool import open_database


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(scope="session")
def derived():
    return Secrets.derived_from(bytes(range(32)))


@pytest.fixture(scope="session")
def rsa_key():
    return lime_jwt.SigningKey.generate(2048)


@pytest.fixture
async def database(migrated_postgres_url):
    async with open_database(migrated_postgres_url, size=4, patience=10) as opened:
        yield opened


class CountingMaker:
    """Makes keys that are told apart at a glance: k1, k2, ..."""

    def __init__(self) -> None:
        self.made = 0

    async def make(self, now: datetime) -> Key:
        self.made += 1
        kid = f"k{self.made}"
        return Key(kid, KeyState.STANDBY, {"kid": kid, "kty": "RSA"}, kid.encode(), now)


class NamedKey:
    """Signs by saying who signed."""

    def __init__(self, private_key: bytes) -> None:
        self.kid = private_key.decode()

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        return f"{typ} by {self.kid}"


class AbsentKeys:
    """A key store that cannot answer."""

    async def published(self):
        raise Unavailable

    def exclusive(self):
        raise Unavailable


@pytest.fixture
def until():
    """Waits, letting everything else run, until something is so; the test's time limit ends it."""

    async def wait(so):
        while not so():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)

    return wait


@pytest.fixture
def maker():
    return CountingMaker()


@pytest.fixture
def parse():
    return NamedKey


@pytest.fixture
def absent_keys():
    return AbsentKeys()
