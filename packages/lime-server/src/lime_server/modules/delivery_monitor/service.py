"""What is on its way to a site, and how its owner can help it along."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lime_server.core.clock import Clock
from lime_server.core.errors import DomainError, NotFound, RateLimited, Unavailable
from lime_server.core.ids import parse_id
from lime_server.core.ports import Limit, Transactions, Wakeup
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.foundation.sites import Site, Sites
from lime_server.foundation.streams import LiveStream
from lime_server.modules.delivery_monitor.ports import (
    DeliveryLog,
    OpenStreams,
    SentEvent,
    Slowing,
    Streams,
)

MOST_EVENTS = 100
"""Undelivered events shown: with more, what matters is that there are so many."""
MOST_DELIVERED = 20
"""Delivered events shown: the latest, which somebody may want again."""
MOST_STREAMS = 200
"""Open streams shown of one site."""
NUDGES = Limit(rate=0.5, burst=20)
"""Test frames and repeated events per owner: each wakes every server."""
MOST_VIEWERS_OF_OWNER = 10
"""Monitors that one owner has open at a server: tabs, not programs."""
MOST_VIEWERS = 500
"""Monitors open at a server: each reads the database now and then."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How things stand."""

    streams: list[LiveStream]
    undelivered: list[SentEvent]
    delivered: list[SentEvent]


@dataclass(frozen=True, slots=True)
class MonitorTiming:
    """Seconds."""

    look_every: float = 2.0
    """An acknowledgement rings no bell, so it is looked for."""
    pause: float = 0.25
    """Between two looks, however often the bell rings."""
    keepalive: float = 15.0
    lifetime: float = 60.0
    """After which the browser asks again, and with it who is asking: a session that has ended
    sees no more than this."""
    patience: float = 30.0
    """How long a browser may leave a frame unread before its stream is cut."""


class DeliveryMonitor:
    """The owner's window on deliveries. `owner_id` is always that of the session that asks."""

    def __init__(
        self,
        *,
        sites: Sites,
        events: DeliveryLog,
        open_streams: OpenStreams,
        streams: Streams,
        bell: Wakeup,
        slowing: Slowing,
        transactions: Transactions,
        audit: Audit,
        clock: Clock,
        timing: MonitorTiming,
    ) -> None:
        """Put the parts together."""
        self._sites = sites
        self._events = events
        self._open_streams = open_streams
        self._streams = streams
        self._bell = bell
        self._slowing = slowing
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self.timing = timing
        self._viewers: dict[str, set[Viewer]] = {}
        self._draining = False

    async def site(self, owner_id: str, unverified_site_id: str) -> Site:
        """This owner's site. Raises NotFound for any other's."""
        return await self._sites.owned_by(owner_id, unverified_site_id)

    async def look(self, owner_id: str, unverified_site_id: str) -> Snapshot:
        """How deliveries to this owner's site stand. Raises NotFound for any other's."""
        site = await self.site(owner_id, unverified_site_id)
        now = self._clock.now()
        return Snapshot(
            list(await self._open_streams.streams(site.site_id))[:MOST_STREAMS],
            await self._events.waiting(site.site_id, now=now, limit=MOST_EVENTS),
            await self._events.delivered(site.site_id, now=now, limit=MOST_DELIVERED),
        )

    async def redeliver(
        self, owner_id: str, unverified_site_id: str, unverified_event_id: str
    ) -> None:
        """Send an event again while it can be used, acknowledged or not.

        Raises NotFound for what is not this owner's, or can no longer be sent, and RateLimited.
        """
        # 1. Whose?
        site = await self._nudged(owner_id, unverified_site_id)
        event_id = parse_id(unverified_event_id)
        # 2. Make it due again.
        async with self._transactions.transaction():
            if event_id is None or not await self._events.send_again(
                site.site_id, event_id, now=self._clock.now()
            ):
                raise NotFound("There is no such event, or it can no longer be sent.")
            await self._audit.record(
                "site.event.redelivered",
                owner_id=owner_id,
                actor=Actor("owner", owner_id),
                target=Target("site", site.site_id),
                detail={"event_id": event_id},
            )
        # 3. Only now wake the streams: they will read what step 2 wrote.
        await self._streams.show_again(site.site_id, event_id)

    async def test(self, owner_id: str, unverified_site_id: str) -> None:
        """Put a test frame on every stream of this owner's site.

        Raises NotFound for any other's, and RateLimited.
        """
        site = await self._nudged(owner_id, unverified_site_id)
        await self._streams.say_test(site.site_id)

    async def _nudged(self, owner_id: str, unverified_site_id: str) -> Site:
        site = await self.site(owner_id, unverified_site_id)
        await self._slowing.take(f"delivery-nudge:{owner_id}", NUDGES)
        return site

    # Watching

    @contextmanager
    def viewer(self, owner_id: str, site_id: str) -> Iterator["Viewer"]:
        """Somebody who watches, until the context ends. Raises RateLimited or Unavailable."""
        mine = self._viewers.get(owner_id, set())
        if len(mine) >= MOST_VIEWERS_OF_OWNER:
            raise RateLimited("This many monitors are open already.", retry_after=5)
        if self._draining or sum(map(len, self._viewers.values())) >= MOST_VIEWERS:
            raise Unavailable(retry_after=5)
        viewer = Viewer(site_id)
        stop = self._bell.listen(viewer.heard)
        self._viewers[owner_id] = mine | {viewer}
        try:
            yield viewer
        finally:
            stop()
            self._viewers[owner_id] -= {viewer}
            if not self._viewers[owner_id]:
                del self._viewers[owner_id]

    def drain(self) -> None:
        """Let every viewer go home, now and from now on."""
        self._draining = True
        for viewers in self._viewers.values():
            for viewer in viewers:
                viewer.leave()

    async def frames(
        self, owner_id: str, viewer: "Viewer", shape: Callable[[Snapshot], bytes]
    ) -> AsyncGenerator[bytes, None]:
        """A frame with what `shape` makes of a snapshot whenever that changes, and keepalives.

        Ends after the timing's lifetime, and when the site can no longer be seen.
        """
        loop = asyncio.get_running_loop()
        end, beat = loop.time() + self.timing.lifetime, loop.time() + self.timing.keepalive
        shown = b""
        while not viewer.left and loop.time() < end:
            current = await self._seen(owner_id, viewer, shape, shown)
            if current != shown or loop.time() >= beat:
                yield b": keepalive\n\n" if current == shown else b"data: " + current + b"\n\n"
                shown, beat = current, loop.time() + self.timing.keepalive
            await asyncio.sleep(self.timing.pause)
            await viewer.wait(self.timing.look_every)

    async def _seen(
        self, owner_id: str, viewer: "Viewer", shape: Callable[[Snapshot], bytes], shown: bytes
    ) -> bytes:
        """What there is to show now. The viewer leaves when it can no longer be seen."""
        try:
            return shape(await self.look(owner_id, viewer.site_id))
        except Unavailable:
            return shown  # stays true as far as anybody knows
        except DomainError:
            viewer.leave()
            return shown


class Viewer:
    """One open monitor."""

    def __init__(self, site_id: str) -> None:
        """Watches this site."""
        self.site_id = site_id
        self.left = False
        self._rung = asyncio.Event()

    def heard(self, _topic: str, ident: str) -> None:
        """Something was rung; whatever it was, if it was about this site it is looked at."""
        if ident.partition("/")[0] == self.site_id:
            self._rung.set()

    def leave(self) -> None:
        """Stop watching."""
        self.left = True
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Return when there may be something new, after `seconds` at the latest."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()
