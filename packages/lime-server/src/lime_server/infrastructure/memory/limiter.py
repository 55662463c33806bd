"""Rate limits counted in this process: for one server alone, and while Redis is away."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from lime_server.core.errors import RateLimited
from lime_server.core.ports import Limit

MOST_KEYS = 100_000
"""Keys remembered at most, about 15 MB; beyond it the longest unused are forgotten.

Who can make so many keys (one per address or token) is not held back by one more.
"""


class MemoryLimiter:
    """Generic cell rate algorithm: one number per key, the time at which it would be idle again."""

    def __init__(self, monotonic: Callable[[], float], *, most_keys: int = MOST_KEYS) -> None:
        """`monotonic` tells seconds since some moment and never goes back."""
        self._monotonic = monotonic
        self._most_keys = most_keys
        self._idle_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, key: str, limit: Limit) -> None:
        """Count one use of `key`; raises `RateLimited` when it is one too many."""
        await self.take_all([(key, limit)])

    async def take_all(self, uses: Sequence[tuple[str, Limit]]) -> None:
        """Count one use of each key; raises `RateLimited` when one of them is too many."""
        refuse_after([self._wait(key, limit) for key, limit in uses])

    def _wait(self, key: str, limit: Limit) -> float:
        now = self._monotonic()
        interval = 1 / limit.rate
        idle_at = max(self._idle_at.get(key, now), now) + interval
        wait = idle_at - interval * limit.burst - now
        # A hundredth of the interval is forgiven: sums of fractions are not exact.
        if wait > interval / 100:
            return wait
        self._idle_at[key] = idle_at
        self._idle_at.move_to_end(key)
        if len(self._idle_at) > self._most_keys:
            self._idle_at.popitem(last=False)
        return 0


def refuse_after(waits: Sequence[float]) -> None:
    """Raise `RateLimited` for the longest of `waits` (seconds), unless all are zero."""
    longest = max(waits, default=0)
    if longest > 0:
        raise RateLimited(retry_after=math.ceil(longest))
