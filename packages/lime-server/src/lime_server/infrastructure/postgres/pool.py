"""Connections to PostgreSQL, and what their failures mean."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Literal, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from lime_server.core.errors import Unavailable

_log = getLogger(__name__)

T = TypeVar("T")
# In quotes: only the type stubs know these as generic.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

APPLICATION = "lime-server"
"""What PostgreSQL shows of us in `pg_stat_activity`."""
RETRY_AFTER = 1
"""Seconds that callers are told to wait: a failover or a restart takes about that long."""

_AWAY = (
    OSError,  # includes TimeoutError: nobody there, or no answer in time
    asyncpg.InterfaceError,  # the connection or the pool is closed
    # asyncpg's word for a connection that the engine ended while nobody used it, in the moment
    # before the socket says so.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,  # connections, memory, disk
    asyncpg.OperatorInterventionError,  # shutdown, recovery, a cancelled statement
    asyncpg.ReadOnlySQLTransactionError,  # a standby that used to be the primary
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


@contextmanager
def failures_as_unavailable() -> Iterator[None]:
    """Turn "the engine cannot answer" into `core.errors.Unavailable`; our own mistakes pass."""
    try:
        yield
    except _AWAY as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    # Only the kind is logged: an engine's message may hold values.
    _log.error("PostgreSQL cannot answer: %s", type(error).__name__)
    return Unavailable(retry_after=RETRY_AFTER)


_UNFINISHED = (TimeoutError, asyncio.CancelledError)
"""After one of these the answer to a statement may still be on its way, or the connection dead."""
LONGEST_IDLE = 300.0
"""Seconds for which a connection is kept unused, as the driver's pool does with its own: firewalls
forget connections after some minutes."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A transaction, and whose it is: a connection serves one task at a time."""

    database: "Database"
    task: "asyncio.Task[object] | None"
    connection: Connection


_open: ContextVar[_Open | None] = ContextVar("lime_transaction", default=None)


class Database:
    """A pool whose every operation ends in time: with an answer, or with `Unavailable`."""

    def __init__(self, pool: Pool, patience: float) -> None:
        """`patience` is in seconds, for getting a connection and for each statement."""
        self._pool = pool
        self._patience = patience
        # Connections that we keep for the next statement: to give one back to the pool and to take
        # it again costs twice what a statement does. Never all of them, and none while somebody
        # waits at the pool, which knows best whose turn it is.
        self._kept: list[tuple[Connection, float]] = []
        """With the time at which each was used last, by the event loop."""
        self._most_kept = pool.get_max_size() // 2
        self._wanted = 0
        self._ending: set[asyncio.Task[None]] = set()

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows."""
        return await self._run(lambda connection: connection.fetch(query, *arguments))

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row."""
        return await self._run(lambda connection: connection.fetchrow(query, *arguments))

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """The first column of the first row."""
        return await self._run(lambda connection: connection.fetchval(query, *arguments))

    async def execute(self, query: str, *arguments: object) -> str:
        """The command tag, for example `UPDATE 1`."""
        return await self._run(lambda connection: connection.execute(query, *arguments))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Let every operation of this task within the block be one transaction.

        Within another one it is a savepoint: what fails can be undone alone. Another task, also one
        that is started within the block, uses a connection of its own.
        """
        async with self.acquire() as connection, connection.transaction():
            token = _open.set(_Open(self, asyncio.current_task(), connection))
            try:
                yield
            finally:
                _open.reset(token)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection for a use case of several statements: the open transaction's, if any."""
        held = self._held()
        with failures_as_unavailable():
            if held is not None:
                yield held
                return
            connection = await self._take()
            finished = True
            try:
                yield connection
            except _UNFINISHED:
                finished = False
                raise
            finally:
                await self._give_back(connection, finished=finished)

    async def ready(self) -> bool:
        """Whether the engine answers and takes changes, which a standby does not."""
        try:
            return bool(
                await self.fetchval("SELECT current_setting('transaction_read_only') = 'off'")
            )
        except Unavailable:
            return False

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        # As `acquire`, but without its context managers, because every request comes by here.
        held = self._held()
        try:
            if held is not None:
                return await work(held)
            connection = await self._take()
            finished = True
            try:
                return await work(connection)
            except _UNFINISHED:
                finished = False
                raise
            finally:
                await self._give_back(connection, finished=finished)
        except _AWAY as error:
            raise _unavailable(error) from error

    def _held(self) -> "Connection | None":
        """The connection of this task's open transaction."""
        held = _open.get()
        if held is None or held.database is not self or held.task is not asyncio.current_task():
            return None
        return held.connection

    async def _take(self) -> Connection:
        oldest = asyncio.get_running_loop().time() - LONGEST_IDLE
        while self._kept:
            connection, used_at = self._kept.pop()
            if used_at < oldest and not _has_ended(connection):
                # Whatever is in between may have forgotten it, without a word to us.
                connection.terminate()
            if not _has_ended(connection):
                return connection
            await self._pool.release(connection)
        self._wanted += 1
        try:
            return await self._pool.acquire(timeout=self._patience)
        finally:
            self._wanted -= 1

    async def _give_back(self, connection: Connection, *, finished: bool) -> None:
        if not finished:
            # The driver has asked the engine to stop, and waits for its word before anybody else
            # gets this connection, or ends it. Nobody here needs to wait for that.
            task = asyncio.get_running_loop().create_task(self._pool.release(connection))
            self._ending.add(task)
            task.add_done_callback(self._ended)
        elif self._wanted or _has_ended(connection) or len(self._kept) >= self._most_kept:
            await self._pool.release(connection)
        else:
            self._kept.append((connection, asyncio.get_running_loop().time()))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.info("a connection was given up: %s", type(error).__name__)

    async def let_go(self) -> None:
        """Give the pool back what is kept of it, from now on at once, so that it can close."""
        self._most_kept = 0
        while self._kept:
            connection, _ = self._kept.pop()
            await self._pool.release(connection)


def _has_ended(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool took it back by itself when it ended.
        return True


Pooler: TypeAlias = Literal["none", "transaction"]
"""What stands between us and PostgreSQL: see `LIME_DATABASE_POOLER`."""


LISTS = ("boolean", "bytea", "smallint", "text", "timestamptz", "uuid")
"""Types of which statements here take or give lists."""
_STATEMENTS: Mapping[Pooler, int] = {"none": 100, "transaction": 0}
"""Prepared statements that a connection keeps.

A pooler that lends connections for one transaction gives each to somebody else after it: what was
prepared there is not here, and its name means somebody else's statement.
"""


@asynccontextmanager
async def open_database(
    url: str, *, size: int, patience: float, pooler: Pooler = "none"
) -> AsyncIterator[Database]:
    """A pool of at most `size` connections, closed at the end.

    `patience` is in seconds: see `Database`.

    Raises `core.errors.Unavailable` if PostgreSQL cannot be reached now.
    """
    with failures_as_unavailable():
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            timeout=patience,
            command_timeout=patience,
            init=_prepare if pooler == "none" else _prepare_behind_a_pooler,
            reset=_leave_as_it_is,
            server_settings={"application_name": APPLICATION},
            statement_cache_size=_STATEMENTS[pooler],
        )
    database = Database(pool, patience)
    try:
        yield database
    finally:
        await _close(database, pool, patience)


async def _speak_of_ids(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Ids are text everywhere in the program. Our end of the connection knows that, not theirs."""
    await connection.set_type_codec(
        "uuid", encoder=str, decoder=str, schema="pg_catalog", format="text"
    )


async def _prepare_behind_a_pooler(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await _speak_of_ids(connection)
    # The first list of a type makes the driver ask what that is: a question that PostgreSQL answers
    # in milliseconds and compiles for seconds, so that the driver switches `jit` off before it. All
    # of them now, and in one transaction: otherwise it is switched off for one connection, and
    # asked on another, while somebody's request waits.
    every = ", ".join(f"NULL::{name}[]" for name in LISTS)
    async with connection.transaction():
        await connection.fetchrow(f"SELECT {every}")


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await _speak_of_ids(connection)
    # Every statement here reaches a few rows through an index, whatever its arguments. So it is
    # planned once for each connection: with arrays, PostgreSQL would plan anew each time, which
    # costs several times what the statement does. And a plan that is kept must not be one that
    # reads a whole table because that was small, or not yet analysed, when it was made. Nothing of
    # this is for a pooler that lends connections: there no plan is kept.
    await connection.execute(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "
        "SET enable_hashjoin = off; SET enable_mergejoin = off"
    )


async def _leave_as_it_is(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing to undo when a connection goes back: what we set, we set for one transaction.

    asyncpg would otherwise send a statement of its own after each of ours.
    """


async def _close(database: Database, pool: Pool, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            await database.let_go()
            await pool.close()
    except (TimeoutError, OSError, asyncpg.InterfaceError):
        # A dead engine does not say goodbye; neither do we.
        pool.terminate()
