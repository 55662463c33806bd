"""Login requests in PostgreSQL."""

from datetime import datetime

import asyncpg

from lime_server.foundation.sites import Site
from lime_server.infrastructure.postgres.identities import SITE_COLUMNS, SITE_TABLES
from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.site_login.model import Event, EventKind, KnownLogin, Login, State

_ADD = """
    INSERT INTO modules.site_login_requests
        (request_id, site_id, state, challenge, difficulty, redirect_url, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_FIND = f"""
    SELECT r.request_id, r.state, r.challenge, r.difficulty, r.redirect_url,
        r.created_at AS login_created_at, r.expires_at, r.agent_id, r.decided_at, {SITE_COLUMNS}
    FROM {SITE_TABLES} JOIN modules.site_login_requests r ON r.site_id = s.site_id
    WHERE r.request_id = $1
"""  # noqa: S608 - constants

# The change of state and the event that tells of it are one statement, so they are one commit. Who
# comes second waits for the first one's row lock, then finds that `state` no longer matches.
_DECIDE = """
    WITH won AS (
        UPDATE modules.site_login_requests
        SET state = $3, agent_id = $4, decided_at = $5
        WHERE request_id = $1 AND state = $2 AND expires_at > $5
        RETURNING request_id
    )
    INSERT INTO modules.site_login_events
        (event_id, site_id, kind, agent_id, redirect_url, created_at, deliver_until)
    SELECT request_id, $6, $7, $4, $8, $9, $10 FROM won
    RETURNING event_id
"""

_EXPIRE = """
    WITH due AS (
        SELECT request_id FROM modules.site_login_requests
        WHERE state = 'PENDING' AND expires_at <= $1
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

# An event that can still be sent outlives its request's retention, however short that is.
_PRUNE_REQUESTS = """
    DELETE FROM modules.site_login_requests WHERE request_id IN (
        SELECT r.request_id FROM modules.site_login_requests r
        WHERE r.expires_at < $1 AND r.state <> 'PENDING' AND NOT EXISTS (
            SELECT FROM modules.site_login_events e
            WHERE e.event_id = r.request_id AND e.deliver_until > $2
        )
        LIMIT $3
        FOR UPDATE SKIP LOCKED
    )
"""
_PRUNE_EVENTS = """
    DELETE FROM modules.site_login_events WHERE event_id IN (
        SELECT event_id FROM modules.site_login_events WHERE deliver_until <= $1
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""


class PostgresLogins:
    """Keeps login requests, each decided once."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, login: Login) -> None:
        """Keep a new request."""
        await self._database.execute(
            _ADD,
            login.request_id,
            login.site_id,
            login.state,
            login.challenge,
            login.difficulty,
            login.redirect_url,
            login.created_at,
            login.expires_at,
        )

    async def find(self, request_id: str) -> KnownLogin | None:
        """The request as it was last written."""
        row = await self._database.fetchrow(_FIND, request_id)
        return None if row is None else KnownLogin(_login(row), _site(row))

    async def decide(self, old: Login, new: Login, event: Event) -> bool:
        """Replace `old` by `new` and keep `event`, both or neither, and durably."""
        event_id = await self._database.fetchval(
            _DECIDE,
            new.request_id,
            old.state,
            new.state,
            new.agent_id,
            new.decided_at,
            event.site_id,
            event.kind,
            event.redirect_url,
            event.created_at,
            event.deliver_until,
        )
        return event_id is not None

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

    async def prune(self, now: datetime, *, finished_before: datetime, limit: int) -> int:
        """Delete old requests and dead events, at most `limit` of each."""
        events = await self._database.execute(_PRUNE_EVENTS, now, limit)
        requests = await self._database.execute(_PRUNE_REQUESTS, finished_before, now, limit)
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


def _site(row: asyncpg.Record) -> Site:
    return Site(
        site_id=row["site_id"],
        owner_id=row["owner_id"],
        display_name=row["display_name"],
        domain=row["domain"],
        domain_verified=row["domain_verified"],
        suspended=row["suspended"],
        created_at=row["created_at"],
        active=row["active"],
        last_used_at=row["last_used_at"],
    )
