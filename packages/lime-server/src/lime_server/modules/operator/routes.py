"""The routes of the operators' console. To everybody else there are no such paths."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response

from lime_server.core import patterns
from lime_server.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from lime_server.core.ids import parse_id
from lime_server.core.pages import DEFAULT_LIMIT, MAX_LIMIT
from lime_server.foundation.audit import Audit
from lime_server.foundation.kyc import MOST_DOCUMENTS, CaseState, Kyc
from lime_server.foundation.operators import LONGEST_QUERY, Kind, Operators
from lime_server.foundation.sessions import Session, Sessions
from lime_server.modules import credentials, http
from lime_server.modules.audit_wire import AuditEntry, EntryCursor, page_of
from lime_server.modules.operator import wire

FAILURES = (NotFound, *credentials.SESSION_FAILURES)
FRESH_FAILURES = (NotFound, *credentials.FRESH_SESSION_FAILURES)
CaseId = Annotated[str, Path(description="The case's id, a UUID.")]
Current = Callable[..., Awaitable[Session]]

_DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The document, to be saved.",
        "headers": http.REQUEST_ID_HEADER,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/pdf", "image/jpeg", "image/png")
        },
    }
}


@dataclass(frozen=True, slots=True)
class OperatorParts:
    """What the routes need."""

    operators: Operators
    kyc: Kyc
    audit: Audit
    sessions: Sessions


def router(parts: OperatorParts) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(prefix="/foundation/operator", tags=["Operators"])
    current = credentials.operator_of(parts.sessions)
    fresh = credentials.operator_of(parts.sessions, fresh=True)
    _standing_routes(api, parts.operators, current, fresh)
    _kyc_routes(api, parts.kyc, current, fresh)
    _audit_route(api, parts.audit, current)
    return api


def _standing_routes(
    api: APIRouter, operators: Operators, current: Current, fresh: Current
) -> None:
    @api.get(
        "/owners",
        summary="Find owners",
        response_model=http.Envelope[http.ListOf[wire.KnownOwner]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *FAILURES),
    )
    async def owners(
        _session: Annotated[Session, Depends(current)],
        query: Annotated[
            str, Query(max_length=LONGEST_QUERY, description="A part of the address, or the id.")
        ] = "",
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """By address, or by id."""
        found = await operators.search(query, cursor=cursor, limit=limit)
        items = [wire.KnownOwner.of(owner) for owner in found.items]
        return http.success(
            http.ListOf[wire.KnownOwner](items=items, next_cursor=found.next_cursor)
        )

    @api.get(
        "/owners/{owner_id}",
        summary="Look at an owner",
        response_model=http.Envelope[wire.OwnerInFull],
        responses=http.succeeds_with(200, "The owner, and their newest agents and sites.")
        | http.fails_with(*FAILURES),
    )
    async def owner(
        _session: Annotated[Session, Depends(current)],
        owner_id: Annotated[str, Path(description="The owner's id, a UUID.")],
    ) -> Response:
        """With the ids of what can be suspended."""
        found, holdings = await operators.look(owner_id, limit=MAX_LIMIT)
        return http.success(wire.OwnerInFull.with_holdings(found, list(holdings)))

    for kind in Kind:
        _switch_routes(api, operators, fresh, kind)


def _switch_routes(api: APIRouter, operators: Operators, fresh: Current, kind: Kind) -> None:
    described = {
        "response_model": http.Envelope[wire.KnownStanding],
        "responses": http.succeeds_with(200, "How it stands now; asking again changes nothing.")
        | http.fails_with(InvalidInput, Forbidden, *FRESH_FAILURES),
    }
    Ident = Annotated[str, Path(description=f"The {kind.target}'s id, a UUID.")]  # noqa: N806 - a type

    async def suspend(
        session: Annotated[Session, Depends(fresh)],
        ident: Ident,
        body: wire.ReasonBody,
    ) -> Response:
        """From its next request on."""
        made = await operators.suspend(session.owner.owner_id, kind, ident, body.reason)
        return http.success(wire.KnownStanding.of(made))

    async def restore(
        session: Annotated[Session, Depends(fresh)],
        ident: Ident,
        body: wire.ReasonBody,
    ) -> Response:
        """As if it had not been suspended; the owner's own switch stays as it is."""
        made = await operators.restore(session.owner.owner_id, kind, ident, body.reason)
        return http.success(wire.KnownStanding.of(made))

    for verb, work in (("suspend", suspend), ("restore", restore)):
        api.post(
            f"/{kind}/{{ident}}/{verb}",
            summary=f"{verb.capitalize()} an {kind.target}".replace("an site", "a site"),
            operation_id=f"{verb}_{kind.target}",
            **described,  # type: ignore[arg-type]  # as the decorator's parameters are called
        )(work)


def _kyc_routes(api: APIRouter, kyc: Kyc, current: Current, fresh: Current) -> None:
    @api.get(
        "/kyc/cases",
        summary="List cases",
        response_model=http.Envelope[http.ListOf[wire.ReviewedCase]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *FAILURES),
    )
    async def cases(
        _session: Annotated[Session, Depends(current)],
        state: CaseState = CaseState.SUBMITTED,
        cursor: http.Cursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """Those that wait for a decision, or in another state."""
        found = await kyc.queue(state, cursor=cursor, limit=limit)
        items = [wire.ReviewedCase.of(case) for case in found.items]
        return http.success(
            http.ListOf[wire.ReviewedCase](items=items, next_cursor=found.next_cursor)
        )

    @api.get(
        "/kyc/cases/{case_id}",
        summary="Look at a case",
        response_model=http.Envelope[wire.ReviewedCase],
        responses=http.succeeds_with(200, "The case as it stands.") | http.fails_with(*FAILURES),
    )
    async def case(_session: Annotated[Session, Depends(current)], case_id: CaseId) -> Response:
        """Without what its documents hold."""
        return http.success(wire.ReviewedCase.of(await kyc.case(case_id)))

    @api.get(
        "/kyc/cases/{case_id}/documents/{number}",
        summary="Read a document",
        response_class=Response,
        responses=_DOCUMENT | http.fails_with(InvalidInput, Forbidden, *FRESH_FAILURES),
    )
    async def document(
        session: Annotated[Session, Depends(fresh)],
        case_id: CaseId,
        number: Annotated[int, Path(ge=1, le=MOST_DOCUMENTS)],
    ) -> Response:
        """The owner's log, and the operator's, tell of it."""
        found, content = await kyc.document(session.owner.owner_id, case_id, number)
        return Response(
            content,
            media_type=found.content_type,
            headers={
                "Cache-Control": "no-store",
                # Never shown within our own origin: it came from somebody else.
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
                "Content-Security-Policy": "sandbox; default-src 'none'",
            },
        )

    @api.post(
        "/kyc/cases/{case_id}/decide",
        summary="Decide a case",
        response_model=http.Envelope[wire.ReviewedCase],
        responses=http.succeeds_with(200, "Decided, once and for all.")
        | http.fails_with(InvalidInput, Forbidden, Conflict, *FRESH_FAILURES),
    )
    async def decide(
        session: Annotated[Session, Depends(fresh)], case_id: CaseId, body: wire.DecideBody
    ) -> Response:
        """Approval sets the owner's level, which their agents' next passports carry."""
        operator_id = session.owner.owner_id
        if body.outcome == "reject":
            if body.level is not None:
                raise InvalidInput("A rejection grants no level.", detail={"field": "level"})
            done = await kyc.reject(operator_id, case_id, body.reason)
        else:
            if body.level is None:
                raise InvalidInput("An approval grants a level.", detail={"field": "level"})
            done = await kyc.approve(operator_id, case_id, body.level, body.reason)
        return http.success(wire.ReviewedCase.of(done))


def _audit_route(api: APIRouter, audit: Audit, current: Current) -> None:
    @api.get(
        "/audit",
        summary="Read an owner's audit log",
        response_model=http.Envelope[http.ListOf[AuditEntry]],
        responses=http.succeeds_with(200, "Newest first.")
        | http.fails_with(InvalidInput, *FAILURES),
    )
    async def entries(
        _session: Annotated[Session, Depends(current)],
        owner_id: Annotated[
            str,
            Query(
                max_length=64,
                description="Whose chain.",
                json_schema_extra={"pattern": patterns.ID},
            ),
        ],
        cursor: EntryCursor = None,
        limit: http.PageLimit = DEFAULT_LIMIT,
    ) -> Response:
        """An owner who has none yet has an empty one."""
        parsed = parse_id(owner_id)
        if parsed is None:
            raise InvalidInput("This is not an owner's id.", detail={"field": "owner_id"})
        return http.success(await page_of(audit, parsed, cursor, limit))
