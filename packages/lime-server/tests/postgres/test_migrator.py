"""Migrations: once each, in order, by one at a time."""

import asyncio

import asyncpg
import pytest

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.postgres import migrator
from lime_server.infrastructure.postgres.migrator import (
    DatabaseNewerError,
    DatabaseOlderError,
    Migration,
    MigrationChangedError,
    TableLockedError,
    migrate,
    migrations,
    require_current,
    require_usable,
)

FIRST = Migration(1, "0001_first", "CREATE TABLE one (n integer)")
ADDED = Migration(3, "0003_added", "-- additive\nALTER TABLE one ADD COLUMN m integer")
SECOND = Migration(2, "0002_second", "CREATE TABLE two (n integer)")
BROKEN = Migration(2, "0002_broken", "CREATE TABLE half (n integer); SELECT nonsense")


async def tables(url):
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def current(url, known, require=require_current):
    connection = await asyncpg.connect(url)
    try:
        return await require(connection, known)
    finally:
        await connection.close()


def test_our_migrations_are_numbered_without_repetition():
    numbers = [migration.number for migration in migrations()]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


async def test_all_of_ours_are_applied_and_then_nothing_is_left(postgres_url):
    assert await migrate(postgres_url) == [migration.name for migration in migrations()]
    assert await migrate(postgres_url) == []
    await current(postgres_url, None)


async def test_what_is_missing_is_applied_in_order(postgres_url):
    assert await migrate(postgres_url, [FIRST]) == ["0001_first"]
    with pytest.raises(DatabaseOlderError, match="0002_second"):
        await current(postgres_url, [FIRST, SECOND])
    assert await migrate(postgres_url, [FIRST, SECOND]) == ["0002_second"]
    await current(postgres_url, [FIRST, SECOND])
    assert await tables(postgres_url) == {"one", "two"}


async def test_a_database_that_was_never_migrated_is_too_old(postgres_url):
    with pytest.raises(DatabaseOlderError):
        await current(postgres_url, [FIRST])


async def test_a_newer_database_is_refused(postgres_url):
    await migrate(postgres_url, [FIRST, SECOND])
    with pytest.raises(DatabaseNewerError, match="0002_second"):
        await migrate(postgres_url, [FIRST])
    with pytest.raises(DatabaseNewerError):
        await current(postgres_url, [FIRST])


async def test_servers_start_on_what_is_newer_by_additive_migrations_only(postgres_url):
    await migrate(postgres_url, [FIRST])
    assert await current(postgres_url, [FIRST], require_usable) == []
    await migrate(postgres_url, [FIRST, ADDED])
    assert await current(postgres_url, [FIRST], require_usable) == ["0003_added"]
    await migrate(postgres_url, [FIRST, ADDED, Migration(4, "0004_breaking", "DROP TABLE one")])
    with pytest.raises(DatabaseNewerError, match=r"it has 0004_breaking$"):
        await current(postgres_url, [FIRST], require_usable)


async def test_what_changes_a_database_wants_it_at_its_own_version(postgres_url):
    await migrate(postgres_url, [FIRST, ADDED])
    with pytest.raises(DatabaseNewerError, match="0003_added"):
        await migrate(postgres_url, [FIRST])
    with pytest.raises(DatabaseNewerError, match="0003_added"):
        await current(postgres_url, [FIRST])


async def test_servers_start_on_nothing_older_and_on_no_other_history(postgres_url):
    await migrate(postgres_url, [FIRST, ADDED])
    with pytest.raises(DatabaseOlderError, match="0002_second"):
        await current(postgres_url, [FIRST, SECOND], require_usable)
    with pytest.raises(MigrationChangedError):
        await current(postgres_url, [Migration(1, "0001_first", "")], require_usable)


@pytest.mark.parametrize(
    ("sql", "additive"),
    [
        ("-- additive", True),
        ("-- additive\r\nSELECT 1", True),
        ("-- additive?\nSELECT 1", False),
        ("\n-- additive\n", False),
        ("", False),
    ],
)
def test_a_migration_is_additive_if_its_first_line_says_so(sql, additive):
    assert Migration(1, "0001", sql).additive is additive


async def test_a_table_of_before_that_was_noted_is_brought_up_to_date(postgres_url):
    await migrate(postgres_url, [FIRST])
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("ALTER TABLE infrastructure.migrations DROP COLUMN additive")
    # Servers only read it, and what is not noted is not additive.
    assert await require_usable(connection, [FIRST]) == []
    with pytest.raises(DatabaseNewerError):
        await require_usable(connection, [])
    await connection.close()
    assert await migrate(postgres_url, [FIRST, ADDED]) == ["0003_added"]
    assert await current(postgres_url, [FIRST], require_usable) == ["0003_added"]


async def test_a_migration_that_was_changed_is_noticed(postgres_url):
    await migrate(postgres_url, [FIRST])
    with pytest.raises(MigrationChangedError, match="0001_first"):
        await migrate(postgres_url, [Migration(1, "0001_first", FIRST.sql + " "), SECOND])
    assert await tables(postgres_url) == {"one"}


async def test_a_migration_that_fails_leaves_nothing_behind(postgres_url):
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(postgres_url, [FIRST, BROKEN])
    assert await tables(postgres_url) == {"one"}
    assert await migrate(postgres_url, [FIRST, SECOND]) == ["0002_second"]


async def test_many_at_once_apply_each_migration_once(postgres_url):
    applied = await asyncio.gather(*(migrate(postgres_url, [FIRST, SECOND]) for _ in range(5)))
    assert sorted(name for names in applied for name in names) == ["0001_first", "0002_second"]


async def test_a_database_that_is_not_there_is_unavailable(postgres_url):
    with pytest.raises(Unavailable):
        await migrate(postgres_url.replace("lime_test_", "no_such_"), [FIRST])


@pytest.fixture
async def reader(postgres_url, monkeypatch):
    """Somebody in the middle of a dump of what FIRST made."""
    monkeypatch.setattr(migrator, "LOCK_TIMEOUT", 0.1)
    await migrate(postgres_url, [FIRST])
    connection = await asyncpg.connect(postgres_url)
    dump = connection.transaction()
    await dump.start()
    await connection.execute("LOCK TABLE one IN ACCESS SHARE MODE")
    yield dump
    await connection.close()


async def test_a_dump_is_waited_for_without_keeping_others_waiting(postgres_url, reader):
    migrating = asyncio.create_task(migrate(postgres_url, [FIRST, ADDED], pauses=[0.01] * 1000))
    other = await asyncpg.connect(postgres_url)
    for _ in range(20):
        # The migration queues between the dump and these, which get their turn all the same.
        assert await other.fetch("SELECT n FROM one", timeout=10) == []
        await asyncio.sleep(0.02)
    await other.close()
    assert not migrating.done()
    await reader.rollback()
    assert await migrating == ["0003_added"]


async def test_a_lock_that_stays_is_a_sentence(postgres_url, reader):
    with pytest.raises(
        TableLockedError, match=r"through 2 tries.* run `lime-server migrate` again"
    ):
        await migrate(postgres_url, [FIRST, SECOND, ADDED], pauses=[0.01])
    # What needed no lock is done, and stays.
    assert await tables(postgres_url) == {"one", "two"}


async def test_other_migrations_are_waited_for_whatever_the_role_says(postgres_url, monkeypatch):
    monkeypatch.setattr(migrator, "LOCK_TIMEOUT", 0.05)
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 50', "
        "current_database()); EXECUTE format('ALTER DATABASE %I SET statement_timeout = 150', "
        "current_database()); END $$"
    )
    async with connection.transaction():
        await migrator.lock_for_this_transaction(connection)
        migrating = asyncio.create_task(migrate(postgres_url, [FIRST], pauses=[]))
        _, waiting = await asyncio.wait([migrating], timeout=0.5)
        assert waiting
    assert await migrating == ["0001_first"]
    await connection.close()
