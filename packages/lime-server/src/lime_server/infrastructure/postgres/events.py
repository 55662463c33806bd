"""Events on their way, in PostgreSQL.

Delivery goes by state (not acknowledged, lease run out), never by "newer than the last one seen":
rows become visible in another order than they were numbered.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import asyncpg

from lime_server.core.agents import Agent
from lime_server.infrastructure.grouping import Grouped
from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.site_login.model import DueEvent, Event, EventKind

_COLUMNS = """
    e.event_id, e.site_id, e.kind, e.agent_id, e.redirect_url, e.created_at, e.deliver_until,
    e.acknowledged_at,
    s.suspended OR so.suspended OR NOT s.active AS site_suspended,
    a.owner_id AS agent_owner_id, a.display_name, a.description, a.avatar_url, a.active,
    a.created_at AS agent_created_at, ao.suspended AS owner_suspended, ao.kyc_level,
    a.suspended AS agent_suspended
"""
_STANDING = """
    JOIN foundation.sites s ON s.site_id = e.site_id
    JOIN foundation.owners so ON so.owner_id = s.owner_id
    LEFT JOIN core.agents a ON a.agent_id = e.agent_id
    LEFT JOIN foundation.owners ao ON ao.owner_id = a.owner_id
"""

# A lease or an acknowledgement that a crash loses only means that the event is sent again, so these
# commits do not wait for the disk. `set_config` with `true` lasts for this one transaction.
_RELAXED = "relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"

_LEASE = f"""
    WITH {_RELAXED}, wanted AS (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[])
            AS w (site_id, consumer, resuming)
    ), picked AS (
        SELECT due.event_id, wanted.consumer
        FROM relaxed, wanted CROSS JOIN LATERAL (
            SELECT d.event_id FROM modules.site_login_events d
            WHERE d.site_id = wanted.site_id AND d.acknowledged_at IS NULL AND d.deliver_until > $4
                AND (d.leased_until IS NULL OR d.leased_until <= $4
                    OR (wanted.resuming AND d.leased_to = wanted.consumer))
            ORDER BY d.created_at LIMIT $6
            FOR UPDATE SKIP LOCKED
        ) AS due
    ), e AS (
        UPDATE modules.site_login_events ev
        SET leased_to = picked.consumer, leased_until = $5
        FROM picked WHERE ev.event_id = picked.event_id
        RETURNING ev.*
    )
    SELECT {_COLUMNS} FROM e {_STANDING} ORDER BY e.created_at, e.event_id
"""  # noqa: S608 - constants

_RECENT = f"""
    WITH wanted AS (SELECT unnest($1::uuid[]) AS site_id)
    SELECT {_COLUMNS} FROM (
        SELECT due.* FROM wanted CROSS JOIN LATERAL (
            SELECT * FROM modules.site_login_events d
            WHERE d.site_id = wanted.site_id AND d.acknowledged_at IS NULL AND d.deliver_until > $2
            ORDER BY d.created_at LIMIT $4
        ) AS due
        UNION
        SELECT new.* FROM wanted CROSS JOIN LATERAL (
            SELECT * FROM modules.site_login_events n
            WHERE n.site_id = wanted.site_id AND n.created_at >= $3 AND n.deliver_until > $2
            ORDER BY n.created_at DESC LIMIT $4
        ) AS new
    ) AS e {_STANDING} ORDER BY e.created_at, e.event_id
"""  # noqa: S608 - constants

_NAMED = f"""
    SELECT {_COLUMNS} FROM modules.site_login_events e {_STANDING}
    WHERE e.event_id = ANY ($1::uuid[]) AND e.deliver_until > $2
    ORDER BY e.created_at, e.event_id
"""  # noqa: S608 - constants

# The rows are found by id and by nothing else. `coalesce` instead of a condition on
# `acknowledged_at`, and IS NOT DISTINCT FROM, which no index serves, keep the planner from visiting
# everything that is due, or recent, at a busy site.
_ACKNOWLEDGE = f"""
    WITH {_RELAXED}, acknowledged AS (
        UPDATE modules.site_login_events e
        SET acknowledged_at = coalesce(e.acknowledged_at, $3)
        FROM relaxed, unnest($1::uuid[], $2::uuid[]) AS w (site_id, event_id)
        WHERE e.event_id = w.event_id AND e.site_id IS NOT DISTINCT FROM w.site_id
        RETURNING e.event_id, e.kind
    )
    UPDATE modules.site_login_requests r SET state = 'DELIVERED'
    FROM acknowledged a
    WHERE r.request_id = a.event_id AND a.kind = 'approved' AND r.state = 'APPROVED'
    RETURNING r.request_id
"""  # noqa: S608 - constants

_STILL_PENDING = """
    SELECT request_id FROM modules.site_login_requests
    WHERE request_id = ANY ($1::uuid[]) AND state = 'PENDING'
"""


class PostgresEvents:
    """Keeps events until they are acknowledged, or can no longer be used."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database
        self._acknowledge = Grouped(self._acknowledge_all)

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
        sites = list(consumers)
        rows = await self._database.fetch(
            _LEASE,
            sites,
            [consumers[site] for site in sites],
            [site in resuming for site in sites],
            now,
            until,
            limit,
        )
        return [_due(row, now) for row in rows]

    async def recent(
        self, site_ids: Collection[str], *, now: datetime, since: datetime, limit: int
    ) -> list[DueEvent]:
        """The oldest that are not acknowledged, and the newest made at `since` or later."""
        rows = await self._database.fetch(_RECENT, list(site_ids), now, since, limit)
        return [_due(row, now) for row in rows]

    async def named(self, event_ids: Collection[str], *, now: datetime) -> list[DueEvent]:
        """Those events that can be sent at `now`, acknowledged or not."""
        rows = await self._database.fetch(_NAMED, list(event_ids), now)
        return [_due(row, now) for row in rows]

    async def acknowledge(self, site_id: str, event_ids: Sequence[str], now: datetime) -> int:
        """Note that the site has these events; its approved requests become DELIVERED."""
        return await self._acknowledge((site_id, event_ids, now))

    async def _acknowledge_all(
        self, asked: list[tuple[str, Sequence[str], datetime]]
    ) -> Sequence[int]:
        # In the order of their ids: two groups with the same events do not lock them crosswise.
        pairs = sorted({(event_id, site_id) for site_id, ids, _ in asked for event_id in ids})
        rows = await self._database.fetch(
            _ACKNOWLEDGE,
            [site_id for _, site_id in pairs],
            [event_id for event_id, _ in pairs],
            max(now for _, _, now in asked),
        )
        # Each counts once, for whoever was first to say so.
        delivered = {row["request_id"] for row in rows}
        counts = []
        for _, event_ids, _ in asked:
            theirs = delivered.intersection(event_ids)
            delivered -= theirs
            counts.append(len(theirs))
        return counts

    async def decided(self, request_ids: Collection[str]) -> set[str]:
        """Those requests that are no longer written as PENDING, or no longer there."""
        rows = await self._database.fetch(_STILL_PENDING, list(request_ids))
        return set(request_ids) - {row["request_id"] for row in rows}


def _due(row: asyncpg.Record, now: datetime) -> DueEvent:
    return DueEvent(
        event=Event(
            event_id=row["event_id"],
            site_id=row["site_id"],
            request_id=row["event_id"],
            kind=EventKind(row["kind"]),
            agent_id=row["agent_id"],
            redirect_url=row["redirect_url"],
            created_at=row["created_at"],
            deliver_until=row["deliver_until"],
        ),
        agent=None if row["agent_owner_id"] is None else _agent(row),
        site_suspended=row["site_suspended"],
        acknowledged=row["acknowledged_at"] is not None,
        read_at=now,
    )


def _agent(row: asyncpg.Record) -> Agent:
    return Agent(
        agent_id=row["agent_id"],
        owner_id=row["agent_owner_id"],
        display_name=row["display_name"],
        description=row["description"],
        avatar_url=row["avatar_url"],
        active=row["active"],
        created_at=row["agent_created_at"],
        owner_suspended=row["owner_suspended"],
        kyc_level=row["kyc_level"],
        suspended=row["agent_suspended"],
    )
