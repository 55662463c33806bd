"""Passports for sites, made when they are sent and never stored."""

from datetime import datetime, timedelta

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.passport import PassportContext, PassportType
from lime_server.core.ports import PassportSigner
from lime_server.modules.site_login.model import DueEvent
from lime_server.modules.site_login.ports import EventStore

AUDIENCE = "lime-site-login"
PASSPORT_VERSION = 1
_STALE = timedelta(seconds=1)
"""How old a look at everyone's standing may be when a passport is signed on the strength of it."""


class Passports:
    """Mints the passport that goes with an approval."""

    def __init__(
        self,
        *,
        events: EventStore,
        signer: PassportSigner,
        clock: Clock,
        issuer: str,
        lifetime: int,
    ) -> None:
        """Sign as `issuer` (the public URL) for `lifetime` seconds."""
        self._events = events
        self._signer = signer
        self._clock = clock
        self._issuer = issuer
        self._lifetime = lifetime
        self._made: dict[tuple[str, Agent], tuple[datetime, str]] = {}

    async def refreshed(self, due: DueEvent) -> DueEvent | None:
        """`due` if it can be sent now, looked at again if it waited; None if it is held back."""
        now = self._clock.now()
        if now - due.read_at > _STALE:
            again = await self._events.named([due.event.event_id], now=now)
            if not again:
                return None
            due = again[0]
        return due if due.may_be_sent(now) else None

    async def of_login(self, site_id: str, request_id: str) -> str | None:
        """The passport of this site's approved request; None if it must not be sent (any more)."""
        for due in await self._events.named([request_id], now=self._clock.now()):
            if due.event.site_id == site_id and due.may_be_sent(self._clock.now()):
                return await self.mint(due)
        return None

    async def mint(self, due: DueEvent) -> str:
        """A fresh passport for an approval that `refreshed` let through.

        One signature serves everyone who is sent this event in the same second, for as long as
        nothing about the agent changed: with a thousand streams, a site could otherwise keep a
        server busy.
        """
        event, agent = due.event, due.agent
        if agent is None:
            raise ValueError("only an approval by a known agent has a passport")
        now = self._clock.now()
        while self._made and not _is_new(next(iter(self._made.values()))[0], now):
            del self._made[next(iter(self._made))]
        if (made := self._made.get((event.event_id, agent))) and _is_new(made[0], now):
            return made[1]
        context = PassportContext(
            type=PassportType.LOGIN,
            issuer=self._issuer,
            audience=AUDIENCE,
            agent=agent,
            passport_id=event.event_id,
            issued_at=now,
            lifetime=self._lifetime,
        ).adding(
            request_id=event.request_id,
            user_id=agent.owner_id,
            passport_version=PASSPORT_VERSION,
            site_id=event.site_id,
            azp=event.site_id,
            kyc_level=agent.kyc_level,
        )
        passport = await self._signer.sign(context.claims(), typ=context.type)
        self._made[event.event_id, agent] = now, passport
        return passport


def _is_new(made_at: datetime, now: datetime) -> bool:
    # Passports count whole seconds: within one, another signature would give the same bytes.
    return int(made_at.timestamp()) == int(now.timestamp())
