"""Connections to MCP servers: one for each URL, opened once, used by many calls at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import ModuleType
from typing import Any, TypeVar

from lime_agents._mcp import generations
from lime_agents._mcp.bearer import Bearer
from lime_agents._mcp.generations import Opened
from lime_agents._mcp.targets import McpTarget
from lime_agents._mcp.tokens import McpTokens
from lime_sdk_core import ClosedError, LimeError, TransportError

T = TypeVar("T")

#: Seconds to say goodbye to a server. One that does not answer must not hold up the program.
GOODBYE = 5.0

Operation = Callable[[Opened], Awaitable[T]]


class SessionLostError(Exception):
    """The server forgot the session. It did nothing, so the call may be repeated."""


class Connection:
    """One connection, owned by a task of its own: its scopes must end where they began."""

    def __init__(
        self, mcp: ModuleType, target: McpTarget, tokens: McpTokens, *, read_timeout: float
    ) -> None:
        self._mcp, self._target, self._read_timeout = mcp, target, read_timeout
        self._bearer = Bearer(target, tokens)
        self._opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._owner = asyncio.create_task(self._own())
        # Read here, so that Python does not complain about an end that nobody waited for.
        self._owner.add_done_callback(lambda owner: owner.cancelled() or owner.exception())

    @property
    def usable(self) -> bool:
        """Is it open, or about to be?"""
        lost = self._bearer.session_lost or self._bearer.failure is not None
        return not (lost or self._stop.is_set() or self._owner.done())

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
            LimeError: There is no token, none was accepted, or the connection ended.
        """
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

    async def _reason(self, error: BaseException | None) -> BaseException:
        """Return what to raise where a call ended with `error`, or with the connection."""
        code = getattr(getattr(error, "error", None), "code", 0)
        if self._bearer.session_lost and abs(code) == generations.SESSION_TERMINATED:
            return SessionLostError()
        if error is None or code == generations.CONNECTION_CLOSED:
            # The reason is where the connection ended, not here.
            await self.close()
            error = _cause(self._owner)
        if self._bearer.failure is not None:
            return self._bearer.failure
        # What the server said of the call, and what is wrong with its arguments or its result, goes
        # to the caller as it is.
        if error is not None and not _is_network(error):
            return error
        said = f" ({_said(error)})" if error is not None else ""
        return TransportError(f"The connection to {self._target.domain} ended early{said}.")


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
        self._connections: dict[str, Connection] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._leaving: set[asyncio.Future[None]] = set()
        self._closed = False

    async def run(self, target: McpTarget, operation: Operation[T]) -> T:
        """Perform `operation` on the connection to `target`.

        Raises:
            LimeError: As `Connection.use` does.
        """
        # Asked before connecting, so that LIME's refusal is not lost in the depths of a transport.
        await self._tokens.get(target)
        async with self._turn(target):
            try:
                return await self._connection(target).use(operation)
            except SessionLostError:
                pass
            # Once: a server that forgets sessions at once would keep an agent busy for ever.
            try:
                return await self._connection(target).use(operation)
            except SessionLostError:
                failure = TransportError(f"{target.domain} forgets its sessions at once.")
            raise failure

    @asynccontextmanager
    async def session(self, target: McpTarget) -> AsyncIterator[Any]:
        """Lend the SDK's own session."""
        await self._tokens.get(target)
        async with self._turn(target):
            opened = await self._connection(target).opened()
            yield opened.session

    async def aclose(self) -> None:
        """Close all. Safe to call more than once."""
        self._closed = True
        connections, self._connections = self._connections, {}
        await asyncio.gather(
            *(connection.close() for connection in connections.values()), *self._leaving
        )

    def _connection(self, target: McpTarget) -> Connection:
        if self._closed:
            raise ClosedError("This client is closed.")
        found = self._connections.get(target.url)
        if found is None or not found.usable:
            found = Connection(self._mcp, target, self._tokens, read_timeout=self._read_timeout)
            old, self._connections[target.url] = self._connections.get(target.url), found
            if old is not None:
                self._leaving.add(leaving := asyncio.ensure_future(old.close()))
                leaving.add_done_callback(self._leaving.discard)
        return found

    def _turn(self, target: McpTarget) -> AbstractAsyncContextManager[object]:
        if not self._serialize:
            return nullcontext()
        return self._turns.setdefault(target.url, asyncio.Lock())


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
