"""First answers in PostgreSQL, sealed: an answer may hold a token that was shown once."""

from datetime import datetime

import asyncpg

from lime_server.infrastructure.postgres.keys import Sealer
from lime_server.infrastructure.postgres.pool import Database
from lime_server.infrastructure.web.idempotency import Answer, Record

# Takes the key if nobody has it: one statement, so that of two servers one succeeds. A row that is
# locked by a request that died, or whose answer has expired, counts as nobody's.
_BEGIN = """
    INSERT INTO infrastructure.idempotency AS known
        (scope, fingerprint, owner, locked_until, expires_at) VALUES ($1, $2, $3, $5, $5)
    ON CONFLICT (scope) DO UPDATE SET
        fingerprint = excluded.fingerprint, owner = excluded.owner,
        locked_until = excluded.locked_until, expires_at = excluded.expires_at,
        status = NULL, content_type = NULL, sealed_body = NULL
        WHERE known.expires_at <= $4 OR (known.status IS NULL AND known.locked_until <= $4)
    RETURNING true
"""
_KNOWN = """
    SELECT fingerprint, status, content_type, sealed_body
    FROM infrastructure.idempotency WHERE scope = $1
"""
_FINISH = """
    UPDATE infrastructure.idempotency
    SET status = $3, content_type = $4, sealed_body = $5, expires_at = $6
    WHERE scope = $1 AND owner = $2
"""
_ABANDON = """
    DELETE FROM infrastructure.idempotency WHERE scope = $1 AND owner = $2 AND status IS NULL
"""
_SWEEP = """
    DELETE FROM infrastructure.idempotency WHERE scope IN (
        SELECT scope FROM infrastructure.idempotency WHERE expires_at <= $1
        LIMIT $2 FOR UPDATE SKIP LOCKED
    )
"""
BATCH = 1000
"""Rows deleted at once: short transactions that hinder nobody."""


class PostgresAnswers:
    """Keeps answers for all servers of one database."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """`sealer` belongs to the master key."""
        self._database = database
        self._sealer = sealer

    async def begin(
        self, scope: bytes, fingerprint: bytes, *, owner: str, now: datetime, until: datetime
    ) -> Record | None:
        """Take `scope`, or say what is known of it."""
        while True:
            taken = await self._database.fetchval(_BEGIN, scope, fingerprint, owner, now, until)
            if taken:
                return None
            row = await self._database.fetchrow(_KNOWN, scope)
            if row is not None:
                return Record(row["fingerprint"], self._answer(row, scope))
            # Freed between the two statements: try to take it again.

    async def finish(
        self, scope: bytes, answer: Answer, *, owner: str, expires_at: datetime
    ) -> None:
        """Keep the answer, if `owner` still has `scope`."""
        sealed = self._sealer.seal(answer.body, context=scope)
        await self._database.execute(
            _FINISH, scope, owner, answer.status, answer.content_type, sealed, expires_at
        )

    async def abandon(self, scope: bytes, *, owner: str) -> None:
        """Free `scope`, if `owner` still has it."""
        await self._database.execute(_ABANDON, scope, owner)

    async def sweep(self, now: datetime) -> int:
        """Forget what has expired, in batches; returns how many."""
        total = 0
        while True:
            status: str = await self._database.execute(_SWEEP, now, BATCH)
            count = int(status.removeprefix("DELETE "))
            total += count
            if count < BATCH:
                return total

    def _answer(self, row: asyncpg.Record, scope: bytes) -> Answer | None:
        if row["status"] is None:
            return None
        body = self._sealer.open(row["sealed_body"], context=scope)
        return Answer(row["status"], row["content_type"], body)
