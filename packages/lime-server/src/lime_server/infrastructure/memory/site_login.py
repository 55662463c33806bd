"""Login requests and their events in memory."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lime_server.core.ids import lowest_id
from lime_server.infrastructure.memory.identities import MemoryIdentities
from lime_server.modules.site_login.model import (
    DueEvent,
    Event,
    EventKind,
    KnownLogin,
    Lease,
    Login,
    State,
)


@dataclass(slots=True)
class _Row:
    event: Event
    leased_to: str | None = None
    leased_until: datetime | None = None
    acknowledged_at: datetime | None = None


class MemorySiteLogin:
    """What the two stores below share."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """No requests yet."""
        self.identities = identities
        self.logins: dict[str, Login] = {}
        self.events: dict[str, _Row] = {}


class MemoryLogins:
    """Keeps login requests, each decided once."""

    def __init__(self, shared: MemorySiteLogin) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def add(self, login: Login) -> None:
        """Keep a new request."""
        self._shared.logins[login.request_id] = login

    async def find(self, request_id: str) -> KnownLogin | None:
        """The request as it was last written."""
        await asyncio.sleep(0)  # others get a turn between reading and writing, as with an engine
        login = self._shared.logins.get(request_id)
        site = None if login is None else self._shared.identities.site(login.site_id)
        return None if login is None or site is None else KnownLogin(login, site)

    async def decide(
        self, old: Login, new: Login, event: Event, lease: Lease | None = None
    ) -> bool:
        """Replace `old` by `new` and keep `event`, both or neither."""
        current = self._shared.logins.get(old.request_id)
        if current is None or current.state is not old.state:
            return False
        if new.decided_at is None or new.decided_at >= current.expires_at:
            return False
        self._shared.logins[new.request_id] = new
        row = self._shared.events[event.event_id] = _Row(event)
        if lease is not None:
            row.leased_to, row.leased_until = lease.consumer, lease.until
        return True

    async def expire(self, now: datetime, *, deliver_until: datetime, limit: int) -> list[Event]:
        """Expire at most `limit` requests that are due, each with its event."""
        due = [x for x in self._shared.logins.values() if x.is_pending and now >= x.expires_at]
        events = []
        for old in sorted(due, key=lambda login: login.expires_at)[:limit]:
            new = old.at(now)
            event = Event.telling(new, now=now, window=deliver_until - now)
            self._shared.logins[new.request_id] = new
            self._shared.events[event.event_id] = _Row(event)
            events.append(event)
        return events

    async def prune(
        self, now: datetime, *, requests_before: datetime, events_before: datetime, limit: int
    ) -> int:
        """Delete old requests and dead events, at most `limit` of each."""
        shared = self._shared
        bound = lowest_id(events_before)
        dead = [
            id_
            for id_, row in shared.events.items()
            if id_ < bound and row.event.deliver_until <= now
        ][:limit]
        for event_id in dead:
            del shared.events[event_id]
        old = [
            login.request_id
            for login in shared.logins.values()
            if not login.is_pending
            and login.request_id < lowest_id(requests_before)
            and login.request_id not in shared.events
        ][:limit]
        for request_id in old:
            del shared.logins[request_id]
        return len(dead) + len(old)


class MemoryEvents:
    """Keeps events until they are acknowledged, or can no longer be used."""

    def __init__(self, shared: MemorySiteLogin) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def lease(
        self,
        consumers: Mapping[str, str],
        *,
        resuming: Collection[str],
        now: datetime,
        until: datetime,
        limit: int,
    ) -> list[DueEvent]:
        """Lease due events, at most `limit` for each site, oldest first."""
        leased: list[_Row] = []
        for site_id, consumer in consumers.items():
            own = consumer if site_id in resuming else None

            def due(row: _Row, site_id: str = site_id, own: str | None = own) -> bool:
                free = row.leased_until is None or row.leased_until <= now
                mine = own is not None and row.leased_to == own
                return row.event.site_id == site_id and not row.acknowledged_at and (free or mine)

            for row in self._rows(due, now)[:limit]:
                row.leased_to, row.leased_until = consumer, until
                leased.append(row)
        return self._due(leased, now)

    async def recent(
        self, site_ids: Collection[str], *, now: datetime, since: datetime, limit: int
    ) -> list[DueEvent]:
        """The oldest that are not acknowledged, and the newest made at `since` or later."""
        wanted: set[str] = set()
        for site_id in site_ids:
            rows = [row for row in self._rows(_any, now) if row.event.site_id == site_id]
            due = [row for row in rows if row.acknowledged_at is None][:limit]
            new = [row for row in rows if row.event.created_at >= since][-limit:]
            wanted.update(row.event.event_id for row in due + new)
        return self._due(self._rows(lambda row: row.event.event_id in wanted, now), now)

    async def named(self, event_ids: Collection[str], *, now: datetime) -> list[DueEvent]:
        """Those events that can be sent at `now`, acknowledged or not."""
        return self._due(self._rows(lambda row: row.event.event_id in event_ids, now), now)

    async def acknowledge(self, site_id: str, event_ids: Sequence[str], now: datetime) -> int:
        """Note that the site has these events; its approved requests become DELIVERED."""
        delivered = 0
        for row in self._rows(lambda row: row.event.event_id in event_ids, None):
            if row.event.site_id != site_id:
                continue
            row.acknowledged_at = row.acknowledged_at or now
            login = self._shared.logins[row.event.request_id]
            if row.event.kind is EventKind.APPROVED and login.state is State.APPROVED:
                self._shared.logins[login.request_id] = login.delivered()
                delivered += 1
        return delivered

    async def decided(self, request_ids: Collection[str]) -> set[str]:
        """Those requests that are no longer written as PENDING, or no longer there."""
        logins = self._shared.logins
        return {id_ for id_ in request_ids if id_ not in logins or not logins[id_].is_pending}

    def _rows(self, wanted: Callable[[_Row], bool], now: datetime | None) -> list[_Row]:
        rows = [row for row in self._shared.events.values() if wanted(row)]
        alive = [row for row in rows if now is None or row.event.deliver_until > now]
        return sorted(alive, key=_age)

    def _due(self, rows: Iterable[_Row], now: datetime) -> list[DueEvent]:
        found = []
        for row in sorted(rows, key=_age):
            site = self._shared.identities.site(row.event.site_id)
            found.append(
                DueEvent(
                    event=row.event,
                    agent=self._shared.identities.agent(row.event.agent_id),
                    site_suspended=site is None or site.suspended,
                    acknowledged=row.acknowledged_at is not None,
                    read_at=now,
                )
            )
        return found


def _any(_row: _Row) -> bool:
    return True


def _age(row: _Row) -> tuple[datetime, str]:
    return row.event.created_at, row.event.event_id
