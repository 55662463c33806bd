"""The two drivers: they perform what a flow asks for, and decide nothing."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lime_sdk_core._forks import lock_of
from lime_sdk_core.call import DEFAULT_ERRORS
from lime_sdk_core.config import Config
from lime_sdk_core.errors import ClosedError, ErrorTable
from lime_sdk_core.retry import attempts
from lime_sdk_core.steps import Attempt, Flow, Now, Offload, Random, Request, Sleep, Step

if TYPE_CHECKING:
    from lime_sdk_core._http import AsyncHttp, AsyncStream, SyncHttp, SyncStream

T = TypeVar("T")


class AsyncDriver:
    """Performs flows on an asyncio event loop.

    Args:
        config: Where LIME is, and how to talk to it.
        http_client: An `httpx.AsyncClient` to use, for proxies, certificates or tests. It stays
            open at `aclose`.
        clock: Monotonic seconds.
        sleep: Waits for some seconds.
        draw: Returns a number in [0, 1), for the jitter of pauses.

    Raises:
        ConfigurationError: `http_client` is of the wrong kind.
    """

    def __init__(
        self,
        config: Config,
        http_client: object | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        # Late, because httpx is dear to import; and not at the first request, because that would
        # hold up the event loop.
        from lime_sdk_core import _http  # noqa: PLC0415 - the reason is above

        self.config = config
        self._connection = partial(_http.AsyncHttp, config, _http.as_async_client(http_client))
        self._http: AsyncHttp | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock, self._sleep, self._draw = clock, sleep, draw
        self._closed = False

    async def run(self, flow: Flow[T]) -> T:
        """Perform `flow` to its end and return its result. Cancelling ends it where it stands.

        Raises:
            LimeError: What the flow raises.
            ClosedError: The driver was closed.
        """
        try:
            step = next(flow)
            while True:
                answer, failure = None, None
                try:
                    answer = await self._perform(step)
                # Thrown below and not here: what went wrong inside must not become the context of
                # what the flow says about it.
                except Exception as error:  # noqa: BLE001 - the flow decides what it handles
                    failure = error
                step = flow.send(answer) if failure is None else flow.throw(failure)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
        finally:
            flow.close()

    @asynccontextmanager
    async def stream(
        self, request: Request, *, errors: ErrorTable = DEFAULT_ERRORS
    ) -> AsyncIterator[AsyncStream]:
        """Open a stream; iterate over it for chunks of bytes.

        `request.timeout` is the longest silence, in seconds. Nothing is retried here.

        Raises:
            LimeError: LIME refused, as `errors` says.
            TransportError: There is no connection, or it ended badly or fell silent.
        """
        silence = request.timeout or self.config.timeout
        async with self._connect().stream(request, silence, errors) as stream:
            yield stream

    async def aclose(self) -> None:
        """Close the connections. Safe to call more than once."""
        self._closed = True
        http, self._http = self._http, None
        # What belonged to another loop ended with it, and cannot be closed from this one.
        if http is not None and self._loop is asyncio.get_running_loop():
            await http.aclose()

    async def _perform(self, step: Step) -> Any:
        match step:
            case Request():
                timeout = step.timeout or self.config.timeout
                return await self.run(attempts(step, self.config.retry, timeout))
            case Attempt():
                return await self._connect().attempt(step)
            case Sleep(seconds):
                return await self._sleep(seconds)
            case Now():
                return self._clock()
            case Random():
                return self._draw()
            case Offload(function):
                return await asyncio.to_thread(function)
            case _:
                result = step.function(*step.args)
                return await result if inspect.isawaitable(result) else result

    def _connect(self) -> AsyncHttp:
        if self._closed:
            raise ClosedError("This client is closed.")
        loop = asyncio.get_running_loop()
        # Connections belong to a loop: a program may call `asyncio.run` once for each login.
        if self._http is None or self._loop is not loop:
            self._http, self._loop = self._connection(), loop
        return self._http


class SyncDriver:
    """Performs flows in the calling thread. Threads may share a driver, and so may forks.

    Args:
        config: Where LIME is, and how to talk to it.
        http_client: An `httpx.Client` to use, for proxies, certificates or tests. It stays
            open at `close`, and must not be used before a fork and after it: both processes would
            read from the same connections.
        clock: Monotonic seconds.
        sleep: Waits for some seconds.
        draw: Returns a number in [0, 1), for the jitter of pauses.

    Raises:
        ConfigurationError: `http_client` is of the wrong kind.
    """

    def __init__(
        self,
        config: Config,
        http_client: object | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        # Late, because httpx is dear to import.
        from lime_sdk_core import _http  # noqa: PLC0415 - the reason is above

        self.config = config
        self._connection = partial(_http.SyncHttp, config, _http.as_client(http_client), clock)
        self._http: SyncHttp | None = None
        self._inherited: SyncHttp | None = None
        self._pid = os.getpid()
        self._clock, self._sleep, self._draw = clock, sleep, draw
        self._closed, self._lock = False, lock_of(self)

    def run(self, flow: Flow[T]) -> T:
        """Perform `flow` to its end and return its result.

        Raises:
            LimeError: What the flow raises.
            ClosedError: The driver was closed.
        """
        try:
            step = next(flow)
            while True:
                answer, failure = None, None
                try:
                    answer = self._perform(step)
                except Exception as error:  # noqa: BLE001 - the flow decides what it handles
                    failure = error
                step = flow.send(answer) if failure is None else flow.throw(failure)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
        finally:
            flow.close()

    @contextmanager
    def stream(
        self, request: Request, *, errors: ErrorTable = DEFAULT_ERRORS
    ) -> Iterator[SyncStream]:
        """Open a stream; iterate over it for chunks of bytes.

        `request.timeout` is the longest silence, in seconds. Nothing is retried here.

        Raises:
            LimeError: LIME refused, as `errors` says.
            TransportError: There is no connection, or it ended badly or fell silent.
        """
        silence = request.timeout or self.config.timeout
        with self._connect().stream(request, silence, errors) as stream:
            yield stream

    def close(self) -> None:
        """Close the connections. Safe to call more than once."""
        with self._lock:
            self._closed = True
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def _perform(self, step: Step) -> Any:
        match step:
            case Request():
                timeout = step.timeout or self.config.timeout
                return self.run(attempts(step, self.config.retry, timeout))
            case Attempt():
                return self._connect().attempt(step)
            case Sleep(seconds):
                return self._sleep(seconds)
            case Now():
                return self._clock()
            case Random():
                return self._draw()
            case Offload(function):
                return function()
            case _:
                result = step.function(*step.args)
                if inspect.isawaitable(result):
                    _discard(result)
                    raise TypeError("an async function was given to a blocking client")
                return result

    def _connect(self) -> SyncHttp:
        with self._lock:
            if self._closed:
                raise ClosedError("This client is closed.")
            if self._pid != os.getpid():
                # A fork shares its parent's sockets: one would read the answers to the other's
                # questions. They are kept, unused, because closing them is the parent's business.
                self._pid, self._inherited, self._http = os.getpid(), self._http, None
            if self._http is None:
                self._http = self._connection()
            return self._http


def _discard(result: Awaitable[object]) -> None:
    """Close a coroutine that will never be awaited, so that Python does not warn about it."""
    if inspect.iscoroutine(result):
        result.close()
