"""Requests that nobody answered expire; what is finished leaves after a while."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from logging import getLogger

from lime_server.core.clock import Clock
from lime_server.core.errors import Unavailable
from lime_server.core.failpoints import reach
from lime_server.core.ports import Wakeup
from lime_server.modules.site_login.ports import TOPIC, LoginStore, Tally

log = getLogger(__name__)

BATCH = 500
"""Rows per transaction: short enough that nobody waits behind it."""


@dataclass(frozen=True, slots=True)
class SweepRules:
    """What the operator chose."""

    interval: float
    """Seconds between sweeps."""
    lifetime: timedelta
    """How long a request can be approved."""
    delivery_window: timedelta
    retention: timedelta
    """How long a finished request is kept."""


class Sweep:
    """Cleans up behind everybody; any number of servers may do so at once."""

    def __init__(
        self,
        *,
        logins: LoginStore,
        bell: Wakeup,
        tally: Tally,
        clock: Clock,
        rules: SweepRules,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw` gives numbers from 0 to 1 that keep servers from sweeping in step."""
        self._logins = logins
        self._bell = bell
        self._tally = tally
        self._clock = clock
        self._rules = rules
        self._draw = draw

    async def run(self) -> None:
        """Sweep until cancelled. Survives an absent database."""
        while True:
            await asyncio.sleep(self._rules.interval * (0.5 + self._draw() / 2))
            try:
                await self.once()
            except Unavailable as error:
                log.warning("the sweep has to wait: %s", error)
            except Exception:
                log.exception("a sweep failed")

    async def once(self) -> None:
        """Expire everything that is due, then delete everything that is old, in batches."""
        while await self._expire_some() == BATCH:
            pass
        now, rules = self._clock.now(), self._rules
        while await self._logins.prune(
            now,
            requests_before=now - rules.retention - rules.lifetime,
            events_before=now - rules.delivery_window - rules.lifetime,
            limit=BATCH,
        ):
            pass

    async def _expire_some(self) -> int:
        now = self._clock.now()
        events = await self._logins.expire(
            now, deliver_until=now + self._rules.delivery_window, limit=BATCH
        )
        self._tally.login("expired", len(events))
        if events:
            await reach("expire.after_commit")
        for event in events:
            await self._bell.ring(TOPIC, f"{event.site_id}/{event.request_id}")
        return len(events)
