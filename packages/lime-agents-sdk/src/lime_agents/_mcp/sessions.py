"""Connections to MCP servers: one for each URL, opened once, used by many calls at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from lime_agents._mcp import generations
from lime_agents._mcp.bearer import Bearer, SessionLostError, ended_early
from lime_agents._mcp.generations import Opened
from lime_agents._mcp.targets import McpTarget
from lime_agents._mcp.tokens import McpTokens
from lime_sdk_core import ClosedError, LimeError, TransportError

T = TypeVar("T")

#: Seconds to say goodbye to a server. One that does not answer must not hold up the program.
GOODBYE = 5.0

#: Seconds for a connection that ended to be seen to have ended: its calls hear of it first.
NOTICE = 0.2

#: Connections that are kept open. An agent that wanders would otherwise keep a socket and a task
#: for every server that it ever saw, and few talk to more than some tens at a time.
MAX_CONNECTIONS = 100

Operation = Callable[[Opened], Awaitable[T]]


class Connection:
    """One connection, owned by a task of its own: its scopes must end where they began."""

    def __init__(
        self, mcp: ModuleType, target: McpTarget, tokens: McpTokens, *, read_timeout: float
    ) -> None:
        self._mcp, self._target, self._read_timeout = mcp, target, read_timeout
        self._bearer = Bearer(target, tokens)
        self._opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._users, self._retired, self._broken = 0, False, False
        self._owner = asyncio.create_task(self._own())
        # Read here, so that Python does not complain about an end that nobody waited for.
        self._owner.add_done_callback(lambda owner: owner.cancelled() or owner.exception())

    @property
    def usable(self) -> bool:
        """Is it open, or about to be?"""
        ended = self._bearer.session_lost or self._broken
        return not (ended or self._stop.is_set() or self._owner.done())

    async def opened(self) -> Opened:
        """Wait until it is open. Raises what `use` raises."""
        either: set[asyncio.Future[Any]] = {self._opened, self._owner}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            raise await self._reason(None)
        return self._opened.result()

    async def use(self, operation: Operation[T]) -> T:
        """Perform `operation`, and end it if the connection ends.

        Raises:
            SessionLostError: The server forgot the session; nothing was done.
            LimeError: There is no token, none was accepted, the server did not answer, or the
                connection ended.
        """
        with self._kept_open():
            opened = await self.opened()
            work = asyncio.ensure_future(operation(opened))
            try:
                await asyncio.wait({work, self._owner}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise await self._reason(None)
                if (error := work.exception()) is not None:
                    raise await self._reason(error)
                return work.result()
            finally:
                await _end(work)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Any]:
        """Lend the SDK's own session. What it raises goes through, unless it stands for ours."""
        with self._kept_open():
            session = (await self.opened()).session
            try:
                yield session
            except Exception as error:
                meant = self._bearer.meant(error)
                if not isinstance(meant, LimeError):
                    raise
            else:
                return
            raise meant

    def retire(self) -> asyncio.Task[None]:
        """Say goodbye as soon as nobody uses it. Returns the task that ends with it."""
        self._retired = True
        if not self._users:
            self._stop.set()
        return self._owner

    async def close(self) -> None:
        """Say goodbye. Raises nothing."""
        self._stop.set()
        _, waiting = await asyncio.wait({self._owner}, timeout=GOODBYE)
        if waiting:
            await _end(self._owner)

    async def _own(self) -> None:
        library = generations.http_library(self._mcp)
        client = self._bearer.client(library, self._read_timeout)
        url = self._target.url
        async with generations.open_session(self._mcp, url, client, self._read_timeout) as opened:
            self._opened.set_result(opened)
            await self._stop.wait()

    @contextmanager
    def _kept_open(self) -> Iterator[None]:
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._retired and not self._users:
                self._stop.set()

    async def _reason(self, error: BaseException | None) -> BaseException:
        """Return what to raise where a call ended with `error`, or with the connection."""
        # 1. The reason may be where the connection ended, not here. A server may use the code, too,
        #    and its connection is still there.
        code = getattr(getattr(error, "error", None), "code", None)
        if code == generations.CONNECTION_CLOSED:
            await asyncio.wait({self._owner}, timeout=NOTICE)
            ended = self._owner.done() or self._stop.is_set()
            error = None if ended else error
        if error is None:
            error = _cause(self._owner)
        # 2. What went wrong with this very request, and with no other.
        if (meant := self._bearer.meant(error)) is not None:
            return meant
        if error is None:
            return ended_early(self._target)
        if generations.timed_out(error):
            return TransportError(f"{self._target.domain} did not answer in time.")
        if _is_network(error):
            # The SDK can write no more, though the owner may not know.
            self._broken = True
            return ended_early(self._target, _said(error))
        # 3. What the server said of the call, and what is wrong with its arguments or its result,
        #    goes to the caller as it is.
        return error


class Sessions:
    """Connections by URL, for one event loop.

    Args:
        tokens: Where tokens come from.
        read_timeout: Longest wait for an answer, in seconds.
        serialize: One call at a time for each URL?
    """

    def __init__(self, tokens: McpTokens, *, read_timeout: float, serialize: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self._mcp = generations.load()
        self._tokens, self._read_timeout, self._serialize = tokens, read_timeout, serialize
        # The one that was used last comes last.
        self._connections: dict[str, Connection] = {}
        self._leaving: dict[asyncio.Task[None], Connection] = {}
        # Locks stay for as long as somebody has them or waits for them.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._holders: dict[str, asyncio.Task[Any] | None] = {}
        self._closed = False

    async def run(self, target: McpTarget, operation: Operation[T]) -> T:
        """Perform `operation` on the connection to `target`.

        Raises:
            LimeError: As `Connection.use` does.
        """
        # Asked before connecting, so that nothing is opened where LIME refuses.
        await self._tokens.get(target)
        async with self._turn(target):
            try:
                return await self._use(target, operation)
            except SessionLostError:
                pass
            # Once: a server that forgets sessions at once would keep an agent busy for ever.
            try:
                return await self._use(target, operation)
            except SessionLostError:
                failure = TransportError(f"{target.domain} forgets its sessions at once.")
            raise failure

    @asynccontextmanager
    async def session(self, target: McpTarget) -> AsyncIterator[Any]:
        """Lend the SDK's own session."""
        await self._tokens.get(target)
        async with self._turn(target), self._connection(target).lend() as session:
            yield session

    async def aclose(self) -> None:
        """Close all. Safe to call more than once. Calls that still run end with `ClosedError`."""
        self._closed = True
        connections = [*self._connections.values(), *self._leaving.values()]
        self._connections = {}
        await asyncio.gather(*(connection.close() for connection in connections))

    async def _use(self, target: McpTarget, operation: Operation[T]) -> T:
        connection = self._connection(target)
        try:
            return await connection.use(operation)
        except TransportError:
            if not self._closed:
                raise
        # It ended because somebody closed the agent, which is no fault of the server.
        raise ClosedError("This client is closed.")

    def _connection(self, target: McpTarget) -> Connection:
        if self._closed:
            raise ClosedError("This client is closed.")
        found = self._connections.pop(target.url, None)
        if found is not None and not found.usable:
            self._retire(found)
            found = None
        if found is None:
            found = Connection(self._mcp, target, self._tokens, read_timeout=self._read_timeout)
        self._connections[target.url] = found
        if len(self._connections) > MAX_CONNECTIONS:
            self._retire(self._connections.pop(next(iter(self._connections))))
        return found

    def _retire(self, connection: Connection) -> None:
        owner = connection.retire()
        self._leaving[owner] = connection
        owner.add_done_callback(self._leaving.pop)

    @asynccontextmanager
    async def _turn(self, target: McpTarget) -> AsyncIterator[None]:
        url, me = target.url, asyncio.current_task()
        # Whoever has borrowed the session may use it, and would wait for itself otherwise.
        if not self._serialize or (url in self._holders and self._holders[url] is me):
            yield
            return
        # Read into a name: nobody else keeps it.
        turn = self._turns.setdefault(url, asyncio.Lock())
        async with turn:
            self._holders[url] = me
            try:
                yield
            finally:
                del self._holders[url]


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel `task` and wait for its end, which is when the server was told."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=GOODBYE)


def _cause(owner: asyncio.Task[None]) -> BaseException | None:
    """Return why `owner` ended: the first thing that went wrong in it."""
    if not owner.done() or owner.cancelled():
        return None
    error = owner.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _is_network(error: BaseException) -> bool:
    """Is it about the connection, and not about what was asked?"""
    if isinstance(error, LimeError):
        return False
    kind = type(error)
    return kind.__module__.split(".")[0] in {"httpx", "httpx2", "anyio"} or isinstance(
        error, OSError
    )


def _said(error: BaseException) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"HTTP {status}" if status is not None else type(error).__name__
