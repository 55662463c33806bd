"""What no longer opens anything leaves after a while."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from lime_server.core.clock import Clock

KEPT = timedelta(days=1)
"""How long a code is remembered after its end: a replay of it is noticed until then."""
BATCH = 500
"""Rows per statement: short enough that nobody waits behind it."""


class Prunable(Protocol):
    """A store of what expires."""

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` that expired before that; returns how many went."""
        ...


class Pruning:
    """Deletes what expired. Any number of servers may do so at once."""

    def __init__(self, stores: Sequence[Prunable], clock: Clock) -> None:
        """Codes, refresh tokens, revoked tokens and spent assertions, for example."""
        self._stores = stores
        self._clock = clock

    async def once(self) -> None:
        """Delete everything that ended more than KEPT ago, in batches."""
        before = self._clock.now() - KEPT
        for store in self._stores:
            while await store.prune(before, limit=BATCH) >= BATCH:
                pass
