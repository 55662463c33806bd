"""Cases and documents in PostgreSQL, documents sealed."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from lime_server.core.errors import Conflict
from lime_server.foundation.kyc import Case, CaseState, Document
from lime_server.infrastructure.postgres.keys import Sealer
from lime_server.infrastructure.postgres.pool import Database

_COLUMNS = """
    case_id, owner_id, provider, reference, target_level, state, created_at, expires_at,
    decided_at, decided_by, level, reason
"""
# Documents come with their case, but for what they hold.
_CASES = f"""
    SELECT {_COLUMNS}, ARRAY(
        SELECT ROW (d.number, d.name, d.content_type, d.size)
        FROM foundation.kyc_documents d WHERE d.case_id = c.case_id ORDER BY d.number
    ) AS documents
    FROM foundation.kyc_cases c
"""  # noqa: S608 - fixed columns
_ADD = f"""
    INSERT INTO foundation.kyc_cases ({_COLUMNS})
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""  # noqa: S608 - fixed columns
_ADD_DOCUMENT = """
    INSERT INTO foundation.kyc_documents (case_id, number, name, content_type, size, sealed)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_REPLACE = """
    UPDATE foundation.kyc_cases
    SET state = $3, decided_at = $4, decided_by = $5, level = $6, reason = $7
    WHERE case_id = $1 AND state = $2
"""
_QUEUE = f"""
    {_CASES} WHERE state = $1 AND ($2::uuid IS NULL OR case_id < $2) ORDER BY case_id DESC LIMIT $3
"""
_DUE = f"""
    {_CASES} WHERE state IN ('OPEN', 'SUBMITTED') AND expires_at <= $1 ORDER BY expires_at LIMIT $2
"""
_FORGET_DOCUMENTS = """
    DELETE FROM foundation.kyc_documents d USING foundation.kyc_cases c
    WHERE d.case_id = c.case_id AND c.decided_at < $1
"""


class PostgresKyc:
    """Keeps cases for all servers of one database."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """`sealer` belongs to the master key: with another one, no document can be read."""
        self._database = database
        self._sealer = sealer

    async def level(self, owner_id: str) -> int | None:
        """The owner's level, locked until the transaction ends."""
        level: int | None = await self._database.fetchval(
            "SELECT kyc_level FROM foundation.owners WHERE owner_id = $1 FOR NO KEY UPDATE",
            owner_id,
        )
        return level

    async def set_level(self, owner_id: str, level: int) -> None:
        """Note how well this owner is known."""
        await self._database.execute(
            "UPDATE foundation.owners SET kyc_level = $2 WHERE owner_id = $1", owner_id, level
        )

    async def add(self, case: Case, contents: Sequence[bytes]) -> None:
        """Keep a case and its documents, all or nothing. Raises Conflict."""
        async with self._database.transaction():
            try:
                await self._database.execute(
                    _ADD,
                    case.case_id,
                    case.owner_id,
                    case.provider,
                    case.reference,
                    case.target_level,
                    case.state,
                    case.created_at,
                    case.expires_at,
                    case.decided_at,
                    case.decided_by,
                    case.level,
                    case.reason,
                )
            except asyncpg.UniqueViolationError as error:
                raise Conflict("Another case waits for its decision.") from error
            for document, content in zip(case.documents, contents, strict=True):
                await self._database.execute(
                    _ADD_DOCUMENT,
                    case.case_id,
                    document.number,
                    document.name,
                    document.content_type,
                    document.size,
                    self._sealer.seal(content, context=_context(case.case_id, document.number)),
                )

    async def replace(self, old: Case, new: Case) -> bool:
        """Write `new` unless somebody was faster."""
        tag = await self._database.execute(
            _REPLACE,
            new.case_id,
            old.state,
            new.state,
            new.decided_at,
            new.decided_by,
            new.level,
            new.reason,
        )
        return tag == "UPDATE 1"

    async def by_id(self, case_id: str) -> Case | None:
        """The case with this id."""
        return await self._one("WHERE case_id = $1", case_id)

    async def by_reference(self, provider: str, reference: str) -> Case | None:
        """The case that this provider calls so."""
        return await self._one("WHERE provider = $1 AND reference = $2", provider, reference)

    async def latest(self, owner_id: str) -> Case | None:
        """The owner's newest case."""
        return await self._one("WHERE owner_id = $1 ORDER BY case_id DESC LIMIT 1", owner_id)

    async def queue(self, state: CaseState, *, cursor: str | None, limit: int) -> Sequence[Case]:
        """At most `limit` cases in this state, newest first, older than `cursor`."""
        return [_case(row) for row in await self._database.fetch(_QUEUE, state, cursor, limit)]

    async def content(self, case_id: str, number: int) -> bytes | None:
        """What a document holds, if it is still kept."""
        sealed: bytes | None = await self._database.fetchval(
            "SELECT sealed FROM foundation.kyc_documents WHERE case_id = $1 AND number = $2",
            case_id,
            number,
        )
        if sealed is None:
            return None
        return self._sealer.open(sealed, context=_context(case_id, number))

    async def spend(self, provider: str, event_id: str, now: datetime) -> bool:
        """Note that this callback has come; False if it came before."""
        tag = await self._database.execute(
            "INSERT INTO foundation.kyc_callbacks (provider, event_id, came_at) "
            "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            provider,
            event_id,
            now,
        )
        return tag == "INSERT 0 1"

    async def due(self, now: datetime, *, limit: int) -> Sequence[Case]:
        """At most `limit` cases that are written as waiting and have expired."""
        return [_case(row) for row in await self._database.fetch(_DUE, now, limit)]

    async def forget(self, *, decided_before: datetime, spent_before: datetime) -> int:
        """Delete old documents of decided cases, and old callbacks; returns how many."""
        documents = await self._database.execute(_FORGET_DOCUMENTS, decided_before)
        callbacks = await self._database.execute(
            "DELETE FROM foundation.kyc_callbacks WHERE came_at < $1", spent_before
        )
        return sum(int(tag.removeprefix("DELETE ")) for tag in (documents, callbacks))

    async def _one(self, where: str, *arguments: object) -> Case | None:
        row = await self._database.fetchrow(f"{_CASES} {where}", *arguments)
        return None if row is None else _case(row)


def _context(case_id: str, number: int) -> bytes:
    # A document that was moved to another row does not open there.
    return f"{case_id}/{number}".encode()


def _case(row: asyncpg.Record) -> Case:
    values = dict(row)
    documents = tuple(Document(*document) for document in values.pop("documents"))
    return Case(**values | {"state": CaseState(values["state"]), "documents": documents})
