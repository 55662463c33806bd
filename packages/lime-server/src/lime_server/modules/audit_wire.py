"""An entry of the audit log as it travels, to its owner and to operators."""

from typing import Annotated, Any, Self

from fastapi import Query
from pydantic import BaseModel, Field

from lime_server.foundation.audit import Audit, Entry
from lime_server.modules import http

EntryCursor = Annotated[
    str | None,
    Query(pattern="^[1-9][0-9]{0,17}$", description="`next_cursor` of the page before."),
]


class Party(BaseModel):
    """Who acted, or what was acted upon."""

    kind: Annotated[str, Field(description="For example `owner`, `operator`, `agent`, `site`.")]
    id: str


class AuditEntry(BaseModel):
    """One line of an owner's chain."""

    entry_id: http.Id
    sequence: Annotated[int, Field(description="1 for the first of the chain, without a gap.")]
    at: http.Timestamp
    actor: Party
    action: Annotated[str, Field(description="For example `agent.token.rotated`.")]
    target: Party | None
    request_id: str | None
    address: str | None
    detail: dict[str, Any]
    hash: Annotated[str, Field(description="SHA-256 over this entry and the one before, in hex.")]

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """`entry`, without what only the export needs."""
        target = entry.target
        return cls(
            entry_id=entry.entry_id,
            sequence=entry.sequence,
            at=entry.at,
            actor=Party(kind=entry.actor.kind, id=entry.actor.id),
            action=entry.action,
            target=None if target is None else Party(kind=target.kind, id=target.id),
            request_id=entry.request_id,
            address=entry.address,
            detail=dict(entry.detail),
            hash=entry.hash.hex(),
        )


async def page_of(
    audit: Audit, owner_id: str, cursor: str | None, limit: int
) -> http.ListOf[AuditEntry]:
    """A page of this owner's chain, newest first."""
    before = None if cursor is None else int(cursor)
    entries = await audit.page(owner_id, before=before, limit=limit)
    # The chain has no gap, so the last entry says whether there are more.
    more = bool(entries) and entries[-1].sequence > 1
    return http.ListOf[AuditEntry](
        items=[AuditEntry.of(entry) for entry in entries],
        next_cursor=str(entries[-1].sequence) if more else None,
    )
