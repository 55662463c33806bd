"""A real PostgreSQL and a real Valkey for tests, started when the first test asks.

`LIME_TEST_DATABASE_URL` and `LIME_TEST_REDIS_URL` name servers to use instead. Those may hold other
people's data: only databases that were made here are dropped, and only a logical Redis database
that was found empty, and marked as ours, is flushed.

Fixtures:

* `postgres_url`: an empty database of its own for each test.
* `migrated_postgres_url`: the same, with all migrations applied.
* `reduced_postgres_url`: the database of `migrated_postgres_url`, as a role with no rights to it.
* `redis_url`: an empty logical database for each test.
* `embedded_engines`: the engines themselves, for tests that stop one; None with servers from
  outside.

With `--only-engines` tests that use none of them are left out: what they show does not depend on
whose engines those are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis

from lime_server.infrastructure.embedded import Engines, engines

T = TypeVar("T")

DATABASE_VARIABLE = "LIME_TEST_DATABASE_URL"
REDIS_VARIABLE = "LIME_TEST_REDIS_URL"

_FIXTURES = frozenset(
    {
        "databases", "embedded_engines", "migrated_postgres_url", "migrated_template",
        "postgres_url", "redis_url", "reduced_postgres_url", "session_redis_url",
    }
)  # fmt: skip
_PARAMETERS = frozenset({"postgres", "redis"})
"""What a test is called with that runs on an engine, or on memory instead."""

# Marks a logical Redis database as taken by one test; gone with the flush that ends the test.
_OURS = "lime-test-owner"
_CLAIM = """
if redis.call('DBSIZE') > 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-engines",
        action="store_true",
        help="leave out the tests that need neither PostgreSQL nor Redis",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--only-engines"):
        config.hook.pytest_deselected(items=[item for item in items if not uses_engines(item)])
        items[:] = filter(uses_engines, items)


def uses_engines(item: pytest.Item) -> bool:
    """Whether a test says that it uses an engine, by a fixture or by a parameter."""
    called_with = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())) or any(
        isinstance(value, str) and value in _PARAMETERS for value in called_with
    )


def _expect_to_be_used(request: pytest.FixtureRequest) -> None:
    """Fail a test that got an engine without a word, which `--only-engines` would leave out."""
    assert uses_engines(request.node), "call it with a parameter `postgres` or `redis`"


class Databases:
    """Makes and drops databases over one connection, from any thread and beside any event loop."""

    def __init__(self, maintenance_url: str) -> None:
        self._url = maintenance_url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: asyncpg.Connection[Any] = self.run(asyncpg.connect(maintenance_url))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop that the connection lives on, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def create(self, *, template: str = "template1") -> str:
        """The name of a new copy of `template`."""
        name = f"lime_test_{secrets.token_hex(8)}"
        self.run(self._connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever may still be connected to it."""
        self.run(self._connection.execute(f"DROP DATABASE {name} WITH (FORCE)"))

    def url(self, name: str) -> str:
        """Where to connect to the database called `name`."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    @contextlib.contextmanager
    def fresh(self, *, template: str = "template1") -> Iterator[str]:
        """The URL of a database that exists while the block runs."""
        name = self.create(template=template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def close(self) -> None:
        """End the connection, the loop and the thread."""
        self.run(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def claim_redis(url: str) -> tuple[redis.Redis, str]:
    """A client of, and the URL of, a logical database that is empty but for our mark."""
    owner = secrets.token_hex(8)
    numbers = list(range(16))
    secrets.SystemRandom().shuffle(numbers)
    for number in numbers:
        chosen = with_database(url, number)
        client = redis.Redis.from_url(chosen)
        try:
            if client.eval(_CLAIM, 1, _OURS, owner) == 1:
                return client, chosen
        except redis.ResponseError:  # it has fewer than sixteen
            pass
        client.close()
    pytest.fail(
        f"No logical database of the server in {REDIS_VARIABLE} is empty: nothing is flushed"
    )


def with_database(url: str, number: int) -> str:
    """`url`, naming the logical database `number`."""
    if url.startswith("unix://"):
        return f"{url.partition('?')[0]}?db={number}"
    return urlunsplit(urlsplit(url)._replace(path=f"/{number}"))


@pytest.fixture(scope="session")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's engines keep their data."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def embedded_engines(embedded_folder: Path) -> Iterator[Engines | None]:
    """The session's own engines; None when both servers are given from outside."""
    if DATABASE_VARIABLE in os.environ and REDIS_VARIABLE in os.environ:
        yield None
        return
    with engines(embedded_folder, durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """The session's PostgreSQL server."""
    url = os.environ.get(DATABASE_VARIABLE)
    made = Databases(url or request.getfixturevalue("embedded_engines").database_url)
    yield made
    made.close()


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The URL of an empty database, which is dropped after the test."""
    _expect_to_be_used(request)
    with databases.fresh() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(databases: Databases) -> Iterator[str]:
    """The name of a database with all migrations, to be copied: far cheaper than migrating."""
    # Here rather than above: a migrator that does not import concerns only tests that migrate.
    from lime_server.infrastructure.postgres.migrator import migrate

    name = databases.create()
    try:
        databases.run(migrate(databases.url(name)))
        yield name
    finally:
        databases.drop(name)


@pytest.fixture
def migrated_postgres_url(
    request: pytest.FixtureRequest, databases: Databases, migrated_template: str
) -> Iterator[str]:
    """The URL of a database with all migrations and no rows, which is dropped after the test."""
    _expect_to_be_used(request)
    with databases.fresh(template=migrated_template) as url:
        yield url


@pytest.fixture
def reduced_postgres_url(migrated_postgres_url: str) -> str:
    """Where a connection may do nothing with the tables until it is granted: its role is one that
    every PostgreSQL has, and that owns nothing."""
    parts = urlsplit(migrated_postgres_url)
    query = "&".join(filter(None, (parts.query, "role=pg_signal_backend")))
    return urlunsplit(parts._replace(query=query))


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty logical database, which is empty again after the test."""
    _expect_to_be_used(request)
    server = os.environ.get(REDIS_VARIABLE)
    client, url = claim_redis(server or request.getfixturevalue("embedded_engines").redis_url)
    with client:
        # The mark has done its work where nobody else can be.
        if server is None:
            client.delete(_OURS)
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def session_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A logical Redis database for the whole session."""
    given = os.environ.get(REDIS_VARIABLE)
    client, url = claim_redis(given or request.getfixturevalue("embedded_engines").redis_url)
    with client:
        yield url
        client.flushdb()
