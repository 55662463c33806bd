"""Rate limits counted in Redis, so that all servers count together."""

from collections.abc import Sequence

from redis.exceptions import NoScriptError

from lime_server.core.ports import Limit
from lime_server.infrastructure.grouping import Grouped
from lime_server.infrastructure.memory.limiter import MemoryLimiter, refuse_after
from lime_server.infrastructure.redis.engine import Engine, EngineAwayError

PREFIX = "lime:limit:"

Use = tuple[str, Limit]
"""A key, and how often it may be used."""

# The generic cell rate algorithm. Each key holds one number: the time, in microseconds, at which it
# would be idle again. Redis's own clock is used, because the servers' clocks differ. The number is
# capped, so that a clock that was set back locks nobody out. Returns microseconds to wait, or 0.
SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local tolerance = interval * tonumber(ARGV[2])
local idle_at = tonumber(redis.call('GET', KEYS[1])) or now
idle_at = math.min(math.max(idle_at, now), now + tolerance) + interval
local wait = idle_at - tolerance - now
if wait > interval / 100 then
    return math.ceil(wait)
end
redis.call('SET', KEYS[1], string.format('%.0f', idle_at),
           'PX', math.ceil((idle_at - now) / 1000) + 1)
return 0
"""


class RedisLimiter:
    """Counts in Redis; in this process alone while Redis is away."""

    def __init__(self, engine: Engine, alone: MemoryLimiter) -> None:
        """`alone` counts while Redis does not."""
        self._engine = engine
        self._alone = alone
        self._sha = ""
        self._count = Grouped(self._count_all)

    async def take(self, key: str, limit: Limit) -> None:
        """Count one use of `key`; raises `RateLimited` when it is one too many."""
        await self.take_all([(key, limit)])

    async def take_all(self, uses: Sequence[Use]) -> None:
        """Count one use of each key; raises `RateLimited` when one of them is too many.

        One round trip, whatever the number of keys, and of callers at the moment.
        """
        waits = await self._count(uses)
        if waits is None:
            await self._alone.take_all(uses)
        else:
            refuse_after([wait / 1_000_000 for wait in waits])

    async def _count_all(self, asked: list[Sequence[Use]]) -> Sequence[Sequence[int] | None]:
        """Microseconds to wait, for each key of each caller; None while Redis is away."""
        together = [use for uses in asked for use in uses]
        try:
            waits = iter(await self._engine.ask(lambda: self._waits(together)))
        except EngineAwayError:
            return [None] * len(asked)
        return [[next(waits) for _ in uses] for uses in asked]

    async def _waits(self, uses: Sequence[Use]) -> list[int]:
        try:
            return await self._run(uses)
        except NoScriptError:
            # Never loaded, or forgotten by a Redis that was started again. Where one node of a
            # cluster forgot, what the others counted counts twice, this once.
            self._sha = await self._engine.client.script_load(SCRIPT)
            return await self._run(uses)

    async def _run(self, uses: Sequence[Use]) -> list[int]:
        # One call for each key rather than one for all: in a cluster they live in different places.
        async with self._engine.client.pipeline(transaction=False) as pipeline:
            for key, limit in uses:
                interval = 1_000_000 / limit.rate
                # Not `evalsha`, which the driver keeps from a cluster's pipeline.
                pipeline.execute_command(
                    "EVALSHA", self._sha, 1, PREFIX + key, str(interval), str(limit.burst)
                )
            answers: list[int] = await pipeline.execute()
        return answers
