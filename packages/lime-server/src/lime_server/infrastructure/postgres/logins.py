"""Login requests in PostgreSQL.

What every login needs is asked in groups (`grouping`): the statements take arrays, and what one
caller alone asks is an array of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from lime_server.core.ids import lowest_id
from lime_server.infrastructure.grouping import Grouped
from lime_server.infrastructure.postgres.identities import SITE_COLUMNS, SITE_TABLES, site_of
from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.site_login.model import (
    Event,
    EventKind,
    KnownLogin,
    Lease,
    Login,
    State,
)

_ADD = """
    INSERT INTO modules.site_login_requests
        (request_id, site_id, state, challenge, difficulty, redirect_url, created_at, expires_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::smallint[],
        $6::text[], $7::timestamptz[], $8::timestamptz[])
"""

_FIND = f"""
    SELECT r.request_id, r.state, r.challenge, r.difficulty, r.redirect_url,
        r.created_at AS login_created_at, r.expires_at, r.agent_id, r.decided_at, {SITE_COLUMNS}
    FROM {SITE_TABLES} JOIN modules.site_login_requests r ON r.site_id = s.site_id
    WHERE r.request_id = ANY ($1::uuid[])
"""  # noqa: S608 - constants

# The change of state and the event that tells of it are one statement, so they are one commit. Who
# comes second waits for the first one's row lock, then finds that `state` no longer matches.
_DECIDE = """
    WITH wanted AS (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[],
            $6::uuid[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[],
            $11::text[], $12::timestamptz[])
            AS w (request_id, old_state, state, agent_id, decided_at,
                  site_id, kind, redirect_url, created_at, deliver_until,
                  leased_to, leased_until)
    ), won AS (
        UPDATE modules.site_login_requests r
        SET state = w.state, agent_id = w.agent_id, decided_at = w.decided_at
        FROM wanted w
        WHERE r.request_id = w.request_id AND r.state = w.old_state AND r.expires_at > w.decided_at
        RETURNING w.*
    )
    INSERT INTO modules.site_login_events
        (event_id, site_id, kind, agent_id, redirect_url, created_at, deliver_until,
         leased_to, leased_until)
    SELECT request_id, site_id, kind, agent_id, redirect_url, created_at, deliver_until,
        leased_to, leased_until
    FROM won
    RETURNING event_id
"""

WRITES_AT_ONCE = 2
"""Groups of writes that travel at once: while one waits for the disk, the next one is at work."""

_EXPIRE = """
    WITH due AS (
        SELECT request_id FROM modules.site_login_requests
        WHERE decided_at IS NULL AND expires_at <= $1
        ORDER BY expires_at LIMIT $3
        FOR UPDATE SKIP LOCKED
    ), expired AS (
        UPDATE modules.site_login_requests r
        SET state = 'EXPIRED', decided_at = r.expires_at
        FROM due WHERE r.request_id = due.request_id
        RETURNING r.request_id, r.site_id, r.redirect_url
    )
    INSERT INTO modules.site_login_events
        (event_id, site_id, kind, redirect_url, created_at, deliver_until)
    SELECT request_id, site_id, 'expired', redirect_url, $1, $2 FROM expired
    RETURNING event_id, site_id, redirect_url
"""

# Both find what is old by its id, of which the first bits are the time it was made: everything
# below the bound is to go, so nobody reads what has to stay. An event that can still be sent
# outlives its request's retention, however short that is.
_PRUNE_REQUESTS = """
    DELETE FROM modules.site_login_requests WHERE request_id IN (
        SELECT r.request_id FROM modules.site_login_requests r
        WHERE r.request_id < $1 AND r.decided_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM modules.site_login_events e
            WHERE e.event_id = r.request_id AND e.deliver_until > $2
        )
        ORDER BY r.request_id LIMIT $3
        FOR UPDATE SKIP LOCKED
    )
"""
_PRUNE_EVENTS = """
    DELETE FROM modules.site_login_events WHERE event_id IN (
        SELECT event_id FROM modules.site_login_events
        WHERE event_id < $1 AND deliver_until <= $2
        ORDER BY event_id LIMIT $3
        FOR UPDATE SKIP LOCKED
    )
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Decision:
    old: Login
    new: Login
    event: Event
    lease: Lease | None


class PostgresLogins:
    """Keeps login requests, each decided once."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database
        self._add = Grouped(self._add_all, at_once=WRITES_AT_ONCE)
        self._find = Grouped(self._find_all)
        self._decide = Grouped(self._decide_all, at_once=WRITES_AT_ONCE)

    async def add(self, login: Login) -> None:
        """Keep a new request."""
        await self._add(login)

    async def _add_all(self, logins: list[Login]) -> Sequence[None]:
        await self._database.execute(
            _ADD,
            [login.request_id for login in logins],
            [login.site_id for login in logins],
            [login.state for login in logins],
            [login.challenge for login in logins],
            [login.difficulty for login in logins],
            [login.redirect_url for login in logins],
            [login.created_at for login in logins],
            [login.expires_at for login in logins],
        )
        return [None] * len(logins)

    async def find(self, request_id: str) -> KnownLogin | None:
        """The request as it was last written."""
        return await self._find(request_id)

    async def _find_all(self, request_ids: list[str]) -> Sequence[KnownLogin | None]:
        rows = await self._database.fetch(_FIND, request_ids)
        found = {row["request_id"]: KnownLogin(_login(row), site_of(row)) for row in rows}
        return [found.get(request_id) for request_id in request_ids]

    async def decide(
        self, old: Login, new: Login, event: Event, lease: Lease | None = None
    ) -> bool:
        """Replace `old` by `new` and keep `event`, both or neither, and durably."""
        return await self._decide(_Decision(old, new, event, lease))

    async def _decide_all(self, asked: list[_Decision]) -> Sequence[bool]:
        # Who asked first for a request is the one that may win. The others in this group were
        # slower, or they lose to whom the first one loses to.
        first = {each.new.request_id: each for each in reversed(asked)}
        # In the order of their ids, so that two servers that decide the same requests do not lock
        # them crosswise.
        wanted = [first[request_id] for request_id in sorted(first)]
        rows = await self._database.fetch(
            _DECIDE,
            [each.new.request_id for each in wanted],
            [each.old.state for each in wanted],
            [each.new.state for each in wanted],
            [each.new.agent_id for each in wanted],
            [each.new.decided_at for each in wanted],
            [each.event.site_id for each in wanted],
            [each.event.kind for each in wanted],
            [each.event.redirect_url for each in wanted],
            [each.event.created_at for each in wanted],
            [each.event.deliver_until for each in wanted],
            [each.lease and each.lease.consumer for each in wanted],
            [each.lease and each.lease.until for each in wanted],
        )
        won = {row["event_id"] for row in rows}
        return [each is first[each.new.request_id] and each.new.request_id in won for each in asked]

    async def expire(self, now: datetime, *, deliver_until: datetime, limit: int) -> list[Event]:
        """Expire at most `limit` requests that are due, each with its event."""
        rows = await self._database.fetch(_EXPIRE, now, deliver_until, limit)
        return [
            Event(
                event_id=row["event_id"],
                site_id=row["site_id"],
                request_id=row["event_id"],
                kind=EventKind.EXPIRED,
                agent_id=None,
                redirect_url=row["redirect_url"],
                created_at=now,
                deliver_until=deliver_until,
            )
            for row in rows
        ]

    async def prune(
        self, now: datetime, *, requests_before: datetime, events_before: datetime, limit: int
    ) -> int:
        """Delete old requests and dead events, at most `limit` of each."""
        events = await self._database.execute(_PRUNE_EVENTS, lowest_id(events_before), now, limit)
        requests = await self._database.execute(
            _PRUNE_REQUESTS, lowest_id(requests_before), now, limit
        )
        return sum(int(tag.rpartition(" ")[2]) for tag in (events, requests))


def _login(row: asyncpg.Record) -> Login:
    return Login(
        request_id=row["request_id"],
        site_id=row["site_id"],
        state=State(row["state"]),
        challenge=row["challenge"],
        difficulty=row["difficulty"],
        redirect_url=row["redirect_url"],
        created_at=row["login_created_at"],
        expires_at=row["expires_at"],
        agent_id=row["agent_id"],
        decided_at=row["decided_at"],
    )
