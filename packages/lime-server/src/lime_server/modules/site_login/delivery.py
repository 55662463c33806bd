"""The hub: one look into the database serves every stream of this process (protocol section 5).

Whoever waits registers first, then reads: nothing falls between. A ring says where to look; a slow
poll, one for the whole process, covers rings that were lost. An idle stream holds no connection.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import getLogger

from lime_server.core.clock import Clock
from lime_server.core.errors import RateLimited, Unavailable
from lime_server.core.failpoints import reach
from lime_server.core.ids import parse_id
from lime_server.core.ports import Wakeup
from lime_server.foundation.streams import LiveStream
from lime_server.modules.site_login.model import DueEvent, Lease
from lime_server.modules.site_login.ports import AGAIN, TEST, TOPIC, EventStore, SiteStanding, Tally
from lime_server.modules.site_login.seat import BATCH, Ending, Seat

log = getLogger(__name__)

OVERLAP = timedelta(seconds=10)
"""How far a poll looks back beyond the last one.

Longer than a transaction takes to commit, and than the clocks of two servers differ.
"""
WINDOW = 2048
"""Events of one site that one look reads for streams without consumer: what such a stream can be
given between two heartbeats. A site's backlog may be far larger, and must not hold up the others.
"""
PART = 256
"""Sites that are asked about in one go: a few milliseconds' work for this process, for which
everything else in it waits."""
STREAMS_PER_SITE = 64
"""A site has one stream per worker process, and a large backend some dozens of those. Without a
limit, one site could take all connections of the server."""
ROOM_AGAIN_AFTER = 5
"""Seconds after which a site with too many streams may find room: as soon as one of them ends."""


@dataclass(slots=True)
class _Round:
    """A poll of all sites, part by part."""

    began: datetime
    since: datetime
    left: list[str]
    """Connected sites that are yet to be asked about."""
    pause: float
    """Seconds between two parts, so that the parts are spread over the whole interval."""


@dataclass(frozen=True, slots=True)
class DeliveryTiming:
    """What the operator chose; seconds."""

    poll_interval: float
    lease: timedelta
    streams_per_site: int = STREAMS_PER_SITE
    """Not a time, but chosen in the same place: most streams of one site in this process."""


class Delivery:
    """Gives events to the streams of connected sites, and wakes those who wait for one request."""

    def __init__(
        self,
        *,
        events: EventStore,
        standing: SiteStanding,
        bell: Wakeup,
        tally: Tally,
        clock: Clock,
        timing: DeliveryTiming,
    ) -> None:
        """Put the parts together; nothing is delivered before `run` runs."""
        self._events = events
        self._standing = standing
        self._bell = bell
        self._tally = tally
        self._clock = clock
        self._timing = timing
        self._seats: dict[str, list[Seat]] = {}
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._rung: set[str] = set()  # event ids that somebody rang for
        self._given: set[str] = set()  # event ids that were given out, and are yet to be rung for
        self._dirty: set[str] = set()  # sites to look at in the next round
        self._work = asyncio.Event()
        self._turn = 0
        self._polled_at: datetime | None = None
        self._round: _Round | None = None
        self._draining = False

    # What streams and waiters use

    @contextmanager
    def seat(
        self, site_id: str, consumer: str | None, token_hash: bytes | None = None
    ) -> Iterator[Seat]:
        """A place for one stream of this site; with `consumer` it shares the work with others.

        It ends when the token with this hash no longer works. Raises RateLimited when the site has
        as many streams as it may.
        """
        if len(self._seats.get(site_id, ())) >= self._timing.streams_per_site:
            raise RateLimited(
                f"This site has {self._timing.streams_per_site} event streams open already.",
                retry_after=ROOM_AGAIN_AFTER,
            )
        seat = Seat(site_id, consumer, self._clock.now(), token_hash)
        if self._draining:
            seat.end(Ending.GOAWAY)
        self._seats.setdefault(site_id, []).append(seat)
        self._tally.stream_opened()
        self.look_at(site_id)
        try:
            yield seat
        finally:
            self._tally.stream_closed()
            self._seats[site_id].remove(seat)
            if not self._seats[site_id]:
                del self._seats[site_id]

    @contextmanager
    def watching(self, request_id: str) -> Iterator[asyncio.Event]:
        """Within the context, what it gives is set whenever the request may have been decided."""
        rung = asyncio.Event()
        waiters = self._waiters.setdefault(request_id, set())
        waiters.add(rung)
        try:
            yield rung
        finally:
            waiters.discard(rung)
            if not waiters:
                self._waiters.pop(request_id, None)

    @contextmanager
    def place(self, site_id: str) -> Iterator["_Place"]:
        """Within the context, room is kept for an event of this site that is about to be written.

        It goes to every stream without consumer, and to one of those with; the event is leased to
        that one from the start. Not to one that is new: its first look at the database would give
        it the same event again.
        """
        taker = self._ready_taker(site_id)
        lease = None
        if taker is not None:
            taker.promised += 1
            lease = Lease(str(taker.consumer), self._clock.now() + self._timing.lease)
        try:
            yield _Place(self, taker, lease)
        finally:
            if taker is not None:
                taker.promised -= 1
                if taker.more and not taker.queue:
                    # Others found no room while this one kept it; nothing came of it.
                    taker.more = False
                    self.look_at(site_id)

    def _give(self, due: DueEvent, taker: Seat | None) -> None:
        seats = self._seats.get(due.event.site_id, ())
        self._show([due])
        if taker is not None and (taker.ending is not None or taker not in seats):
            # It left while the event was written. The lease keeps nobody from acknowledging, and
            # another stream need not wait for its end.
            taker = self._ready_taker(due.event.site_id)
        if taker is not None and due.may_be_sent(self._clock.now()):
            self._turn += 1
            taker.turn = self._turn
            taker.offer(due)
        if seats and (taker is not None or all(seat.consumer is None for seat in seats)):
            # The bell will be rung for it, for the others. Here nobody needs to look.
            self._given.add(due.event.event_id)

    def look_at(self, site_id: str) -> None:
        """There may be something for this site, or room for more."""
        self._dirty.add(site_id)
        self._work.set()

    async def acknowledge(self, site_id: str, unverified_ids: Iterable[str]) -> None:
        """Note that the site has these events. What is no id, or not its own, changes nothing."""
        ids = [event_id for text in unverified_ids if (event_id := parse_id(text))]
        if ids:
            now = self._clock.now()
            await reach("ack.before_commit")
            self._tally.login("delivered", await self._events.acknowledge(site_id, ids, now))
            await reach("ack.after_commit")

    # What the site's owner sees and may do

    def streams(self) -> dict[str, list[LiveStream]]:
        """The open streams of this process, by site; longest open first."""
        return {site_id: [seat.shown for seat in seats] for site_id, seats in self._seats.items()}

    async def show_again(self, site_id: str, event_id: str) -> None:
        """Let every stream of the site, in every process, look at this event again."""
        await self._bell.ring(AGAIN, f"{site_id}/{event_id}")

    async def say_test(self, site_id: str) -> None:
        """Put a test frame on every stream of the site, in every process."""
        await self._bell.ring(TEST, f"{site_id}/")

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop."""
        return self._draining

    def drain(self) -> None:
        """End every stream with `goaway`, now and from now on, and send every waiter home."""
        self._draining = True
        for seat in self._all_seats():
            seat.end(Ending.GOAWAY)
        for waiters in self._waiters.values():
            _set_all(waiters)

    # The loop behind them

    async def run(self) -> None:
        """Deliver until cancelled. Survives an absent database; there must be one per process."""
        stop_listening = self._bell.listen(self._heard)
        loop = asyncio.get_running_loop()
        next_poll = loop.time()
        try:
            while True:
                try:
                    if loop.time() >= next_poll:
                        # Stamped before the attempt: a failing database is asked once per interval.
                        next_poll = loop.time() + self._timing.poll_interval
                        pause = await self._poll_some()
                        next_poll += pause - self._timing.poll_interval
                    await self.serve_rung()
                except Unavailable as error:
                    log.warning("events cannot be read: %s", error)
                except Exception:
                    log.exception("a round of deliveries failed")
                await self._wait_until(next_poll)
        finally:
            stop_listening()

    async def _wait_until(self, next_poll: float) -> None:
        # A timer that rings, rather than a wait that is cancelled: one task less to unwind, and the
        # round that follows clears the ring in any case.
        timer = asyncio.get_running_loop().call_at(next_poll, self._work.set)
        try:
            await self._work.wait()
        finally:
            timer.cancel()

    def _heard(self, topic: str, ident: str) -> None:
        if topic not in {TOPIC, AGAIN, TEST}:
            return
        site_id, _, request_id = ident.partition("/")
        if topic == TEST:
            for seat in self._seats.get(site_id, ()):
                seat.want_test()
            return
        if topic == AGAIN:
            for seat in self._seats.get(site_id, ()):
                seat.sent.discard(request_id)
        if request_id in self._given:
            self._given.discard(request_id)
        elif site_id in self._seats:
            self._rung.add(request_id)
            self.look_at(site_id)
        _set_all(self._waiters.get(request_id, ()))

    async def serve_rung(self) -> None:
        """One round for those that somebody rang for, and for streams that are new."""
        self._work.clear()
        dirty, self._dirty = self._dirty & self._seats.keys(), set()
        rung, self._rung = self._rung, set()
        now = self._clock.now()
        fresh = [s for s in self._seats_of(dirty) if s.consumer is None and s.resuming]
        if fresh:
            sites = {seat.site_id for seat in fresh}
            since = now - OVERLAP
            self._show(await self._events.recent(sites, now=now, since=since, limit=WINDOW))
            for seat in fresh:
                seat.resuming = False
        if rung and any(seat.consumer is None for seat in self._seats_of(dirty)):
            self._show(await self._events.named(rung, now=now))
        await self._lease(dirty, now)

    async def poll(self) -> None:
        """One round for every connected site and every waiter, whatever was rung."""
        self._round = None
        while True:
            await self._poll_some()
            if self._round is None:
                return

    async def _poll_some(self) -> float:
        """The next part of a round; returns the seconds until the one after it is due.

        In parts, and not all at once: to ask about ten thousand sites would keep the whole process
        busy for so long that logins notice.
        """
        # 1. Where are we? What fails in the middle begins anew: nothing is passed over.
        current, self._round = self._round or self._new_round(), None
        # 2. Ask about some. A copy: who arrives while a question travels was not asked about.
        part, current.left = current.left[:PART], current.left[PART:]
        if part:
            await self._poll_part(part, current.since)
        if current.left:
            self._round = current
            return current.pause
        # 3. That was everyone; now for those who wait for one request.
        if self._waiters:
            for request_id in await self._events.decided(set(self._waiters)):
                _set_all(self._waiters.get(request_id, ()))
        self._polled_at = current.began
        return current.pause

    def _new_round(self) -> _Round:
        now = self._clock.now()
        # Whoever was cancelled before ringing left something; to look once more costs little.
        self._given.clear()
        connected = list(self._seats)
        parts = max(1, -(-len(connected) // PART))
        return _Round(
            began=now,
            since=(self._polled_at or now) - OVERLAP,
            left=connected,
            pause=self._timing.poll_interval / parts,
        )

    async def _poll_part(self, site_ids: Collection[str], since: datetime) -> None:
        now = self._clock.now()
        # 1. Whose streams must end? Those of sites that may not, or whose token does not, get on.
        for site_id in await self._standing.suspended(set(site_ids)):
            for seat in self._seats.get(site_id, ()):
                seat.end(Ending.SUSPENDED)
        seats = self._seats_of(site_ids)
        tokens = {seat.token_hash for seat in seats if seat.token_hash is not None}
        spent = await self._standing.spent(tokens, now) if tokens else set()
        for seat in self._seats_of(site_ids):
            if seat.token_hash in spent:
                seat.end(Ending.LOCKED_OUT)
        # 2. What did nobody ring for?
        readers = {seat.site_id for seat in self._seats_of(site_ids) if seat.consumer is None}
        if readers:
            self._show(await self._events.recent(readers, now=now, since=since, limit=WINDOW))
        await self._lease(site_ids, now)

    # Handing out

    def _show(self, events: Iterable[DueEvent]) -> None:
        now = self._clock.now()
        for due in events:
            if not due.may_be_sent(now):
                continue
            for seat in self._seats.get(due.event.site_id, ()):
                if seat.consumer is None:
                    seat.show(due)

    async def _lease(self, site_ids: Collection[str], now: datetime) -> None:
        takers = {site_id: seat for site_id in site_ids if (seat := self._taker(site_id))}
        if not takers:
            return
        leased = await self._events.lease(
            {site_id: str(seat.consumer) for site_id, seat in takers.items()},
            resuming={site_id for site_id, seat in takers.items() if seat.resuming},
            now=now,
            until=now + self._timing.lease,
            limit=BATCH,
        )
        if leased:
            await reach("events.after_lease")
        count = Counter(due.event.site_id for due in leased)
        for due in leased:
            if due.may_be_sent(now):
                takers[due.event.site_id].offer(due)
        for site_id, seat in takers.items():
            seat.resuming = False
            if count[site_id]:
                self._turn += 1
                seat.turn = self._turn
            # A full batch may not be all there is; another new stream wants its own leases back.
            if count[site_id] == BATCH or self._has_resuming(site_id):
                self.look_at(site_id)

    def _taker(self, site_id: str) -> Seat | None:
        """The stream whose turn it is: a new one first, then the longest without work."""
        sharing = [seat for seat in self._seats.get(site_id, ()) if seat.consumer]
        ready = [seat for seat in sharing if seat.has_room]
        if not ready:
            # Whoever has room first asks again.
            for seat in sharing:
                seat.more = True
        return min(ready, key=lambda s: (not s.resuming, len(s.queue), s.turn), default=None)

    def _ready_taker(self, site_id: str) -> Seat | None:
        """The same, unless it is a new one, which looks at the database first."""
        taker = self._taker(site_id)
        return None if taker is None or taker.resuming else taker

    def _has_resuming(self, site_id: str) -> bool:
        return any(s.consumer and s.resuming and s.has_room for s in self._seats.get(site_id, ()))

    def _all_seats(self) -> list[Seat]:
        return self._seats_of(self._seats)

    def _seats_of(self, site_ids: Iterable[str]) -> list[Seat]:
        return [seat for site_id in site_ids for seat in self._seats.get(site_id, ())]


@dataclass(frozen=True, slots=True)
class _Place:
    """Room for one event; see `Delivery.place`."""

    _delivery: Delivery
    _taker: Seat | None
    lease: Lease | None

    def give(self, due: DueEvent) -> None:
        """Send `due`, which was kept under the lease."""
        self._delivery._give(due, self._taker)  # noqa: SLF001 - a part of it


def _set_all(waiters: Iterable[asyncio.Event]) -> None:
    for rung in waiters:
        rung.set()
