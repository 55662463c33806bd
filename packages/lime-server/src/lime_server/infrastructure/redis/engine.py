"""The connection to Redis or Valkey, and when to leave it alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis.asyncio
import structlog
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

T = TypeVar("T")

REST = 1.0
"""Seconds for which a Redis that failed is not asked again.

Otherwise every request would wait for the timeout of an engine that is known to be away.
"""

MOST_CONNECTIONS = 32
"""Connections to Redis that one client opens. In a burst the others wait for one: a pool that
refuses them would make a healthy Redis look as if it were away."""

log = structlog.get_logger(__name__)


class EngineAwayError(Exception):
    """Redis did not answer, or not in time; whoever asked does without."""


def connect(url: str, *, timeout: float) -> "redis.asyncio.Redis":
    """A client for `url` (`redis://`, `rediss://`, `unix://`); connects when it is first used.

    No answer is awaited for more than `timeout` seconds and nothing is tried twice: whatever is
    asked of Redis can be done without it.
    """
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        # RESP2 is what every Redis and Valkey speaks; nothing here needs more.
        protocol=2,
        decode_responses=True,
    )
    return redis.asyncio.Redis.from_pool(pool)


def database_number(client: "redis.asyncio.Redis") -> int:
    """Which of the server's logical databases `client` uses."""
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


class Engine:
    """Asks Redis, with a time limit, and gives it rest after a failure."""

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        *,
        timeout: float,
        monotonic: Callable[[], float],
    ) -> None:
        """`timeout` is in seconds; `monotonic` tells seconds and never goes back."""
        self.client = client
        self._timeout = timeout
        self._monotonic = monotonic
        self._resting_until: float | None = None

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to `question`. Raises EngineAwayError, at once while Redis is left to rest."""
        if self._resting_until is not None and self._monotonic() < self._resting_until:
            raise EngineAwayError("resting")
        try:
            # The client's own limits are per read; this one is for the whole, the wait for a
            # connection included.
            async with asyncio.timeout(self._timeout):
                answer = await question()
        except (RedisError, OSError) as error:
            if self._resting_until is None:
                log.warning("redis is away", error=type(error).__name__)
            self._resting_until = self._monotonic() + REST
            raise EngineAwayError(type(error).__name__) from error
        if self._resting_until is not None:
            log.info("redis is back")
            self._resting_until = None
        return answer

    async def ready(self) -> bool:
        """Whether Redis answers now, resting or not; never raises."""
        self._resting_until = None if self._resting_until is None else self._monotonic()
        try:
            await self.ask(self.client.ping)
        except EngineAwayError:
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
