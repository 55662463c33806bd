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
    applied: list[str] = []
    with failures_as_unavailable():
        # Nothing is kept between transactions, locks least of all: there may be a pooler, which
        # would give the lock to somebody else.
        connection = await asyncpg.connect(database_url, timeout=10, statement_cache_size=0)
        try:
            while (name := await _next(connection, known)) is not None:
                applied.append(name)
                await reach("migrate.between")
        finally:
            await connection.close(timeout=10)
    return applied


async def _next(connection: Any, known: Sequence[Migration]) -> str | None:
    """Apply the first that is missing, and return its name; None if none is."""
    # Whatever the role's default is: what others migrated while we waited has to be seen.
    async with connection.transaction(isolation="read_committed"):
        await lock_for_this_transaction(connection)
        missing = await _prepared(connection, known)
        if not missing:
            return None
        await _apply(connection, missing[0])
        await reach("migrate.before_commit")
    return missing[0].name


async def bring_to(connection: Any, known: Sequence[Migration]) -> None:
    """Apply what is missing of `known` in the open transaction, which has the lock.

    Raises MigrationError.
    """
    for migration in await _prepared(connection, known):
        await _apply(connection, migration)


async def hold_off_migrations(connection: Any) -> None:
    """Let nobody migrate until the open transaction ends; waits for one that is under way."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _LOCK)


async def lock_for_this_transaction(connection: Any) -> None:
    """Let nobody else migrate until the open transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def _prepared(connection: Any, known: Sequence[Migration]) -> list[Migration]:
    """What is missing of `known`, in a database that has the table to note it in."""
    await connection.execute(_PREPARE)
    return _missing(known, await _applied(connection))


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


async def _apply(connection: Any, migration: Migration) -> None:
    await connection.execute(migration.sql)
    await connection.execute(
        "INSERT INTO infrastructure.migrations (number, name, checksum) VALUES ($1, $2, $3)",
        migration.number,
        migration.name,
        migration.checksum,
    )
