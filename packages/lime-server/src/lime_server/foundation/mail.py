"""Mails to owners: written within the transaction of what they tell of, sent afterwards."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import getLogger
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.ids import new_id
from lime_server.core.ports import Wakeup

TOPIC = "mail"
"""The bell's topic for "there is a mail to send"."""
BATCH = 20
"""Mails that one process takes at once."""
LEASE = timedelta(minutes=2)
"""How long a process has the mails that it took; after a crash they are everybody's again."""
FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)
"""Pauses between tries double from the first to the last: a mail server is back in minutes, or
somebody has to mend it."""

Count = Callable[[str, int], None]

log = getLogger(__name__)


def _uncounted(_outcome: str, _count: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of plain text. A `to` of None goes to nobody. What it says does not show in its repr.

    The latter exists so that a request about an unknown address costs what one about a known does.
    """

    to: str | None
    subject: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Queued:
    """A mail that waits, and how often it was tried."""

    mail_id: str
    mail: Mail
    attempts: int


class MailFailed(Exception):  # noqa: N818 - named like the domain's other errors
    """The mail server did not take it; the message says no more than the kind of failure."""


class MailSender(Protocol):
    """Hands mails to the world."""

    async def send(self, mail: Mail) -> None:
        """Send one mail, or, where it goes to nobody, do nothing that takes as much work.

        Raises MailFailed.
        """
        ...


class Outbox(Protocol):
    """Where mails wait. Safe with many servers."""

    async def add(self, mail_id: str, mail: Mail, *, due_at: datetime, until: datetime) -> None:
        """Keep a mail, to be sent from `due_at` on and not after `until`."""
        ...

    async def due(self, now: datetime, *, again_at: datetime, limit: int) -> Sequence[Queued]:
        """Mails that are due. Each is nobody else's before `again_at`."""
        ...

    async def postpone(self, mail_id: str, due_at: datetime) -> None:
        """Try it again at `due_at`."""
        ...

    async def done(self, mail_id: str) -> None:
        """Forget a mail that was sent."""
        ...

    async def sweep(self, now: datetime) -> int:
        """Forget what is too late to send; returns how many."""
        ...


class Post:
    """Takes mails, and sends them in the background."""

    def __init__(
        self,
        outbox: Outbox,
        sender: MailSender,
        *,
        bell: Wakeup,
        clock: Clock,
        interval: float = 5.0,
        draw: Callable[[], float] = random.random,
        count: Count = _uncounted,
    ) -> None:
        """Look for mails that are due every `interval` seconds; the bell makes it sooner.

        `count` is told how many were `sent`, `failed` (and will be tried again), or `expired`.
        """
        self._outbox = outbox
        self._sender = sender
        self._bell = bell
        self._clock = clock
        self._interval = interval
        self._draw = draw
        self._count = count

    async def write(self, mail: Mail, *, life: timedelta) -> None:
        """Let `mail` be sent, if that can be done within `life`."""
        now = self._clock.now()
        await self._outbox.add(new_id(now), mail, due_at=now, until=now + life)

    async def hurry(self) -> None:
        """Send what was written now; call it after the transaction."""
        await self._bell.ring(TOPIC, "")

    async def run(self) -> None:
        """Send mails for as long as the server lives."""
        rung = asyncio.Event()
        stop = self._bell.listen(lambda topic, _: rung.set() if topic == TOPIC else None)
        try:
            while True:
                rung.clear()
                try:
                    while await self.send_due() == BATCH:
                        pass
                    self._count("expired", await self._outbox.sweep(self._clock.now()))
                except Exception:
                    log.exception("mails could not be looked for")
                await _wait(rung, self._interval * (0.5 + self._draw()))
        finally:
            stop()

    async def send_due(self) -> int:
        """Send one batch of what is due; returns how many were tried."""
        now = self._clock.now()
        queued = await self._outbox.due(now, again_at=now + LEASE, limit=BATCH)
        for one in queued:
            # A mail server that is slow: what would be late is left to whoever takes it next.
            if self._clock.now() - now > LEASE / 2:
                break
            await self._send(one)
        return len(queued)

    async def _send(self, one: Queued) -> None:
        try:
            await self._sender.send(one.mail)
        except Exception as error:  # noqa: BLE001 - see below
            self._count("failed", 1)
            # One that nobody can send, for whatever reason, must not be in the way of the others.
            pause = min(FIRST_RETRY * 2.0 ** min(one.attempts, 10), LAST_RETRY)
            await self._outbox.postpone(one.mail_id, self._clock.now() + pause)
            # Only the kind of what was not expected: its words may hold the address.
            why = str(error) if isinstance(error, MailFailed) else type(error).__name__
            log.warning("a mail could not be sent: %s", why)
        else:
            self._count("sent", 1)
            # Whoever dies before this sends it twice: better than never.
            await self._outbox.done(one.mail_id)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
