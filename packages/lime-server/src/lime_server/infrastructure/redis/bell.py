"""Wake-ups between servers, by publish and subscribe."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import structlog
from redis.exceptions import RedisError

from lime_server.infrastructure.grouping import Grouped
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.redis.address import Address
from lime_server.infrastructure.redis.engine import (
    Engine,
    EngineAwayError,
    close,
    database_number,
    line_to,
)

CHANNEL = "lime:bell:"
"""Followed by the number of the logical database, which channels do not know by themselves."""
SILENCE = 5.0
"""Seconds of silence after which the line is tested; after twice as many it counts as dead."""
LONGEST_PAUSE = 5.0
"""Most seconds between two attempts to reconnect; a pause is random below a growing bound."""

log = structlog.get_logger(__name__)


class RedisBell:
    """Rings in every process that listens. A ring may get lost: whoever needs it polls as well."""

    def __init__(
        self,
        engine: Engine,
        address: Address,
        *,
        timeout: float,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        silence: float = SILENCE,
    ) -> None:
        """`timeout` is in seconds; `random` gives numbers from 0 to 1, for the jitter and for the
        choice of a cluster's node.
        """
        self._engine = engine
        self._address = address
        self._timeout = timeout
        self._random = random
        self._sleep = sleep
        self._silence = silence
        self._here = MemoryBell()
        self._publish = Grouped(self._publish_all)
        # Own rings are delivered directly and recognised when they come back.
        self._sender = secrets.token_hex(8)
        self.channel = CHANNEL + str(database_number(engine.client))
        self.subscribed = asyncio.Event()
        """Set while rings of other processes are heard."""

    async def ring(self, topic: str, ident: str) -> None:
        """Wake whoever listens, in every process; never raises, waits at most for the timeout."""
        self._here.tell(topic, ident)
        await self._publish(f"{topic} {ident}")

    async def _publish_all(self, rings: list[str]) -> Sequence[None]:
        """One message for rings that come together: the sender, then a line for each."""
        message = "\n".join([self._sender, *rings])
        with contextlib.suppress(EngineAwayError):
            await self._engine.ask(lambda: self._engine.client.publish(self.channel, message))
        return [None] * len(rings)

    def listen(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
        """Call `callback(topic, ident)` for every ring; returns the function that stops it."""
        return self._here.listen(callback)

    async def run(self) -> None:
        """Hear what other processes ring, for ever; reconnects with growing, random pauses."""
        bound = 0.05
        while True:
            try:
                await self._hear()
            except (RedisError, OSError) as error:
                if self.subscribed.is_set():
                    log.warning("the bell is deaf", error=type(error).__name__)
                    bound = 0.05
                self.subscribed.clear()
                # The client can lose a cancellation that meets a line as it breaks. Without this a
                # server whose Redis goes away while it stops would not stop.
                _end_if_cancelled()
            await self._sleep(bound * self._random())
            bound = min(bound * 2, LONGEST_PAUSE)

    async def _hear(self) -> None:
        """Hear until the line breaks, which raises."""
        client = line_to(self._address, timeout=self._timeout, chance=self._random())
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close, client)
            line = client.pubsub()
            await line.subscribe(self.channel)
            tested = False
            while True:
                try:
                    async with asyncio.timeout(self._silence):
                        self._heard(await line.get_message(timeout=None))
                    tested = False
                except TimeoutError:
                    if tested:
                        # It only seems to be there: its peer is gone without a word.
                        raise ConnectionError("no answer to a ping") from None
                    tested = True
                    await line.ping()

    def _heard(self, message: dict[str, object]) -> None:
        if message["type"] == "subscribe":
            self.subscribed.set()
        if message["type"] != "message":
            return
        sender, *rings = str(message["data"]).split("\n")
        if sender != self._sender:
            for ring in rings:
                topic, _, ident = ring.partition(" ")
                self._here.tell(topic, ident)


def _end_if_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from a coroutine
    if task.cancelling():
        raise asyncio.CancelledError
