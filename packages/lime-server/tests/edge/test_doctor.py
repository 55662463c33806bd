"""What the doctor finds in a deployment that lives, and what is to be done about it."""

import re
import secrets
import shutil
from datetime import timedelta
from itertools import count

import asyncpg
import pytest
import redis.asyncio

from lime_server.core.clock import SystemClock
from lime_server.infrastructure import doctor as subject
from lime_server.infrastructure.doctor import examine, expected_indexes
from lime_server.infrastructure.embedded.locate import find_valkey
from lime_server.infrastructure.memory.clock import ManualClock
from lime_server.infrastructure.postgres.migrator import Migration, migrations
from lime_server.settings import Settings
from tests.support.redis_nodes import cluster_of_one

NOWHERE = "postgresql://nobody@/none?host=/nonexistent"
# For a role that sees its tables and no more: what a managed database gives.
GRANTS = [
    f"GRANT USAGE ON SCHEMA {schema} TO pg_signal_backend; "
    f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO pg_signal_backend"
    for schema in subject._SCHEMAS
]


@pytest.fixture
def settings(migrated_postgres_url, redis_url):
    def make(**options):
        common = {
            "public_url": "https://lime.example",
            "database_url": migrated_postgres_url,
            "redis_url": redis_url,
            "master_key": secrets.token_hex(32),
            "host": "192.0.2.1",
            "smtp_url": "smtps://mail.example",
            "redis_timeout": 5,
        }
        return Settings(**{**common, **options})

    return make


@pytest.fixture
def look(settings):
    async def look(clock=None, monotonic=None, **options):
        # Steps of a millisecond, however slow the machine is.
        ticks = monotonic or (tick / 1000 for tick in count()).__next__
        found = await examine(settings(**options), clock or SystemClock(), ticks)
        for finding in found:
            assert (finding.advice is None) == (finding.level == "ok"), finding
        return {finding.subject: finding for finding in found}

    return look


async def execute(url, *statements):
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_deployment_in_order(look, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 500, 500))
    found = await look()
    # The rest is the machine's that runs the tests.
    known = {
        "postgres version", "postgres role", "postgres latency", "indexes", "disk",
        "write-ahead log", "redis version", "redis latency", "redis memory", "clock",
    }  # fmt: skip
    assert {name: found[name].level for name in known} == dict.fromkeys(known, "ok")
    assert "1.00 ms" in found["postgres latency"].message
    assert "durability" in found
    assert "connections" in found


async def test_behind_a_pooler_connections_are_the_poolers(look):
    found = await look(database_pooler="transaction")
    assert found["connections"].message == "The pooler opens them, and is not asked."
    assert found["postgres role"].level == "ok"


async def test_of_a_cluster_the_oldest_and_the_fullest_node_count(look, tmp_path):
    program = find_valkey()
    with cluster_of_one(program.binaries.folder / program.program, tmp_path) as url:
        found = await look(redis_url=url)
    assert found["redis"].level == found["redis version"].level == "ok"
    assert found["redis latency"].level == found["redis memory"].level == "ok"
    empty, full = ({"used_memory": used, "maxmemory": 100} for used in (10, 95))
    boundless = {"used_memory": 1000, "maxmemory": 0}
    assert max((boundless, empty, full), key=subject._fullness) is full


async def test_engines_that_are_away_are_told_once(look):
    found = await look(database_url=NOWHERE, redis_url="unix:///nonexistent/socket")
    assert found["postgres"].level == "error"
    assert found["redis"].level == "warning"
    assert not {"postgres version", "redis version"} & found.keys()


@pytest.mark.parametrize("url", [None, "http://not-redis"])
async def test_no_redis_is_told_once(look, url):
    found = await look(redis_url=url)
    assert found["redis"].level in {"warning", "error"}
    assert "redis version" not in found


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"difficulty": 7}, "difficulty"),
        ({"captcha": "none"}, "captcha"),
        ({"smtp_url": None}, "smtp_url"),
        ({"operations_networks": "10.0.0.0/8,::/0"}, "operations_networks"),
        ({"log_level": "debug"}, "log_level"),
    ],
)
async def test_doubtful_settings(look, options, name):
    found = await look(database_url=NOWHERE, redis_url=None, **options)
    assert found[name].level == "warning"
    assert name not in await look(database_url=NOWHERE, redis_url=None)


@pytest.mark.parametrize(("major", "level"), [(14, "error"), (15, "ok"), (18, "ok")])
def test_versions_of_postgres(major, level):
    assert subject._postgres_version(major).level == level


@pytest.mark.parametrize(
    ("version", "level"), [("6.2.14", "error"), ("7.0.0", "ok"), ("8.2", "ok")]
)
def test_versions_of_redis(version, level):
    assert subject._redis_version(version).level == level


async def test_clocks_that_differ(look):
    found = await look(clock=ManualClock(SystemClock().now() + timedelta(minutes=2)))
    assert found["clock"].level == "error"
    # Redis' is looked at last.
    assert "Redis's differ by 1" in found["clock"].message


async def test_round_trips_that_take_long(look):
    slow = (tick / 100 for tick in count()).__next__
    found = await look(monotonic=slow)
    assert found["postgres latency"].level == found["redis latency"].level == "warning"
    assert "10.00 ms" in found["redis latency"].message


async def test_indexes_that_are_missing_or_invalid(look, migrated_postgres_url):
    # Nobody but a superuser may do so; a failed CREATE INDEX CONCURRENTLY leaves the same.
    invalidate = (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'core.tokens_of_agent'::regclass"
    )
    await execute(migrated_postgres_url, invalidate)
    found = await look()
    assert found["indexes"].level == "error"
    assert found["indexes"].message == "Invalid: core.tokens_of_agent."
    await execute(migrated_postgres_url, "DROP INDEX foundation.tokens_of_site")
    found = await look()
    assert found["indexes"].message == "Missing: foundation.tokens_of_site."


async def test_every_index_of_the_migrations_is_known(migrated_postgres_url):
    connection = await asyncpg.connect(migrated_postgres_url)
    rows = await connection.fetch(
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        # A constraint's own index has no name in the migrations, and cannot be dropped alone.
        "WHERE n.nspname = ANY($1) AND NOT EXISTS "
        "(SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype <> 'f')",
        subject._SCHEMAS,
    )
    await connection.close()
    assert {row["name"] for row in rows} == expected_indexes(migrations())


def test_an_index_that_a_later_migration_drops_is_not_expected():
    made = Migration(1, "1", "CREATE UNIQUE INDEX one ON a.t (x); CREATE INDEX two\n ON a.t (y);")
    dropped = Migration(2, "2", "DROP INDEX a.one;")
    assert expected_indexes([made, dropped]) == {"a.two"}


@pytest.mark.parametrize(
    ("size", "level"), [(10, "ok"), (60, "warning"), (90, "error"), (1_000, "error")]
)
async def test_room_for_connections(migrated_postgres_url, monkeypatch, size, level):
    # 100 in all, 3 of them kept for superusers, and one other; one server.
    room = "SELECT 97 AS available, 1 AS others"
    monkeypatch.setattr(subject, "_CONNECTIONS", room)
    monkeypatch.setattr(subject, "_SERVERS", f"SELECT {1 if size != 90 else 2}")
    connection = await asyncpg.connect(migrated_postgres_url)
    assert (await subject._connections(connection, size)).level == level
    await connection.close()


async def test_a_database_that_was_never_migrated_is_looked_at_all_the_same(look, postgres_url):
    found = await look(database_url=postgres_url)
    assert found["postgres"].level == "error"
    assert found["postgres"].advice == "Run `lime-server migrate`."
    assert found["connections"].message.startswith("0 servers")
    # Whoever made them now would be in the migration's way.
    assert "indexes" not in found


async def test_a_standby_is_not_asked_for_what_it_does_not_have(migrated_postgres_url, monkeypatch):
    # As on a standby, where reading what is not logged fails.
    monkeypatch.setattr(
        subject, "_COUNTABLE", subject._COUNTABLE.replace("pg_is_in_recovery()", "true")
    )
    monkeypatch.setattr(subject, "_SERVERS", "SELECT 1 / 0")
    connection = await asyncpg.connect(migrated_postgres_url)
    try:
        found = await subject._connections(connection, 1)
    finally:
        await connection.close()
    assert found.message.startswith("0 servers")


async def test_sessions_of_other_users_are_seen_by_whoever_is_told_little(
    look, migrated_postgres_url, reduced_postgres_url
):
    def others(found):
        return int(re.search(r"others use (\d+)", found["connections"].message)[1])

    await execute(migrated_postgres_url, *GRANTS)
    stranger = await asyncpg.connect(
        migrated_postgres_url, server_settings={"application_name": "another"}
    )
    try:
        assert others(await look(database_url=reduced_postgres_url)) >= 1
    finally:
        await stranger.close()


async def test_servers_that_live_are_counted(look, migrated_postgres_url):
    await execute(
        migrated_postgres_url,
        "INSERT INTO modules.site_login_servers VALUES (gen_random_uuid(), now()), "
        "(gen_random_uuid(), now() - interval '1 hour')",
    )
    assert (await look())["connections"].message.startswith("1 servers with up to ")


@pytest.mark.parametrize(
    ("free", "level"), [(500, "ok"), (99, "warning"), (29, "error"), (None, "ok")]
)
def test_room_on_the_disk(free, level):
    found = subject._space(5_000_000, None if free is None else (1000, free))
    assert found.level == level
    assert "5 MB" in found.message


async def test_a_user_who_may_not_see_much_is_told_what_it_sees(
    look, migrated_postgres_url, reduced_postgres_url
):
    await execute(migrated_postgres_url, *GRANTS)
    found = await look(database_url=reduced_postgres_url)
    assert "GRANT pg_monitor" in found["write-ahead log"].message
    assert found["disk"].level == "ok"


async def test_a_disk_elsewhere_is_not_mistaken_for_ours(migrated_postgres_url):
    class Elsewhere:
        async def fetchval(self, _):
            return True

    assert await subject._usage(Elsewhere()) is None


async def test_a_disk_that_cannot_be_looked_at(look, monkeypatch):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    assert "shows only on its machine" in (await look())["disk"].message


async def test_much_write_ahead_log(look, monkeypatch):
    monkeypatch.setattr(subject, "MUCH_WAL", 1)
    found = await look()
    assert found["write-ahead log"].level == "warning"


async def test_a_slot_that_nobody_reads(look, migrated_postgres_url):
    slot = f"lime_test_{secrets.token_hex(4)}"
    await execute(migrated_postgres_url, f"SELECT pg_create_physical_replication_slot('{slot}')")
    try:
        assert slot in (await look())["replication"].message
    finally:
        await execute(migrated_postgres_url, f"SELECT pg_drop_replication_slot('{slot}')")


class Answering:
    """A connection that says one thing."""

    def __init__(self, answer):
        self.answer = answer

    async def fetchval(self, _):
        return self.answer

    async def fetch(self, _):
        return self.answer


async def test_a_standby_and_a_primary():
    standby = await subject._primary(Answering(True), "none")
    assert standby.level == "error"
    assert "target_session_attrs" in standby.advice
    # Where a pooler stands between, a server refuses to start with those.
    assert (await subject._primary(Answering(True), "transaction")).advice == (
        "Point the pooler to the primary."
    )
    assert (await subject._primary(Answering(False), "none")).level == "ok"


async def test_durability():
    assert (await subject._durability(Answering([]))).level == "ok"
    off = await subject._durability(Answering([{"name": "fsync"}]))
    assert off.level == "error"
    assert "fsync" in off.message


@pytest.mark.parametrize(
    ("used", "most", "level"), [(10, 0, "ok"), (10, 100, "ok"), (91, 100, "warning")]
)
def test_memory_of_redis(used, most, level):
    assert subject._memory(used, most).level == level


async def test_a_redis_that_does_not_tell(look, redis_url):
    client = redis.asyncio.Redis.from_url(redis_url)
    user = f"lime-test-{secrets.token_hex(4)}"
    await client.execute_command(
        "ACL", "SETUSER", user, "on", "nopass", "+ping", "+select", "+client"
    )
    try:
        where = redis_url.replace("unix://", f"unix://{user}:x@").replace(
            "redis://", f"redis://{user}:x@"
        )
        found = await look(redis_url=where)
    finally:
        await client.execute_command("ACL", "DELUSER", user)
        await client.aclose()
    assert found["redis"].level == "warning"
    assert "may not read INFO" in found["redis"].message


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 KB"), (2e9, "2 GB"), (5e15, "5e+03 TB")],
)
def test_sizes_are_readable(number, shown):
    assert subject._bytes(number) == shown


async def test_a_user_who_may_not_read_anything_is_told_so_once(look, reduced_postgres_url):
    found = await look(database_url=reduced_postgres_url)
    assert found["postgres"].level == "error"
    assert "may not read the tables" in found["postgres"].message
