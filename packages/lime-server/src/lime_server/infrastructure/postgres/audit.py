"""The audit log in PostgreSQL, where a trigger refuses to change or delete what was written."""

import json

import asyncpg

from lime_server.foundation.audit import BEGINNING, Actor, Entry, Head, Target, canonical
from lime_server.infrastructure.postgres.pool import Database

_COLUMNS = """
    owner_id, sequence, entry_id, at, actor_kind, actor_id, action, target_kind, target_id,
    request_id, address, detail, previous, hash
"""
# An update that changes nothing takes the row's lock, and sees what the last holder wrote.
_HEAD = """
    INSERT INTO foundation.audit_heads AS known (owner_id, sequence, hash, seal)
    VALUES ($1, 0, $2, '')
    ON CONFLICT (owner_id) DO UPDATE SET owner_id = known.owner_id
    RETURNING owner_id, sequence, hash, seal
"""
_APPEND = f"""
    WITH appended AS (
        INSERT INTO foundation.audit_entries ({_COLUMNS})
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        RETURNING owner_id
    )
    UPDATE foundation.audit_heads h SET sequence = $2, hash = $14, seal = $15
    FROM appended WHERE h.owner_id = appended.owner_id
"""  # noqa: S608 - fixed columns
_HEADS = """
    SELECT owner_id, coalesce(h.sequence, 0) AS sequence, coalesce(h.hash, $1) AS hash,
        coalesce(h.seal, '') AS seal
    FROM foundation.audit_heads h
    FULL JOIN (SELECT DISTINCT owner_id FROM foundation.audit_entries) e USING (owner_id)
    ORDER BY owner_id
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM foundation.audit_entries
    WHERE owner_id = $1 AND ($2::bigint IS NULL OR sequence < $2) ORDER BY sequence DESC LIMIT $3
"""  # noqa: S608 - fixed columns
_FORWARD = f"""
    SELECT {_COLUMNS} FROM foundation.audit_entries
    WHERE owner_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3
"""  # noqa: S608 - fixed columns


class PostgresAudit:
    """Keeps every chain, for all servers of one database."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def head(self, owner_id: str) -> Head:
        """The head, locked until the transaction ends."""
        row = await self._database.fetchrow(_HEAD, owner_id, BEGINNING)
        assert row is not None  # noqa: S101 - made if it was not there
        return Head(**row)

    async def append(self, entry: Entry, head: Head) -> None:
        """Keep an entry, and `head` as the chain's."""
        target = entry.target
        await self._database.execute(
            _APPEND,
            entry.owner_id,
            entry.sequence,
            entry.entry_id,
            entry.at,
            entry.actor.kind,
            entry.actor.id,
            entry.action,
            None if target is None else target.kind,
            None if target is None else target.id,
            entry.request_id,
            entry.address,
            canonical(entry.detail).decode(),
            entry.previous,
            entry.hash,
            head.seal,
        )

    async def heads(self) -> list[Head]:
        """All of them, and one at 0 for every chain that has entries and no head."""
        return [Head(**row) for row in await self._database.fetch(_HEADS, BEGINNING)]

    async def page(self, owner_id: str, *, before: int | None, limit: int) -> list[Entry]:
        """At most `limit` entries, newest first, whose sequence is below `before`."""
        rows = await self._database.fetch(_PAGE, owner_id, before, limit)
        return [_entry(row) for row in rows]

    async def forward(self, owner_id: str, *, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries, oldest first, whose sequence is above `after`."""
        rows = await self._database.fetch(_FORWARD, owner_id, after, limit)
        return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> Entry:
    target = None if row["target_kind"] is None else Target(row["target_kind"], row["target_id"])
    return Entry(
        entry_id=row["entry_id"],
        owner_id=row["owner_id"],
        sequence=row["sequence"],
        at=row["at"],
        actor=Actor(row["actor_kind"], row["actor_id"]),
        action=row["action"],
        target=target,
        request_id=row["request_id"],
        address=row["address"],
        detail=json.loads(row["detail"]),
        previous=row["previous"],
        hash=row["hash"],
    )
