"""Two servers that share a few connections to PostgreSQL, which nobody has for more than a
transaction."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.scaling.bouncer import pgbouncer
from tests.scaling.traffic import arrive, log_in
from tests.support.commands import ServerFailedError, run_command
from tests.support.deployment import Deployment, Engines
from tests.support.engines import Databases
from tests.support.wire import Wire

# Several servers are started one after the other, and a machine may have other things to do.
pytestmark = pytest.mark.timeout(300)

MOST = 3
"""Connections of PgBouncer to PostgreSQL: far fewer than the servers have to PgBouncer."""
LOGINS = 60


@pytest.fixture(scope="module")
def direct_url(databases: Databases) -> Iterator[str]:
    """The database, without PgBouncer."""
    with databases.fresh() as url:
        yield url


@pytest.fixture(scope="module")
def pooled(
    tmp_path_factory: pytest.TempPathFactory,
    direct_url: str,
    session_redis_url: str,
    databases: Databases,
    pgbouncer_program: Path,
) -> Iterator[Deployment]:
    """A deployment whose servers and commands reach PostgreSQL by PgBouncer, migrations included."""
    folder = tmp_path_factory.mktemp("pooled")
    with pgbouncer(pgbouncer_program, folder / "pgbouncer", direct_url, most=MOST) as url:
        yield Deployment(
            folder,
            Engines(direct_url, session_redis_url),
            databases,
            LIME_DATABASE_URL=url,
            LIME_DATABASE_POOLER="transaction",
        )


def connections_of_servers(databases: Databases, direct_url: str) -> int:
    async def count() -> int:
        connection = await asyncpg.connect(direct_url)
        try:
            return int(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
            )
        finally:
            await connection.close()

    return databases.run(count())


def test_logins_complete_on_connections_that_are_lent_for_one_transaction(
    pooled: Deployment, databases: Databases, direct_url: str
) -> None:
    agent, site = pooled.agent(), pooled.site()
    with (
        pooled.pair(LIME_DATABASE_POOL_SIZE="10") as servers,
        Wire(servers[0].api_base) as here,
        here.events(site) as stream,
    ):
        request_ids = log_in(servers, agent, site, LOGINS)
        arrive(stream, request_ids)
        assert len(set(request_ids)) == LOGINS
        assert connections_of_servers(databases, direct_url) <= MOST
        assert here.passport(agent, site)


def test_the_doctor_finds_a_pooler_that_the_settings_do_not_know(pooled: Deployment) -> None:
    # A deployment on loopback is not in order, so that the doctor's command fails, as it should.
    with pytest.raises(ServerFailedError, match="The pooler opens them") as told:
        pooled.command("doctor")
    assert "database_pooler" not in str(told.value)
    unaware = {
        **pooled.settings,
        "LIME_PUBLIC_URL": "http://127.0.0.1:1",
        "LIME_DATABASE_POOLER": "none",
    }
    with pytest.raises(ServerFailedError, match="LIME_DATABASE_POOLER=transaction"):
        run_command("doctor", settings=unaware, folder=pooled.folder)


def test_what_was_backed_up_through_the_pooler_is_restored_through_one(
    pooled: Deployment, databases: Databases, pgbouncer_program: Path, tmp_path: Path
) -> None:
    agent, site = pooled.agent(), pooled.site()
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    passphrase.chmod(0o600)
    words = ["--passphrase-file", str(passphrase), "--json"]
    file = tmp_path / "lime.backup"
    made = json.loads(pooled.command("backup", "--output", str(file), *words))
    with ExitStack() as stack:
        fresh = stack.enter_context(databases.fresh())
        url = stack.enter_context(
            pgbouncer(pgbouncer_program, tmp_path / "other", fresh, most=MOST)
        )
        settings = {
            **pooled.settings,
            "LIME_PUBLIC_URL": "http://127.0.0.1:1",
            "LIME_DATABASE_URL": url,
        }
        told = run_command("restore", str(file), *words, settings=settings, folder=tmp_path)
        assert json.loads(told)["rows"] == made["rows"] > 0
        with (
            pooled.server("restored", LIME_DATABASE_URL=url) as server,
            Wire(server.api_base) as wire,
        ):
            assert wire.passport(agent, site)
