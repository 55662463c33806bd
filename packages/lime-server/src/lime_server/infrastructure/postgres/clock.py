"""One time for all servers: the database's, carried on by the time since each machine was started.

Events are due, leased and given up by times that servers write for each other to read. With each
machine's own clock, a server that is an hour behind writes events that the others hold for given up
already, and their logins are lost.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from logging import getLogger

from lime_server.core.errors import Unavailable
from lime_server.infrastructure.postgres.pool import Database

log = getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks. A quartz drifts by less than a millisecond in that time; what has to
be noticed is a machine that slept, and another database after a failover."""
LONGEST_LOOK = 1.0
"""Seconds. An answer that took longer says too little about now; the last good one goes on."""


UPTIME: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)
"""Seconds that nobody sets, and that go on while the machine sleeps where there is such a clock.
Otherwise a machine that slept would believe for `INTERVAL` that it had not, and write events that
the others hold for given up."""


class DatabaseClock:
    """PostgreSQL's clock. `look` must have succeeded once before the first `now`."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = UPTIME) -> None:
        """`monotonic` tells seconds, and nobody sets it."""
        self._database = database
        self._monotonic = monotonic
        self._origin: datetime | None = None
        """What PostgreSQL's clock said when `monotonic` was at zero."""

    def now(self) -> datetime:
        """The current time, aware, in UTC. Raises Unavailable before the first look."""
        if self._origin is None:
            raise Unavailable("The time is not known yet.")
        return self._origin + timedelta(seconds=self._monotonic())

    async def look(self) -> None:
        """Ask PostgreSQL for the time. Raises Unavailable."""
        before = self._monotonic()
        theirs: datetime = await self._database.fetchval("SELECT clock_timestamp()")
        after = self._monotonic()
        if self._origin is None or after - before <= LONGEST_LOOK:
            # It was said somewhere between the two.
            self._origin = theirs.astimezone(UTC) - timedelta(seconds=(before + after) / 2)

    async def run(self) -> None:
        """Look now and then, until cancelled. Survives an absent database: time goes on."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except Unavailable as error:
                log.warning("the time cannot be compared: %s", error)
