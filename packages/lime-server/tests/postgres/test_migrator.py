"""Migrations: once each, in order, by one at a time."""

import asyncio

import asyncpg
import pytest

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.postgres.migrator import (
    DatabaseNewerError,
    DatabaseOlderError,
    Migration,
    MigrationChangedError,
    migrate,
    migrations,
    require_current,
)

FIRST = Migration(1, "0001_first", "CREATE TABLE one (n integer)")
SECOND = Migration(2, "0002_second", "CREATE TABLE two (n integer)")
BROKEN = Migration(2, "0002_broken", "CREATE TABLE half (n integer); SELECT nonsense")


async def tables(url):
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def current(url, known):
    connection = await asyncpg.connect(url)
    try:
        await require_current(connection, known)
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
