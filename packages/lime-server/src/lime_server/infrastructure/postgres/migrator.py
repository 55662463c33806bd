"""Numbered SQL files, applied once each and in order.

A file is never changed after a release: its checksum is kept with it. Servers of two versions may
run beside each other while a migration is under way, so a migration only adds.

A file whose first line is `-- additive` promises more: servers that do not know of it read and
write everything as before. It makes tables, indexes that are not unique, and columns that may be
null or have a default, and takes nothing away. Servers may be started on a database that is newer
only by such files, so that an upgrade can be taken back. A file that does not say so is not
believed to be.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from logging import getLogger
from typing import Any

import asyncpg

from lime_server.core.failpoints import reach
from lime_server.infrastructure.postgres.pool import failures_as_unavailable
from lime_server.infrastructure.postgres.waiting import patiently

_log = getLogger(__name__)

_LOCK = 0x4C494D45_4D494752  # "LIMEMIGR": one number for this purpose in the whole database

ADDITIVE = "-- additive"
"""The first line of a migration that servers from before it can work with."""

LOCK_TIMEOUT = 2
"""Seconds for which a migration queues for a lock on a table. Whoever wants the table meanwhile
queues behind it, every login too: so it is less than the five after which servers give up."""
PAUSES = (1, 2, 4, 8, 16, *[30] * 20)
"""Seconds between two tries, in which those who queued get their turn: some ten minutes in all, in
which most dumps of a database end."""

_PREPARE = """
CREATE SCHEMA IF NOT EXISTS infrastructure;
CREATE TABLE IF NOT EXISTS infrastructure.migrations (
    number      integer PRIMARY KEY,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    additive    boolean NOT NULL DEFAULT false
);
"""
# Databases of developers have a table from before this column. Asked first, because ALTER TABLE
# would lock out every server that starts, even where the column is there.
_HAS_ADDITIVE = """
SELECT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = 'infrastructure.migrations'::regclass AND attname = 'additive'
)
"""
_ADD_ADDITIVE = (
    "ALTER TABLE infrastructure.migrations ADD COLUMN additive boolean NOT NULL DEFAULT false"
)
# By way of JSON, in which a column that is not there yet is merely null.
_APPLIED = """
SELECT number, name, checksum,
    coalesce((to_jsonb(m) ->> 'additive')::boolean, false) AS additive
FROM infrastructure.migrations m
"""


class MigrationError(Exception):
    """The database cannot be brought to this version; the message is for the operator.

    ::

        MigrationError
        ├── DatabaseNewerError    it was migrated by a newer lime-server
        ├── MigrationChangedError an applied file is not what it was
        ├── DatabaseOlderError    migrations are missing (not from `migrate`)
        └── TableLockedError      somebody else kept a table locked (only from `migrate`)
    """


class DatabaseNewerError(MigrationError):
    """The database knows migrations that this code does not."""


class MigrationChangedError(MigrationError):
    """A migration was changed after it had been applied."""


class DatabaseOlderError(MigrationError):
    """The code needs migrations that the database has not seen."""


class TableLockedError(MigrationError):
    """A lock that a migration needs could not be had in time."""


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

    @property
    def additive(self) -> bool:
        """Whether servers that do not know of it work on the database as before."""
        return self.sql.partition("\n")[0].rstrip() == ADDITIVE


@dataclass(frozen=True, slots=True)
class _Applied:
    """What the database says of a migration."""

    name: str
    checksum: str
    additive: bool


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


async def migrate(
    database_url: str,
    known: Sequence[Migration] | None = None,
    *,
    pauses: Sequence[float] = PAUSES,
    patience: float = 0,
) -> list[str]:
    """Bring the database to this version; returns the names of the migrations that were applied.

    Safe to run in many places at once. Each migration is a transaction of its own: one that fails
    leaves nothing behind and stops the run. One that meets a lock is tried again after each of
    `pauses`. A database that cannot be reached is waited for, for `patience` seconds.

    Raises MigrationError, and `core.errors.Unavailable`.
    """
    known = migrations() if known is None else known
    applied: list[str] = []
    connection = await patiently(lambda: _connected(database_url), at_most=patience)
    with failures_as_unavailable():
        try:
            while (name := await _next_in_turn(connection, known, pauses)) is not None:
                applied.append(name)
                await reach("migrate.between")
        finally:
            await connection.close(timeout=10)
    return applied


async def _connected(database_url: str) -> Any:
    with failures_as_unavailable():
        # Nothing is kept between transactions, locks least of all: there may be a pooler, which
        # would give the lock to somebody else.
        return await asyncpg.connect(database_url, timeout=10, statement_cache_size=0)


async def _next_in_turn(
    connection: Any, known: Sequence[Migration], pauses: Sequence[float]
) -> str | None:
    """As `_next`, again after each of `pauses` while somebody has a table locked."""
    for pause in pauses:
        try:
            return await _next(connection, known)
        except _LOCKED:
            _log.warning("somebody has locked a table: the migration is tried again in %g s", pause)
        await asyncio.sleep(pause)
    try:
        return await _next(connection, known)
    except _LOCKED as error:
        raise TableLockedError(
            f"somebody kept a table locked through {len(pauses) + 1} tries, and the migration that "
            "needs it was not applied: end what does (pg_stat_activity shows it; a dump of the "
            "database, or a transaction that was forgotten), then run `lime-server migrate` again"
        ) from error


_LOCKED = (
    asyncpg.LockNotAvailableError,
    # The engine has undone whichever of two it noticed first; it may as well have been the other.
    asyncpg.DeadlockDetectedError,
)


async def _next(connection: Any, known: Sequence[Migration]) -> str | None:
    """Apply the first that is missing, and return its name; None if none is."""
    # Whatever the role's default is: what others migrated while we waited has to be seen.
    async with connection.transaction(isolation="read_committed"):
        # Nobody but other migrations, and restores, queues behind this lock, so we wait for them
        # and for a backup as long as they take.
        await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        await lock_for_this_transaction(connection)
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT * 1000:.0f}")
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
    if not await connection.fetchval(_HAS_ADDITIVE):
        await connection.execute(_ADD_ADDITIVE)
    return _missing(known, await _applied(connection))


async def require_current(connection: Any, known: Sequence[Migration] | None = None) -> None:
    """Return if the database is at exactly this version. Raises MigrationError."""
    known = migrations() if known is None else known
    _require_nothing_missing(known, await _seen(connection))


async def require_usable(connection: Any, known: Sequence[Migration] | None = None) -> list[str]:
    """Return if servers of this version can work on the database; raises MigrationError.

    It may be newer by additive migrations: their names are returned.
    """
    known = migrations() if known is None else known
    numbers = {migration.number for migration in known}
    applied = await _seen(connection)
    added = {
        number: one for number, one in applied.items() if number not in numbers and one.additive
    }
    _require_nothing_missing(
        known, {number: one for number, one in applied.items() if number not in added}
    )
    return sorted(one.name for one in added.values())


def _require_nothing_missing(known: Sequence[Migration], applied: Mapping[int, _Applied]) -> None:
    missing = _missing(known, applied)
    if missing:
        raise DatabaseOlderError(
            f"{len(missing)} migrations are missing, the first is {missing[0].name}: "
            "run `lime-server migrate`"
        )


async def _seen(connection: Any) -> dict[int, _Applied]:
    """What was applied, also of a database that was never migrated."""
    table = await connection.fetchval("SELECT to_regclass('infrastructure.migrations')::text")
    return {} if table is None else await _applied(connection)


async def _applied(connection: Any) -> dict[int, _Applied]:
    return {
        row["number"]: _Applied(row["name"], row["checksum"], row["additive"])
        for row in await connection.fetch(_APPLIED)
    }


def _missing(known: Sequence[Migration], applied: Mapping[int, _Applied]) -> list[Migration]:
    numbers = {migration.number for migration in known}
    newer = sorted(one.name for number, one in applied.items() if number not in numbers)
    if newer:
        raise DatabaseNewerError(
            f"the database is newer than this lime-server: it has {', '.join(newer)}"
        )
    for migration in known:
        seen = applied.get(migration.number)
        if seen is not None and seen.checksum != migration.checksum:
            raise MigrationChangedError(f"{migration.name} is not what was applied")
    return [migration for migration in known if migration.number not in applied]


async def _apply(connection: Any, migration: Migration) -> None:
    await connection.execute(migration.sql)
    await connection.execute(
        "INSERT INTO infrastructure.migrations (number, name, checksum, additive) "
        "VALUES ($1, $2, $3, $4)",
        migration.number,
        migration.name,
        migration.checksum,
        migration.additive,
    )
