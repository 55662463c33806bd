"""An event loop in a thread of its own, for blocking programs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import copy_context
from threading import Thread, current_thread
from typing import Any, TypeVar

from lime_sdk_core import ClosedError, ConfigurationError
from lime_sdk_core._forks import lock_of

T = TypeVar("T")

#: Seconds for cancelled tasks to end. One that does not must not hold up the program.
PATIENCE = 5.0

#: Threads that wait for LIME. One request for each server runs at a time, so this many new servers
#: are met at once.
HELPERS = 8


class Background:
    """Runs coroutines for threads that wait for them. Begins at the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._helpers: ThreadPoolExecutor | None = None
        self._closed = False
        self._pid, self._lock = os.getpid(), lock_of(self)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns. An interruption, as by Ctrl-C, cancels it.

        Raises:
            ClosedError: `close` was called, before or meanwhile.
            ConfigurationError: This is the thread that `work` would run in.
        """
        try:
            future = self._begin(work)
        except BaseException:
            # Otherwise Python complains that nobody awaited it.
            work.close()
            raise
        try:
            return future.result()
        except CancelledError:
            failure = ClosedError("This client is closed.")
        except BaseException:
            future.cancel()
            raise
        raise failure

    async def aside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Perform blocking `work` without holding up the loop. Called by what runs there.

        It does not take the loop's own threads: those look up the names of MCP servers, and a slow
        LIME would hold up calls that want nothing from it.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._helpers, copy_context().run, work, *arguments)

    def close(self, goodbye: Callable[[], Coroutine[Any, Any, object]] | None = None) -> None:
        """End the thread, and what still runs in it. Safe to call more than once.

        Args:
            goodbye: What to do there before, if it ever began.

        Raises:
            ConfigurationError: This is that thread.
        """
        with self._lock:
            self._refuse_own_thread()
            self._closed = True
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
            helpers, self._helpers = self._helpers, None
        if loop is None or thread is None or helpers is None or self._pid != os.getpid():
            return
        try:
            if goodbye is not None:
                asyncio.run_coroutine_threadsafe(goodbye(), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(_wind_up(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            helpers.shutdown(wait=False)

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        # Under the lock, so that nothing is handed to a loop that another thread has stopped.
        with self._lock:
            self._refuse_own_thread()
            if self._closed:
                raise ClosedError("This client is closed.")
            return asyncio.run_coroutine_threadsafe(work, self._running())

    def _refuse_own_thread(self) -> None:
        if current_thread() is self._thread:
            raise ConfigurationError(
                "A progress callback cannot use its own blocking agent: the answer would have to "
                "come to the thread that waits for it."
            )

    def _running(self) -> asyncio.AbstractEventLoop:
        # A fork has the loop of its parent, and not the threads that serve it.
        if self._loop is None or self._pid != os.getpid():
            self._pid, self._loop = os.getpid(), asyncio.new_event_loop()
            self._helpers = ThreadPoolExecutor(HELPERS, "lime-agent")
            self._thread = Thread(target=self._loop.run_forever, name="lime-mcp", daemon=True)
            self._thread.start()
        return self._loop


async def _wind_up() -> None:
    """Let every task end and every connection close, as `asyncio.run` does before it returns.

    A loop that is closed before leaves sockets open until the collector comes by.
    """
    if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=PATIENCE)
    await asyncio.get_running_loop().shutdown_asyncgens()
