"""Open streams and events on their way, as the delivery monitor shows them, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from lime_server.foundation.streams import LiveStream
from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.delivery_monitor.ports import SentEvent

_BEAT = """
    WITH gone AS (DELETE FROM modules.site_login_servers WHERE seen_at < $3 AND server_id <> $1)
    INSERT INTO modules.site_login_servers (server_id, seen_at) VALUES ($1, $2)
    ON CONFLICT (server_id) DO UPDATE SET seen_at = excluded.seen_at
    RETURNING xmax = 0 AS is_new
"""
_FORGET = """
    DELETE FROM modules.site_login_streams WHERE server_id = $1 AND site_id = ANY ($2::uuid[])
"""
_WRITE = """
    INSERT INTO modules.site_login_streams (site_id, server_id, consumers, since)
    VALUES ($2, $1, $3, $4)
"""
_ELSEWHERE = """
    SELECT stream.consumer, stream.since
    FROM modules.site_login_streams s
    JOIN modules.site_login_servers v ON v.server_id = s.server_id
    CROSS JOIN LATERAL unnest(s.consumers, s.since) AS stream (consumer, since)
    WHERE s.site_id = $1 AND s.server_id <> $2 AND v.seen_at >= $3
"""
_SENT = """
    SELECT event_id, kind, agent_id, created_at, deliver_until, leased_to, leased_until,
        acknowledged_at
    FROM modules.site_login_events
"""
_WAITING = f"""
    {_SENT} WHERE site_id = $1 AND acknowledged_at IS NULL AND deliver_until > $2
    ORDER BY created_at, event_id LIMIT $3
"""
_DELIVERED = f"""
    {_SENT} WHERE site_id = $1 AND acknowledged_at IS NOT NULL AND deliver_until > $2
    ORDER BY created_at DESC, event_id DESC LIMIT $3
"""
_AGAIN = """
    UPDATE modules.site_login_events
    SET acknowledged_at = NULL, leased_to = NULL, leased_until = NULL
    WHERE event_id = $2 AND site_id = $1 AND deliver_until > $3
    RETURNING event_id
"""


class PostgresPresence:
    """Where servers write down their streams."""

    def __init__(self, database: Database) -> None:
        """Keep it in `database`."""
        self._database = database

    async def beat(self, server_id: str, now: datetime, *, gone_before: datetime) -> bool:
        """Note that this server lives; True if nothing was known of it."""
        return bool(await self._database.fetchval(_BEAT, server_id, now, gone_before))

    async def write(self, server_id: str, changed: Mapping[str, Sequence[LiveStream]]) -> None:
        """Replace what is known of this server's streams to these sites."""
        rows = [
            (server_id, site_id, [one.consumer for one in open_], [one.since for one in open_])
            for site_id, open_ in changed.items()
            if open_
        ]
        async with self._database.transaction(), self._database.acquire() as connection:
            await connection.execute(_FORGET, server_id, list(changed))
            await connection.executemany(_WRITE, rows)

    async def elsewhere(
        self, site_id: str, server_id: str, *, gone_before: datetime
    ) -> list[LiveStream]:
        """Streams of this site to other servers that live."""
        rows = await self._database.fetch(_ELSEWHERE, site_id, server_id, gone_before)
        return [LiveStream(**row) for row in rows]

    async def leave(self, server_id: str) -> None:
        """Forget this server."""
        await self._database.execute(
            "DELETE FROM modules.site_login_servers WHERE server_id = $1", server_id
        )


class PostgresDeliveryLog:
    """Events on their way to a site."""

    def __init__(self, database: Database) -> None:
        """Read them from `database`."""
        self._database = database

    async def waiting(self, site_id: str, *, now: datetime, limit: int) -> list[SentEvent]:
        """What is not acknowledged and can still be sent, oldest first."""
        return _sent(await self._database.fetch(_WAITING, site_id, now, limit))

    async def delivered(self, site_id: str, *, now: datetime, limit: int) -> list[SentEvent]:
        """What is acknowledged and could still be sent again, newest first."""
        return _sent(await self._database.fetch(_DELIVERED, site_id, now, limit))

    async def send_again(self, site_id: str, event_id: str, *, now: datetime) -> bool:
        """Make it due again."""
        return await self._database.fetchval(_AGAIN, site_id, event_id, now) is not None


def _sent(rows: Sequence[asyncpg.Record]) -> list[SentEvent]:
    return [SentEvent(**row) for row in rows]
