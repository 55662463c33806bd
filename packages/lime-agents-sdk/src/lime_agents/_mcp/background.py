"""An event loop in a thread of its own, for blocking programs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds for cancelled tasks to end. One that does not must not hold up the program.
PATIENCE = 5.0


class Background:
    """Runs coroutines for threads that wait for them. Begins at the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._pid, self._lock = os.getpid(), Lock()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns. An interruption, as by Ctrl-C, cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread, and what still runs in it. Safe to call more than once."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None and self._pid == os.getpid():
            asyncio.run_coroutine_threadsafe(_wind_up(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @property
    def started(self) -> bool:
        """Is there anything to close?"""
        return self._loop is not None and self._pid == os.getpid()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A fork has the loop of its parent, and not the thread that runs it.
            if self._loop is None or self._pid != os.getpid():
                self._pid, self._loop = os.getpid(), asyncio.new_event_loop()
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
