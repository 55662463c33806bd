"""Work that a request causes and does not wait for, so that its duration says nothing about it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from logging import getLogger

Work = Callable[[], Awaitable[None]]

MOST = 1000
"""Pieces of work that wait at most; beyond it the newest is dropped, and the log says so."""

log = getLogger(__name__)


class Later:
    """Does one thing after the other, each in the context of the request that asked for it."""

    def __init__(self, most: int = MOST) -> None:
        """Nothing to do yet."""
        self._queue: asyncio.Queue[tuple[Work, Context]] = asyncio.Queue(most)

    def soon(self, work: Work) -> None:
        """Do `work` soon. Never waits; what does not fit is dropped."""
        try:
            self._queue.put_nowait((work, copy_context()))
        except asyncio.QueueFull:
            log.warning("too much to do later; something was dropped")

    async def run(self) -> None:
        """Work for as long as the server lives."""
        while True:
            await self._next()

    async def finish(self) -> None:
        """Do what waits now."""
        while not self._queue.empty():
            await self._next()

    async def _next(self) -> None:
        work, context = await self._queue.get()

        async def do() -> None:
            try:
                await work()
            except Exception:
                log.exception("something that was put off failed")

        await asyncio.create_task(do(), context=context)
