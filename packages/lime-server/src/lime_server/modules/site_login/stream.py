"""One event stream: frames, heartbeats, and an end (protocol section 5)."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from logging import getLogger

from lime_server.core.errors import SiteSuspended, SiteTokenInvalid, Unavailable
from lime_server.core.failpoints import reach
from lime_server.modules.site_login import wire
from lime_server.modules.site_login.delivery import Delivery
from lime_server.modules.site_login.model import DueEvent, EventKind
from lime_server.modules.site_login.passports import Passports
from lime_server.modules.site_login.seat import Ending, Seat

log = getLogger(__name__)
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """What the operator chose; seconds."""

    keepalive: float
    lifetime: float

    patience: float = 30.0
    """How long a client may leave a frame unread before its stream is cut."""

    @property
    def settle(self) -> float:
        """How long a stream must outlive a heartbeat before what went ahead counts as arrived.

        A peer that is gone answers with a reset, which takes a round trip to be noticed.
        """
        return min(1.0, self.keepalive / 4)


@dataclass(frozen=True, slots=True)
class StreamParts:
    """What every stream of a process shares."""

    delivery: Delivery
    passports: Passports
    timing: StreamTiming


class EventStream:
    """What one client reads. Every chunk it gives is one whole frame."""

    def __init__(self, seat: Seat, parts: StreamParts) -> None:
        """Send what arrives at `seat`."""
        self._seat = seat
        self._parts = parts
        self._unconfirmed: list[str] = []
        self._settling: list[str] = []

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Frames until the stream's life is over or something ends it.

        The next frame is asked for when the last one was written: that is how a slow reader slows
        this generator down, and how a heartbeat is known to have gone out.
        """
        loop = asyncio.get_running_loop()
        timing = self._parts.timing
        end = loop.time() + timing.lifetime
        beat = loop.time() + timing.keepalive
        settled = _NEVER
        while self._seat.ending is None and loop.time() < end:
            now = loop.time()
            if now >= settled:
                settled = _NEVER
                await self._confirm()
            elif now >= beat:
                yield wire.KEEPALIVE
                # Counted from now: a reader that was slow gets no burst of heartbeats.
                beat = loop.time() + timing.keepalive
                settled = loop.time() + timing.settle
                self._settling, self._unconfirmed = self._unconfirmed, []
            elif self._seat.test_wanted:
                self._seat.test_wanted = False
                yield wire.TEST
            elif self._seat.queue:
                due = self._seat.queue.popleft()
                if (frame := await self._frame(due)) is not None:
                    await reach("events.before_write")
                    yield frame
                    await reach("events.after_write")
                    self._note_sent(due)
            else:
                await self._seat.wait(min(beat, settled, end) - now)
        if self._seat.ending is None and (self._settling or self._unconfirmed):
            # A last heartbeat, so that the next stream need not repeat what this one carried.
            self._settling += self._unconfirmed
            yield wire.KEEPALIVE
            if await self._seat.stays(timing.settle):
                await self._confirm()
        if self._seat.ending in _LAST_WORDS:
            yield _LAST_WORDS[self._seat.ending]

    async def _frame(self, due: DueEvent) -> bytes | None:
        """The frame for `due`, or None if it must be held back. A passport in it is made here."""
        if not self._seat.queue and self._seat.more:
            self._seat.more = False
            self._parts.delivery.look_at(self._seat.site_id)
        try:
            fresh = await self._parts.passports.refreshed(due)
            if fresh is None:
                self._hold_back(due)
                return None
            passport = None
            if fresh.event.kind is EventKind.APPROVED:
                passport = await self._parts.passports.mint(fresh)
        except Unavailable as error:
            log.warning("an event has to wait: %s", error)
            self._hold_back(due)
            return None
        return wire.event_frame(fresh.event, passport)

    def _hold_back(self, due: DueEvent) -> None:
        # It is still in the database: a consumer's lease runs out, and a stream without consumer
        # must be willing to see it again.
        self._seat.sent.discard(due.event.event_id)

    def _note_sent(self, due: DueEvent) -> None:
        if self._seat.consumer is None and not due.acknowledged:
            self._unconfirmed.append(due.event.event_id)

    async def _confirm(self) -> None:
        """Count as delivered what went out before a heartbeat that the stream has outlived."""
        if not self._settling:
            return
        try:
            await self._parts.delivery.acknowledge(self._seat.site_id, self._settling)
        except Unavailable as error:
            # They are settled after the next heartbeat instead.
            log.warning("deliveries cannot be noted: %s", error)
            self._unconfirmed = self._settling + self._unconfirmed
        self._settling = []


_LAST_WORDS = {
    Ending.GOAWAY: wire.GOAWAY,
    Ending.SUSPENDED: wire.error_frame(SiteSuspended.code, SiteSuspended.default_message),
    Ending.LOCKED_OUT: wire.error_frame(SiteTokenInvalid.code, SiteTokenInvalid.default_message),
}
