"""The pool: every operation ends, with an answer or with `Unavailable`."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.postgres import pool
from lime_server.infrastructure.postgres.pool import (
    LISTS,
    Database,
    _close,
    failures_as_unavailable,
    open_database,
)

ID = "0190a2b4-0000-7000-8000-000000000000"


@pytest.fixture
async def database(postgres_url):
    async with open_database(postgres_url, size=2, patience=5) as opened:
        yield opened


async def test_ids_are_text(database):
    assert await database.fetchval("SELECT $1::uuid", ID) == ID
    assert await database.fetchval("SELECT $1::uuid[]", [ID, ID]) == [ID, ID]


@pytest.mark.parametrize(("pooler", "plans"), [("none", True), ("transaction", False)])
async def test_nothing_is_kept_where_a_pooler_lends_connections(postgres_url, pooler, plans):
    async with open_database(postgres_url, size=2, patience=5, pooler=pooler) as opened:
        assert await opened.fetchval("SELECT $1::uuid[]", [ID]) == [ID]
        kept = await opened.fetchval("SELECT count(*) > 0 FROM pg_prepared_statements")
        mode = await opened.fetchval("SELECT current_setting('plan_cache_mode') <> 'auto'")
        assert (kept, mode) == (plans, plans)


def test_every_list_that_statements_speak_of_is_known():
    files = Path(pool.__file__).parent.glob("*.py")
    spoken_of = {name for file in files for name in re.findall(r"::(\w+)\[\]", file.read_text())}
    assert spoken_of == set(LISTS)


async def test_behind_a_pooler_types_are_looked_up_before_there_is_work(postgres_url, monkeypatch):
    async with open_database(postgres_url, size=2, patience=5, pooler="transaction") as opened:

        async def too_late(*_arguments):
            raise AssertionError("another connection may have been told to switch jit off")

        monkeypatch.setattr(asyncpg.Connection, "_introspect_types", too_late)
        assert await opened.fetchval("SELECT $1::uuid[]", [ID]) == [ID]
        for name in LISTS:
            assert await opened.fetchval(f"SELECT $1::{name}[]", []) == []


async def test_rows_and_tags_come_as_from_the_driver(database):
    assert [row["n"] for row in await database.fetch("SELECT generate_series(1, 3) AS n")] == [
        1,
        2,
        3,
    ]
    assert await database.fetchrow("SELECT 1 WHERE false") is None
    assert await database.execute("SELECT 1") == "SELECT 1"
    assert await database.ready()


async def test_our_own_mistakes_are_not_called_an_absent_engine(database):
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await database.fetch("SELEKT 1")


async def test_a_statement_that_takes_too_long_is_given_up(postgres_url):
    async with open_database(postgres_url, size=1, patience=0.2) as database:
        with pytest.raises(Unavailable):
            await database.fetch("SELECT pg_sleep(60)")
        assert await database.fetchval("SELECT 1") == 1


async def test_waiting_for_a_connection_is_given_up(postgres_url):
    async with open_database(postgres_url, size=1, patience=0.2) as database:
        async with database.acquire():
            with pytest.raises(Unavailable) as error:
                await database.fetch("SELECT 1")
        assert error.value.retry_after == 1
        assert await database.fetchval("SELECT 1") == 1


async def test_a_connection_is_kept_for_the_next_statement_but_never_all_of_them(database):
    pid = await database.fetchval("SELECT pg_backend_pid()")
    assert await database.fetchval("SELECT pg_backend_pid()") == pid
    assert len(database._kept) == 1
    async with database.acquire(), database.acquire():
        assert not database._kept
    assert len(database._kept) == 1


async def test_nobody_waits_at_the_pool_for_a_connection_that_is_kept(database):
    done = []

    async def use(name):
        async with database.acquire():
            await asyncio.sleep(0)
            done.append(name)

    async with asyncio.timeout(5):
        await asyncio.gather(*(use(name) for name in range(10)))
    assert sorted(done) == list(range(10))


async def test_nobody_gets_a_connection_whose_statement_is_still_under_way(postgres_url):
    async with open_database(postgres_url, size=4, patience=0.5) as database:
        before = await database.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(Unavailable):
            await database.fetch("SELECT pg_sleep(60)")
        assert database._kept == []
        assert await database.fetchval("SELECT pg_backend_pid()") != before


async def test_a_cancelled_transaction_is_undone_before_its_connection_is_used_again(database):
    await database.execute("CREATE TABLE things (name text)")
    written = asyncio.Event()

    async def write():
        async with database.transaction():
            await database.execute("INSERT INTO things VALUES ('half')")
            written.set()
            await asyncio.sleep(60)

    task = asyncio.ensure_future(write())
    await written.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with database.acquire(), database.acquire() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT count(*) FROM things") == 0


@pytest.mark.parametrize("error", [None, OSError("reset by peer")])
async def test_a_connection_that_is_given_up_in_the_background_harms_nobody(error):
    released = []

    class Dead:
        def get_max_size(self):
            return 4

        async def acquire(self, **_options):
            return object()

        async def release(self, connection):
            released.append(connection)
            if error is not None:
                raise error

    database = Database(Dead(), 5)
    with pytest.raises(Unavailable):
        async with database.acquire():
            raise TimeoutError
    await asyncio.gather(*database._ending, return_exceptions=True)
    await asyncio.sleep(0)
    assert len(released) == 1
    assert database._ending == set()


async def test_a_connection_that_was_unused_for_long_is_not_trusted(database, monkeypatch):
    before = await database.fetchval("SELECT pg_backend_pid()")
    assert await database.fetchval("SELECT pg_backend_pid()") == before
    monkeypatch.setattr(pool, "LONGEST_IDLE", -1.0)
    assert await database.fetchval("SELECT pg_backend_pid()") != before


async def test_what_is_still_under_way_at_the_end_is_given_back_too(postgres_url):
    async with open_database(postgres_url, size=2, patience=5) as database:
        late = asyncio.ensure_future(database.fetchval("SELECT pg_sleep(0.1)"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await late
    assert not database._kept


async def test_a_kept_connection_that_has_ended_is_not_used(database):
    await database.fetchval("SELECT 1")
    ((kept, _),) = database._kept
    before = await kept.fetchval("SELECT pg_backend_pid()")
    await kept.close()
    async with asyncio.timeout(5):
        assert await database.fetchval("SELECT pg_backend_pid()") != before


async def test_a_severed_connection_is_replaced(postgres_url, database):
    other = await asyncpg.connect(postgres_url)
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await other.close()
    # The one that was cut may be handed out once more before that is noticed.
    answers = [await database.ready() for _ in range(3)]
    assert answers[-1]


def test_a_connection_that_was_ended_while_idle_is_unavailable():
    with pytest.raises(Unavailable), failures_as_unavailable():
        raise asyncpg.InternalClientError("another operation is in progress")


async def test_a_closed_pool_is_unavailable(postgres_url):
    async with open_database(postgres_url, size=1, patience=5) as database:
        pass
    with pytest.raises(Unavailable):
        await database.fetch("SELECT 1")
    assert not await database.ready()


async def test_an_engine_that_takes_no_changes_is_not_ready(postgres_url):
    # As a standby says of each of its transactions.
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(
        f"ALTER DATABASE {admin._params.database} SET default_transaction_read_only = on"
    )
    await admin.close()
    async with open_database(postgres_url, size=1, patience=5) as database:
        assert await database.fetchval("SELECT true")
        assert not await database.ready()


async def test_an_absent_engine_is_unavailable(tmp_path):
    with pytest.raises(Unavailable):
        async with open_database(f"postgresql:///x?host={tmp_path}", size=1, patience=5):
            pass


async def test_a_pool_that_does_not_close_is_torn_down():
    class Stuck:
        terminated = False

        async def close(self):
            await asyncio.Event().wait()

        def terminate(self):
            self.terminated = True

        def get_max_size(self):
            return 1

    stuck = Stuck()
    await _close(Database(stuck, 0.01), stuck, 0.01)
    assert stuck.terminated


async def test_lease_and_acknowledgement_do_not_wait_for_the_disk_and_approval_does(database):
    """The setting lasts for the statement that asks for it, and no longer."""
    from lime_server.infrastructure.postgres.events import _RELAXED

    within = await database.fetchval(
        f"WITH {_RELAXED} SELECT current_setting('synchronous_commit') FROM relaxed"
    )
    assert within == "off"
    assert isinstance(database, Database)
    assert await database.fetchval("SHOW synchronous_commit") == await database.fetchval(
        "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'"
    )
