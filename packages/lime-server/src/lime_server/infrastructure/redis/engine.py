"""The connection to Redis or Valkey, and when to leave it alone."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import redis.asyncio
import structlog
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from lime_server.infrastructure.redis.address import ACluster, Address, BySentinel, Host, OneServer

T = TypeVar("T")
Client: TypeAlias = redis.asyncio.Redis | RedisCluster

FAILURES = (RedisError, RedisClusterException, OSError)
"""All that the driver raises when Redis does not do what is asked of it; it has no common root."""

REST = 1.0
"""Seconds for which a Redis that failed is not asked again.

Otherwise every request would wait for the timeout of an engine that is known to be away.
"""

MOST_CONNECTIONS = 32
"""Connections to Redis that one client opens. In a burst the others wait for one: a pool that
refuses them would make a healthy Redis look as if it were away."""

PROBE = "lime:limit:"
"""A key that is read to see whether keys can be read. There is none of that name."""

log = structlog.get_logger(__name__)


class EngineAwayError(Exception):
    """Redis did not answer, or not in time; whoever asked does without."""


def connect(address: Address, *, timeout: float) -> Client:
    """A client for `address`; connects when it is first used. To be closed with `close`.

    No answer is awaited for more than `timeout` seconds and nothing is tried twice: whatever is
    asked of Redis can be done without it.
    """
    if isinstance(address, OneServer):
        return _one_server(address, timeout)
    if isinstance(address, BySentinel):
        return _by_sentinel(address, timeout)
    return RedisCluster(
        startup_nodes=[ClusterNode(node.name, node.port) for node in address.nodes],
        **{**address.options, **_impatient(timeout)},
    )


def line_to(address: Address, *, timeout: float, chance: float) -> "redis.asyncio.Redis":
    """A client that hears what is published; `chance`, from 0 to 1, chooses a cluster's node.

    The nodes of a cluster tell each other what is published, so any of them will do, and another
    one when that is gone.
    """
    if isinstance(address, ACluster):
        node = address.nodes[int(chance * len(address.nodes)) % len(address.nodes)]
        return _at(node, {**address.options, **_impatient(timeout)})
    client = connect(address, timeout=timeout)
    assert isinstance(client, redis.asyncio.Redis)  # noqa: S101 - a cluster's is another type
    return client


def _one_server(address: OneServer, timeout: float) -> "redis.asyncio.Redis":
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        address.url, max_connections=MOST_CONNECTIONS, timeout=timeout, **_impatient(timeout)
    )
    return redis.asyncio.Redis.from_pool(pool)


def _by_sentinel(address: BySentinel, timeout: float) -> "redis.asyncio.Redis":
    # One question may have to ask each Sentinel, the last of which answers, and then the primary.
    share = timeout / (len(address.sentinels) + 1)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # as the driver left it
        address.sentinels, sentinel_kwargs={**address.sentinel_options, **_impatient(share)}
    )
    client: redis.asyncio.Redis = sentinel.master_for(
        address.service, **{**address.options, **_impatient(timeout)}
    )
    return client


def _at(host: Host, options: Mapping[str, Any]) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis(host=host.name, port=host.port, **options)


def _impatient(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        # RESP2 is what every Redis and Valkey speaks; nothing here needs more.
        "protocol": 2,
        "decode_responses": True,
    }


async def ping(client: Client) -> None:
    """Return if Redis does what is asked of it. Raises what the driver raises."""
    if isinstance(client, RedisCluster):
        # A node answers a PING although its cluster serves nobody.
        await client.get(PROBE)
    else:
        await client.ping()


async def close(client: Client) -> None:
    """Close all connections, those to Sentinels included."""
    await client.aclose()
    if isinstance(client, RedisCluster):
        # After an error it takes itself for closed, and is not.
        await client.nodes_manager.aclose()
        await client.nodes_manager.aclose("startup_nodes")
    elif isinstance(client.connection_pool, SentinelConnectionPool):
        for each in client.connection_pool.sentinel_manager.sentinels:
            await each.aclose()


def database_number(client: Client) -> int:
    """Which of the server's logical databases `client` uses; a cluster has one."""
    if isinstance(client, RedisCluster):
        return 0
    return int(client.connection_pool.connection_kwargs.get("db") or 0)


class Engine:
    """Asks Redis, with a time limit, and gives it rest after a failure."""

    def __init__(
        self,
        client: Client,
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
        except FAILURES as error:
            if self._resting_until is None:
                log.warning("redis is away", error=type(error).__name__)
            self._resting_until = self._monotonic() + REST
            await self._look_anew()
            raise EngineAwayError(type(error).__name__) from error
        if self._resting_until is not None:
            log.info("redis is back")
            self._resting_until = None
        return answer

    async def _look_anew(self) -> None:
        """Let a cluster's client find out again who has which keys: that may be what was wrong."""
        if isinstance(self.client, RedisCluster):
            with contextlib.suppress(*FAILURES):
                await self.client.aclose()

    async def ready(self) -> bool:
        """Whether Redis answers now, resting or not; never raises."""
        self._resting_until = None if self._resting_until is None else self._monotonic()
        try:
            await self.ask(lambda: ping(self.client))
        except EngineAwayError:
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await close(self.client)
