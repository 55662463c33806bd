"""Numbered SQL files, applied once each and in order.

A file is never changed after a release: its checksum is kept with it. Servers of two versions may
run beside each other while a migration is under way, so a migration only adds.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import asyncpg

from lime_server.core.failpoints import reach
from lime_server.infrastructure.postgres.pool import failures_as_unavailable

_LOCK = 0x4C494D45_4D494752  # "LIMEMIGR": one number for this purpose in the whole database

_PREPARE = """
CREATE SCHEMA IF NOT EXISTS infrastructure;
CREATE TABLE IF NOT EXISTS infrastructure.migrations (
    number      integer PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
"""


class MigrationError(Exception):
    """The database cannot be brought to this version; the message is for the operator.

    ::

        MigrationError
        ├── DatabaseNewerError    it was migrated by a newer lime-server
        ├── MigrationChangedError an applied file is not what it was
        └── DatabaseOlderError    migrations are missing (only from `require_current`)
    """


class DatabaseNewerError(MigrationError):
    """The database knows migrations that this code does not."""


class MigrationChangedError(MigrationError):
    """A migration was changed after it had been applied."""


class DatabaseOlderError(MigrationError):
    """The code needs migrations that the database has not seen."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of its text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Every migration this code knows, in order."""
    folder = files("lime_server.infrastructure.postgres") / "migrations"
    found = [
        Migration(
            int(file.name.partition("_")[0]), file.name.removesuffix(".sql"), file.read_text()
        )
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(database_url: str, known: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database to this version; returns the names of the migrations that were applied.

    Safe to run in many places at once. Each migration is a transaction of its own: one that fails
    leaves nothing behind and stops the run. Raises MigrationError, and `core.errors.Unavailable`.
    """
    known = migrations() if known is None else known
    with failures_as_unavailable():
        connection = await asyncpg.connect(database_url, timeout=10)
        try:
            # Ends with the connection at the latest, should this process die.
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            return await bring_to(connection, known)
        finally:
            await connection.close(timeout=10)


async def bring_to(connection: Any, known: Sequence[Migration]) -> list[str]:
    """Apply what is missing of `known`; returns the names. The caller holds the lock.

    Raises MigrationError.
    """
    await connection.execute(_PREPARE)
    missing = _missing(known, await _applied(connection))
    for migration in missing:
        await _apply(connection, migration)
        await reach("migrate.between")
    return [migration.name for migration in missing]


async def hold_off_migrations(connection: Any) -> None:
    """Let nobody migrate until `connection` is closed; waits for one that is under way."""
    await connection.execute("SELECT pg_advisory_lock_shared($1)", _LOCK)


async def lock_for_this_transaction(connection: Any) -> None:
    """Let nobody else migrate until the open transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def require_current(connection: Any, known: Sequence[Migration] | None = None) -> None:
    """Return if the database is at exactly this version. Raises MigrationError."""
    known = migrations() if known is None else known
    table = await connection.fetchval("SELECT to_regclass('infrastructure.migrations')::text")
    missing = _missing(known, {} if table is None else await _applied(connection))
    if missing:
        raise DatabaseOlderError(
            f"{len(missing)} migrations are missing, the first is {missing[0].name}: "
            "run `lime-server migrate`"
        )


async def _applied(connection: Any) -> dict[int, tuple[str, str]]:
    rows = await connection.fetch("SELECT number, name, checksum FROM infrastructure.migrations")
    return {row["number"]: (row["name"], row["checksum"]) for row in rows}


def _missing(known: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    numbers = {migration.number for migration in known}
    newer = sorted(name for number, (name, _) in applied.items() if number not in numbers)
    if newer:
        raise DatabaseNewerError(
            f"the database is newer than this lime-server: it has {', '.join(newer)}"
        )
    for migration in known:
        if applied.get(migration.number, ("", migration.checksum))[1] != migration.checksum:
            raise MigrationChangedError(f"{migration.name} is not what was applied")
    return [migration for migration in known if migration.number not in applied]


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO infrastructure.migrations (number, name, checksum) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
        await reach("migrate.before_commit")
