"""One event stream's place in the hub: what it is to send, and why it must end."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from lime_server.foundation.streams import LiveStream
from lime_server.modules.site_login.model import DueEvent

BATCH = 8
"""Events leased to one stream at a time: few enough that a burst is shared among workers."""
ROOM = 256
"""Events that wait for a slow reader. What does not fit stays in the database."""


class Ending(Enum):
    """Why a stream ends early."""

    GONE = "the client went away"
    GOAWAY = "the server is about to stop"
    SUSPENDED = "the site was suspended"
    LOCKED_OUT = "the token that opened it no longer works"


@dataclass(slots=True, eq=False)
class Seat:
    """Filled by the hub, emptied by the stream."""

    site_id: str
    consumer: str | None
    """Who leases events; None for a stream that sees every event and never acknowledges."""
    since: datetime
    """When the stream began."""
    token_hash: bytes | None = field(default=None, repr=False)
    """Of the token that opened it; None for one that no token opened."""
    resuming: bool = True
    """Whether nothing has been read for it yet."""
    more: bool = False
    """Whether events were left behind because no stream had room."""
    promised: int = 0
    """Events that are just being written as its own."""
    turn: int = 0
    """When it was last given something, to share the work."""
    ending: Ending | None = None
    sent: set[str] = field(default_factory=set)
    """Events a stream without consumer has been given: it sees each once."""
    queue: deque[DueEvent] = field(default_factory=deque)
    test_wanted: bool = False
    """Whether a test frame is to go out. Several wishes are one: nobody can flood a stream."""
    shown: LiveStream = field(init=False)
    """What the site's owner sees of it. Made once: all that are open are looked at often."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.shown = LiveStream(self.consumer, self.since)

    @property
    def has_room(self) -> bool:
        """Whether events should be leased for it: a stream that is behind gets no more."""
        return self.ending is None and len(self.queue) + self.promised < BATCH

    def offer(self, due: DueEvent) -> None:
        """Queue what was leased for this seat."""
        self.queue.append(due)
        self._changed.set()

    def show(self, due: DueEvent) -> None:
        """Queue an event that every stream of the site sees, unless this one has had it.

        One that was acknowledged before the stream began is not news. One that finds no room is
        offered again by the next poll.
        """
        if due.event.event_id in self.sent or len(self.queue) >= ROOM:
            return
        if due.acknowledged and due.event.created_at < self.since:
            return
        self.sent.add(due.event.event_id)
        self.offer(due)

    def want_test(self) -> None:
        """Let the stream carry a test frame."""
        self.test_wanted = True
        self._changed.set()

    def end(self, ending: Ending) -> None:
        """Make the stream end; the first reason counts, unless the client is gone."""
        if self.ending is None or ending is Ending.GONE:
            self.ending = ending
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Return when there is something to do, after `seconds` at the latest."""
        if not self.queue and not self.test_wanted and self.ending is None:
            await self._change(seconds)

    async def stays(self, seconds: float) -> bool:
        """Whether the stream is still wanted after `seconds`; returns at once when it is not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.ending is None and (left := deadline - loop.time()) > 0:
            await self._change(left)
        return self.ending is None

    async def _change(self, seconds: float) -> None:
        # A timer that sets the event, because a time-out by cancellation would be thrown through
        # every frame of the stream, ten thousand times over with as many idle streams.
        self._changed.clear()
        timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
