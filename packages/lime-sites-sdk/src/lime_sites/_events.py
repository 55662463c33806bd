"""What is to be done with the events of a stream, decided without I/O.

LIME delivers at least once and in no particular order (protocol section 5). The inbox makes of
that: each event handled once here, the events of one login one after the other, and every handled
event acknowledged, again if it comes again.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Self

from lime_sdk_core._forks import lock_of

MAX_PENDING: Final = 1000
"""Events accepted and not yet handled. More are left to LIME, which sends them again."""

MAX_REMEMBERED: Final = 4096
"""Handled events whose repetition is recognised; LIME repeats an event for 300 s at most."""

MAX_ACKNOWLEDGED_AT_ONCE: Final = 100
"""Ids in one acknowledgement."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for the application."""

    event_id: str | None
    """None from a LIME that does not number its events: nothing to acknowledge then."""
    request_id: str
    passport: str | None = field(repr=False)
    """The passport it came with, unverified; None if nobody will come."""


class Inbox:
    """The events in hand; threads may share it."""

    def __init__(
        self,
        *,
        max_pending: int = MAX_PENDING,
        max_remembered: int = MAX_REMEMBERED,
        handled: Iterable[str] = (),
    ) -> None:
        self._max_pending = max_pending
        self._max_remembered = max_remembered
        self._lock = lock_of(self)
        self._pending = 0
        # By event: the passport that came last.
        self._in_hand: dict[str, str | None] = {}
        self._handled: OrderedDict[str, None] = OrderedDict.fromkeys(handled)
        # By login request: the events that wait for the one that is being handled.
        self._queues: dict[str, deque[Delivery]] = {}
        # In order, and each once however often its event is repeated.
        self._to_acknowledge: dict[str, None] = {}
        self._acknowledging = False

    def heir(self) -> Self:
        """Return an inbox with nothing in hand that knows what was handled.

        For a listener whose predecessor is gone, with its loop or by a fork. No lock is taken: a
        thread that a fork left behind may hold it.
        """
        return type(self)(
            max_pending=self._max_pending,
            max_remembered=self._max_remembered,
            handled=self._handled,
        )

    def offer(self, delivery: Delivery) -> bool:
        """Take an event from the stream and say whether it is to be handled now.

        If not, it is a repetition, or waits for an earlier event of its login, or there is no room.
        """
        with self._lock:
            event_id = delivery.event_id
            if event_id is not None and event_id in self._handled:
                # The acknowledgement was lost.
                self._to_acknowledge[event_id] = None
                return False
            if event_id is not None and event_id in self._in_hand:
                # LIME signs a passport for each delivery, and it lives for a minute: by the turn of
                # this event the one that came first may be over.
                self._in_hand[event_id] = delivery.passport
                return False
            if self._pending >= self._max_pending:
                return False
            self._pending += 1
            if event_id is not None:
                self._in_hand[event_id] = delivery.passport
            waiting = self._queues.get(delivery.request_id)
            if waiting is not None:
                waiting.append(delivery)
                return False
            self._queues[delivery.request_id] = deque()
            return True

    def latest_passport(self, delivery: Delivery) -> str | None:
        """Return the passport that came last for an event in hand; ask when its turn has come."""
        with self._lock:
            if delivery.event_id is None:
                return delivery.passport
            return self._in_hand[delivery.event_id]

    def finish(self, delivery: Delivery, *, handled: bool) -> Delivery | None:
        """Record how the handlers returned; return the next event of the same login.

        What was not handled is forgotten together with what waits behind it: LIME sends it again.
        """
        with self._lock:
            waiting = self._queues.pop(delivery.request_id)
            self._let_go(delivery)
            if not handled:
                for forgotten in waiting:
                    self._let_go(forgotten)
                return None
            if delivery.event_id is not None:
                self._remember(delivery.event_id)
            if not waiting:
                return None
            self._queues[delivery.request_id] = waiting
            return waiting.popleft()

    def _let_go(self, delivery: Delivery) -> None:
        self._pending -= 1
        if delivery.event_id is not None:
            del self._in_hand[delivery.event_id]

    def _remember(self, event_id: str) -> None:
        self._to_acknowledge[event_id] = None
        self._handled[event_id] = None
        if len(self._handled) > self._max_remembered:
            self._handled.popitem(last=False)

    def owes_acknowledgement(self) -> bool:
        """Is there something to acknowledge that nobody is about to?"""
        with self._lock:
            return bool(self._to_acknowledge) and not self._acknowledging

    @contextmanager
    def acknowledgement(self) -> Iterator[list[str]]:
        """Hold the ids to send now; none while somebody else is sending.

        Whoever sends asks again afterwards, so ids that were finished meanwhile go together.
        """
        with self._lock:
            mine = not self._acknowledging
            ids = list(islice(self._to_acknowledge, MAX_ACKNOWLEDGED_AT_ONCE)) if mine else []
            for event_id in ids:
                del self._to_acknowledge[event_id]
            self._acknowledging |= bool(ids)
        try:
            yield ids
        finally:
            if ids:
                with self._lock:
                    self._acknowledging = False
