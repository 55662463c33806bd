"""The routes of an owner's audit log."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from lime_server.core.errors import InvalidInput
from lime_server.core.pages import DEFAULT_LIMIT
from lime_server.foundation.audit import Audit, export_line
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules.audit_wire import AuditEntry, EntryCursor, page_of

LINES = "application/x-ndjson"
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A JSON object on each line, oldest first, with the hashes of the chain.",
        "headers": http.REQUEST_ID_HEADER,
        "content": {LINES: {"schema": {"type": "string"}}},
    }
}


def router(audit: Audit, sessions: Sessions) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(prefix="/foundation/audit", tags=["Audit log"])
    current = credentials.session_of(sessions)

    @api.get(
        "",
        summary="Read the own audit log",
        response_model=http.Envelope[http.ListOf[AuditEntry]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *credentials.SESSION_FAILURES),
    )
    async def entries(
        session: Annotated[Session, Depends(current)],
        cursor: EntryCursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """Who did what in the owner's name or to what is theirs, when, and from where."""
        return http.success(await page_of(audit, session.owner.owner_id, cursor, limit))

    @api.get(
        "/export",
        summary="Export the own audit log",
        response_class=StreamingResponse,
        responses=_EXPORTED | http.fails_with(*credentials.SESSION_FAILURES),
    )
    async def export(session: Annotated[Session, Depends(current)]) -> Response:
        """The whole chain, to be kept elsewhere and checked there."""
        return StreamingResponse(
            _lines(audit, session.owner.owner_id),
            media_type=LINES,
            headers={
                "Cache-Control": "no-store",
                "Content-Disposition": 'attachment; filename="audit.jsonl"',
            },
        )

    return api


async def _lines(audit: Audit, owner_id: str) -> AsyncIterator[bytes]:
    async for entry in audit.entries(owner_id):
        yield export_line(entry)
