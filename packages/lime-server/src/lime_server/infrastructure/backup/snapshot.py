"""Every table of a deployment as it was at one moment, and the master key that opens them.

Records: one MANIFEST; for each table a TABLE and its rows as ROWS; one END with what was written.
Rows are PostgreSQL's own text form of COPY, compressed; where they are cut means nothing. Tables
come in the order in which foreign keys let them be filled.
"""

import contextlib
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter
from typing import TypeAlias

import asyncpg

from lime_server import __version__
from lime_server.infrastructure.backup.errors import (
    BackupError,
    DamagedError,
    NewerBackupError,
    NotEmptyError,
)
from lime_server.infrastructure.backup.sealed_file import (
    LARGEST_CONTENT,
    Kind,
    Record,
    SealedReader,
    SealedWriter,
)
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.postgres import migrator
from lime_server.infrastructure.postgres.pool import failures_as_unavailable

SCHEMAS = ("core", "foundation", "infrastructure", "modules")
"""Where our tables are."""
PIECE = LARGEST_CONTENT - (1 << 12)
"""Bytes of rows in one record. What cannot be compressed grows by less than the difference."""

# How values are written, whatever the database's own defaults are; and a backup may take its time.
_SESSION = """
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'iso_8601';
SET LOCAL timezone = 'UTC';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
"""
# Not what an engine that crashes forgets in any case (who is connected now), and not the list of
# migrations: a restore writes that by migrating.
_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, c.oid,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a
  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE n.nspname = ANY($1) AND c.relkind = 'r' AND c.relpersistence = 'p'
  AND (n.nspname, c.relname) <> ('infrastructure', 'migrations')
GROUP BY n.nspname, c.relname, c.oid ORDER BY n.nspname, c.relname
"""
_REFERENCES = "SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'"
_SEALED_KEYS = "SELECT kid, sealed FROM core.signing_keys WHERE sealed IS NOT NULL"
_OCCUPIED = "SELECT nspname FROM pg_namespace WHERE nspname = ANY($1) ORDER BY nspname"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. The master key does not show in its repr."""

    made_at: datetime
    version: str
    """Of the lime-server that wrote it."""
    public_url: str
    """Who issued the passports of this deployment."""
    migrations: Sequence[tuple[int, str, str]]
    """Number, name and checksum of each."""
    master_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """How many rows of each table there are, by `schema.table`."""

    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Table:
    schema: str
    name: str
    columns: Sequence[str]

    @property
    def whole_name(self) -> str:
        return f"{self.schema}.{self.name}"


async def dump(
    database_url: str, sink: SealedWriter, *, master_key: bytes, public_url: str, now: datetime
) -> Content:
    """Write everything as it is at one moment, while servers go on working.

    Raises BackupError if the master key is not this database's, MigrationError if the database has
    another version than this program, and `core.errors.Unavailable`.
    """
    known = migrator.migrations()
    async with (
        # Before the snapshot, which would otherwise be older than what a migration then commits;
        # and by somebody else, because a lock and a snapshot cannot be had in this order at once.
        _without_migrations(database_url),
        _connected(database_url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(_SESSION)
        await migrator.require_current(connection, known)
        await _require_own_key(connection, master_key)
        migrations = [(one.number, one.name, one.checksum) for one in known]
        manifest = Manifest(now, __version__, public_url, migrations, master_key)
        sink.write(Kind.MANIFEST, _written(manifest))
        rows = {}
        for table in await _tables(connection):
            rows[table.whole_name] = await _dump_table(connection, table, sink)
        sink.write(Kind.END, json.dumps({"rows": rows}).encode())
        return Content(rows)


async def load(database_url: str, manifest: Manifest, source: SealedReader) -> Content:
    """Fill an empty database with what follows `manifest` in `source`, and migrate it.

    One transaction: all of it happens or nothing.

    Raises NotEmptyError if there is a deployment in it, NewerBackupError and MigrationChangedError
    if the backup does not fit this version, DamagedError, and `core.errors.Unavailable`.
    """
    wanted = _migrations_of(manifest)
    async with _connected(database_url) as connection:
        async with connection.transaction():
            await migrator.lock_for_this_transaction(connection)
            await connection.execute(_SESSION)
            await _require_empty(connection)
            await migrator.bring_to(connection, wanted)
            content = await _load_tables(connection, source)
            await migrator.bring_to(connection, migrator.migrations())
            # The planner knows nothing of the new rows until somebody counts them. Here, because
            # nothing may fail any more once everything is there.
            await connection.execute("ANALYZE")
        return content


def check(manifest: Manifest, source: SealedReader) -> Content:
    """Read what follows `manifest` to its end: would `load` find it whole, and of a known version?

    Raises what `load` raises for the file's sake.
    """
    _migrations_of(manifest)
    rows = {}
    kind, content = source.read()
    while kind is Kind.TABLE:
        table = _table_of(content)
        written = 0
        kind, content = source.read()
        while kind is Kind.ROWS:
            # One row is one line: COPY writes line ends within values as `\n`.
            written += _inflated(content).count(b"\n")
            kind, content = source.read()
        rows[table.whole_name] = written
    return _agreed(rows, Record(kind, content))


def read_manifest(source: SealedReader) -> Manifest:
    """The first record. Raises DamagedError, also for another passphrase."""
    kind, content = source.read()
    if kind is not Kind.MANIFEST:
        raise DamagedError("The backup does not begin with its manifest.")
    values = json.loads(content)
    return Manifest(
        made_at=datetime.fromisoformat(values["made_at"]),
        version=values["version"],
        public_url=values["public_url"],
        migrations=[tuple(one) for one in values["migrations"]],
        master_key=bytes.fromhex(values["master_key"]),
    )


def _written(manifest: Manifest) -> bytes:
    values = asdict(manifest)
    values["made_at"] = manifest.made_at.isoformat()
    values["master_key"] = manifest.master_key.hex()
    return json.dumps(values).encode()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    """One connection without the time limits of a server's pool, directly or by a pooler."""
    with failures_as_unavailable():
        connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
        try:
            yield connection
        finally:
            # What was to happen has happened by now, or has not: how it hangs up changes nothing.
            with contextlib.suppress(OSError):
                await connection.close(timeout=10)


@asynccontextmanager
async def _without_migrations(url: str) -> AsyncIterator[None]:
    """Within the block nobody migrates."""
    # In a transaction, because a pooler would give a lock of the session to somebody else.
    async with _connected(url) as connection, connection.transaction():
        await connection.execute(_SESSION)
        await migrator.hold_off_migrations(connection)
        yield


async def _require_own_key(connection: Connection, master_key: bytes) -> None:
    """A backup with another key than the database's would be found useless when it is needed."""
    sealer = Secrets.derived_from(master_key).keys
    for row in await connection.fetch(_SEALED_KEYS):
        try:
            sealer.open(row["sealed"], context=row["kid"].encode())
        except ValueError:
            raise BackupError(
                "The master key is not the one that this database was made with."
            ) from None


async def _tables(connection: Connection) -> list[_Table]:
    """Every table, after those that its foreign keys name."""
    found = {
        row["oid"]: _Table(row["schema"], row["name"], row["columns"])
        for row in await connection.fetch(_TABLES, SCHEMAS)
    }
    order: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(found, ()))
    for row in await connection.fetch(_REFERENCES):
        # One that names its own table is checked when all of its rows are there.
        if row["conrelid"] in found and row["conrelid"] != row["confrelid"]:
            order.add(row["conrelid"], row["confrelid"])
    return [found[oid] for oid in order.static_order()]


async def _dump_table(connection: Connection, table: _Table, sink: SealedWriter) -> int:
    sink.write(Kind.TABLE, json.dumps(asdict(table)).encode())
    waiting = bytearray()

    async def take(data: bytes) -> None:
        waiting.extend(data)
        while len(waiting) >= PIECE:
            sink.write(Kind.ROWS, zlib.compress(waiting[:PIECE], level=1))
            del waiting[:PIECE]

    done = await connection.copy_from_table(
        table.name, schema_name=table.schema, columns=list(table.columns), output=take
    )
    if waiting:
        sink.write(Kind.ROWS, zlib.compress(waiting, level=1))
    return _count(done)


def _migrations_of(manifest: Manifest) -> list[migrator.Migration]:
    """Our own migrations that the backup's database had seen."""
    ours = {migration.number: migration for migration in migrator.migrations()}
    newer = [name for number, name, _ in manifest.migrations if number not in ours]
    if newer:
        raise NewerBackupError(
            f"The backup was written by lime-server {manifest.version}, which is newer than this "
            f"one ({__version__}): it has {', '.join(newer)}."
        )
    for number, name, checksum in manifest.migrations:
        if ours[number].checksum != checksum:
            raise migrator.MigrationChangedError(f"{name} is not what was applied")
    return [ours[number] for number, _, _ in manifest.migrations]


async def _require_empty(connection: Connection) -> None:
    occupied = [row["nspname"] for row in await connection.fetch(_OCCUPIED, SCHEMAS)]
    if occupied:
        raise NotEmptyError(
            f"The database is not empty: it has the schemas {', '.join(occupied)}. Make a new one, "
            "and do not migrate it: restoring does."
        )


async def _load_tables(connection: Connection, source: SealedReader) -> Content:
    rows = {}
    last = source.read()

    async def lines() -> AsyncIterator[bytes]:
        nonlocal last
        while (last := source.read()).kind is Kind.ROWS:
            yield _inflated(last.content)

    while last.kind is Kind.TABLE:
        table = _table_of(last.content)
        done = await connection.copy_to_table(
            table.name, schema_name=table.schema, columns=list(table.columns), source=lines()
        )
        rows[table.whole_name] = _count(done)
    return _agreed(rows, last)


def _agreed(rows: dict[str, int], last: Record) -> Content:
    """What was read, if it is what was written. Raises DamagedError."""
    if last.kind is not Kind.END or json.loads(last.content)["rows"] != rows:
        raise DamagedError("The backup does not hold the rows that it says it holds.")
    return Content(rows)


def _table_of(content: bytes) -> _Table:
    return _Table(**json.loads(content))


def _inflated(content: bytes) -> bytes:
    # Not more than was ever put into one.
    return zlib.decompressobj().decompress(content, PIECE)


def _count(command_tag: str) -> int:
    """The number in, for example, `COPY 3`."""
    return int(command_tag.rpartition(" ")[2])
