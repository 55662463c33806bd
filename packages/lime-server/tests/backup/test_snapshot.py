"""Everything that a database holds, at one moment, and into another one."""

import io
import json
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest

from lime_server.infrastructure.backup import (
    BackupError,
    DamagedError,
    SealedReader,
    SealedWriter,
    check,
    dump,
    load,
    read_manifest,
)
from lime_server.infrastructure.backup import snapshot as subject
from lime_server.infrastructure.backup.errors import NewerBackupError, NotEmptyError
from lime_server.infrastructure.backup.sealed_file import Kind
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.postgres import migrator
from lime_server.infrastructure.postgres.migrator import (
    DatabaseOlderError,
    Migration,
    MigrationChangedError,
)

PASSPHRASE = b"correct horse battery staple"
KEY = secrets.token_bytes(32)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OWNER = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def other_postgres_url(databases):
    with databases.fresh() as url:
        yield url


@asynccontextmanager
async def connected(url):
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def run(url, *statements):
    async with connected(url) as connection:
        for statement in statements:
            await connection.execute(statement)


async def rows(url, query):
    async with connected(url) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


def fill(owners=1):
    """Statements for rows with every difficulty that a text form can have."""
    yield (
        "INSERT INTO foundation.owners (owner_id, email, created_at) "
        f"SELECT lpad(to_hex(n), 32, '0')::uuid, n || '@example.com', now() "
        f"FROM generate_series(1, {owners}) n"
    )
    yield (
        "INSERT INTO core.agents (agent_id, owner_id, display_name, description, created_at, "
        f"capabilities) VALUES (gen_random_uuid(), '{OWNER}', E'tab\\t newline\\n back\\\\slash', "
        "NULL, '2026-01-02 03:04:05.678901+05', ARRAY['a,b', 'NULL', '\"', '']), "
        f"(gen_random_uuid(), '{OWNER}', E'\\\\N', E'\\\\.', now(), '{{}}')"
    )
    yield (
        "INSERT INTO core.agent_tokens (token_hash, agent_id, created_at) "
        r"SELECT '\x00ff0a0d5c'::bytea || agent_id::text::bytea, agent_id, now() FROM core.agents"
    )


async def backup(url, *, key=KEY):
    file = io.BytesIO()
    sink = SealedWriter(file, PASSPHRASE, salt=secrets.token_bytes(16))
    content = await dump(url, sink, master_key=key, public_url="https://lime.example", now=NOW)
    return file.getvalue(), content


def opened(data):
    source = SealedReader(io.BytesIO(data), PASSPHRASE)
    return read_manifest(source), source


async def everything(url):
    async with connected(url) as connection:
        tables = await subject._tables(connection)
    return {
        table.whole_name: sorted(
            row[0] for row in await rows(url, f"SELECT t::text FROM {table.whole_name} t")
        )
        for table in tables
    }


async def test_every_row_comes_back_as_it_was(migrated_postgres_url, other_postgres_url):
    await run(migrated_postgres_url, *fill())
    data, written = await backup(migrated_postgres_url)
    manifest, source = opened(data)
    assert (manifest.made_at, manifest.public_url) == (NOW, "https://lime.example")
    assert manifest.master_key == KEY
    assert KEY.hex() not in repr(manifest)
    assert await load(other_postgres_url, manifest, source) == written
    assert written.rows["core.agents"] == written.rows["core.agent_tokens"] == 2
    before = await everything(migrated_postgres_url)
    assert await everything(other_postgres_url) == before
    assert len(before["core.agents"]) == 2
    async with connected(other_postgres_url) as connection:
        await migrator.require_current(connection)
        counted = "SELECT reltuples::int FROM pg_class WHERE oid = 'core.agents'::regclass"
        assert await connection.fetchval(counted) == 2


async def test_a_goodbye_that_takes_too_long_changes_nothing(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    await run(migrated_postgres_url, *fill())
    data, written = await backup(migrated_postgres_url)
    close = asyncpg.Connection.close

    async def slow(connection, **options):
        await close(connection, **options)
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "close", slow)
        assert await load(other_postgres_url, *opened(data)) == written
    assert await everything(other_postgres_url) == await everything(migrated_postgres_url)


async def test_the_file_can_be_checked_without_a_database(migrated_postgres_url):
    await run(migrated_postgres_url, *fill())
    data, written = await backup(migrated_postgres_url)
    assert check(*opened(data)) == written


async def test_the_databases_own_habits_change_nothing(migrated_postgres_url, other_postgres_url):
    await run(
        migrated_postgres_url,
        *fill(),
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''', "
        "current_database()); EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', "
        "current_database()); EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kolkata''', "
        "current_database()); END $$",
    )
    data, _ = await backup(migrated_postgres_url)
    await load(other_postgres_url, *opened(data))
    query = "SELECT created_at FROM core.agents UNION SELECT created_at FROM core.agent_tokens"
    assert sorted(await rows(other_postgres_url, query)) == sorted(
        await rows(migrated_postgres_url, query)
    )


async def test_many_rows_are_written_in_pieces(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    monkeypatch.setattr(subject, "PIECE", 1000)
    await run(migrated_postgres_url, *fill(owners=500))
    data, written = await backup(migrated_postgres_url)
    assert check(*opened(data)) == written
    assert (await load(other_postgres_url, *opened(data))).rows["foundation.owners"] == 500


async def test_what_is_written_meanwhile_is_not_in_it(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    await run(migrated_postgres_url, *fill())
    real = subject._dump_table

    async def meanwhile(connection, table, sink):
        # Between two tables of one snapshot: a child whose parent the backup does not have.
        number = secrets.token_hex(8)
        await run(
            migrated_postgres_url,
            "WITH made AS (INSERT INTO foundation.owners (owner_id, email, created_at) VALUES "
            f"(gen_random_uuid(), '{number}@example.com', now()) RETURNING owner_id) "
            "SELECT 1 FROM made",
            "INSERT INTO core.agents (agent_id, owner_id, display_name, created_at) SELECT "
            f"gen_random_uuid(), owner_id, 'x', now() FROM foundation.owners WHERE email LIKE "
            f"'{number}%'",
        )
        return await real(connection, table, sink)

    monkeypatch.setattr(subject, "_dump_table", meanwhile)
    data, written = await backup(migrated_postgres_url)
    assert (written.rows["foundation.owners"], written.rows["core.agents"]) == (1, 2)
    assert await load(other_postgres_url, *opened(data)) == written


async def test_nothing_that_persists_is_left_out(migrated_postgres_url):
    async with connected(migrated_postgres_url) as connection:
        tables = {table.whole_name for table in await subject._tables(connection)}
    kept = await rows(
        migrated_postgres_url,
        "SELECT n.nspname || '.' || c.relname, c.relkind::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg%' "
        # Indexes follow from tables; unlogged ones hold who is connected now.
        "AND n.nspname <> 'information_schema' AND relkind NOT IN ('i', 'I') "
        "AND relpersistence = 'p'",
    )
    # A sequence, a partition or a stored view would need more than COPY, so that nobody adds one
    # without seeing this.
    assert {kind for _, kind in kept} == {"r"}
    assert {name for name, _ in kept} - tables == {"infrastructure.migrations"}


async def test_parents_come_before_children(migrated_postgres_url):
    async with connected(migrated_postgres_url) as connection:
        names = [table.whole_name for table in await subject._tables(connection)]
    for parent, child in (
        ("foundation.owners", "core.agents"),
        ("core.agents", "core.agent_tokens"),
        ("foundation.sites", "foundation.site_tokens"),
    ):
        assert names.index(parent) < names.index(child)


async def test_a_table_may_name_itself(migrated_postgres_url, other_postgres_url, monkeypatch):
    more = Migration(
        9000, "9000_tree", "CREATE TABLE core.tree (n int PRIMARY KEY, up int REFERENCES core.tree)"
    )
    known = [*migrator.migrations(), more]
    monkeypatch.setattr(migrator, "migrations", lambda: known)
    await migrator.migrate(migrated_postgres_url)
    await run(migrated_postgres_url, "INSERT INTO core.tree VALUES (2, NULL), (1, 2)")
    data, _ = await backup(migrated_postgres_url)
    assert (await load(other_postgres_url, *opened(data))).rows["core.tree"] == 2


async def test_a_backup_of_an_older_version_is_brought_to_this_one(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    await run(migrated_postgres_url, *fill())
    data, _ = await backup(migrated_postgres_url)
    more = Migration(9000, "9000_more", "ALTER TABLE core.agents ADD COLUMN more int DEFAULT 7")
    known = [*migrator.migrations(), more]
    monkeypatch.setattr(migrator, "migrations", lambda: known)
    await load(other_postgres_url, *opened(data))
    assert await rows(other_postgres_url, "SELECT DISTINCT more FROM core.agents") == [(7,)]
    async with connected(other_postgres_url) as connection:
        await migrator.require_current(connection)


async def nothing_there(url):
    return await rows(url, "SELECT nspname FROM pg_namespace WHERE nspname IN ('core')") == []


async def test_a_backup_of_a_newer_version_is_refused(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    data, _ = await backup(migrated_postgres_url)
    known = migrator.migrations()[:-1]
    monkeypatch.setattr(migrator, "migrations", lambda: known)
    for attempt in (lambda: load(other_postgres_url, *opened(data)), lambda: check(*opened(data))):
        with pytest.raises(NewerBackupError, match="newer than this one"):
            await attempt()
    assert await nothing_there(other_postgres_url)


async def test_a_backup_of_another_history_is_refused(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    data, _ = await backup(migrated_postgres_url)
    *known, last = migrator.migrations()
    known.append(Migration(last.number, last.name, last.sql + " "))
    monkeypatch.setattr(migrator, "migrations", lambda: known)
    with pytest.raises(MigrationChangedError, match=last.name):
        await load(other_postgres_url, *opened(data))
    assert await nothing_there(other_postgres_url)


async def test_a_database_with_a_deployment_is_not_touched(migrated_postgres_url):
    await run(migrated_postgres_url, *fill())
    data, _ = await backup(migrated_postgres_url)
    before = await everything(migrated_postgres_url)
    with pytest.raises(NotEmptyError, match="it has the schemas core, foundation"):
        await load(migrated_postgres_url, *opened(data))
    assert await everything(migrated_postgres_url) == before


@pytest.mark.parametrize("how", ["cut off", "changed"])
async def test_damage_at_the_very_end_leaves_nothing_behind(
    migrated_postgres_url, other_postgres_url, how
):
    await run(migrated_postgres_url, *fill())
    data, _ = await backup(migrated_postgres_url)
    bad = data[:-1] if how == "cut off" else data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(DamagedError, match=how):
        await load(other_postgres_url, *opened(bad))
    assert await nothing_there(other_postgres_url)
    # And the right one can be restored right away.
    await load(other_postgres_url, *opened(data))


async def test_damage_within_a_tables_rows_leaves_nothing_behind(
    migrated_postgres_url, other_postgres_url, monkeypatch
):
    monkeypatch.setattr(subject, "PIECE", 1000)
    await run(migrated_postgres_url, *fill(owners=500))
    data, _ = await backup(migrated_postgres_url)
    bad = bytearray(data)
    bad[len(bad) // 2] ^= 1
    with pytest.raises(DamagedError):
        await load(other_postgres_url, *opened(bytes(bad)))
    assert await nothing_there(other_postgres_url)


async def test_rows_that_do_not_add_up_are_refused(migrated_postgres_url, other_postgres_url):
    manifest, _ = opened((await backup(migrated_postgres_url))[0])
    file = io.BytesIO()
    sink = SealedWriter(file, PASSPHRASE, salt=bytes(16))
    sink.write(Kind.MANIFEST, subject._written(manifest))
    sink.write(Kind.END, json.dumps({"rows": {"core.agents": 1}}).encode())
    with pytest.raises(DamagedError, match="does not hold the rows"):
        await load(other_postgres_url, *opened(file.getvalue()))
    with pytest.raises(DamagedError, match="does not hold the rows"):
        check(*opened(file.getvalue()))
    assert await nothing_there(other_postgres_url)


def test_a_file_that_begins_with_something_else_is_refused():
    file = io.BytesIO()
    SealedWriter(file, PASSPHRASE, salt=bytes(16)).write(Kind.END, b"")
    with pytest.raises(DamagedError, match="does not begin with its manifest"):
        opened(file.getvalue())


async def test_a_master_key_that_opens_nothing_is_noticed_while_there_is_time(
    migrated_postgres_url,
):
    sealed = Secrets.derived_from(KEY).keys.seal(b"private", context=b"kid-1")
    async with connected(migrated_postgres_url) as connection:
        await connection.execute(
            "INSERT INTO core.signing_keys (kid, state, public_jwk, sealed, created_at) "
            "VALUES ('kid-1', 'active', '{}', $1, now())",
            sealed,
        )
    with pytest.raises(BackupError, match="master key is not the one"):
        await backup(migrated_postgres_url, key=secrets.token_bytes(32))
    await backup(migrated_postgres_url)


async def test_a_database_of_another_version_is_not_backed_up(postgres_url):
    with pytest.raises(DatabaseOlderError):
        await backup(postgres_url)
    # Not even of one on which servers of this version work: what is new would not be restored.
    later = migrator.Migration(9000, "9000_later", "-- additive\nSELECT 1")
    await migrator.migrate(postgres_url, [*migrator.migrations(), later])
    with pytest.raises(migrator.DatabaseNewerError):
        await backup(postgres_url)
