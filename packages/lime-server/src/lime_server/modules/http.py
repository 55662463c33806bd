"""What the routes of every module share: credentials, envelopes, and how both are documented."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from fastapi import Query, Response
from fastapi.security import APIKeyCookie, APIKeyHeader
from pydantic import BaseModel, Field, PlainSerializer, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from lime_server.core import pages, patterns
from lime_server.core.errors import DomainError
from lime_server.core.pages import Page

DEFAULT_LIMIT = pages.DEFAULT_LIMIT

S = TypeVar("S")
T = TypeVar("T")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, to the microsecond if there is one (protocol section 1)."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(timestamp, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
"""An id that goes out. What comes in is compared with ours, and not checked by itself."""

agent_token = APIKeyHeader(
    name="X-Agent-Token", scheme_name="AgentToken", auto_error=False, description="`at_…`"
)
site_token = APIKeyHeader(
    name="X-Site-Token", scheme_name="SiteToken", auto_error=False, description="`st_…`"
)
session_cookie = APIKeyCookie(
    name="__Host-lime_session",
    scheme_name="OwnerSession",
    auto_error=False,
    description="An owner's session; `lime_session` where the server is http on loopback.",
)
csrf_token = APIKeyHeader(
    name="X-CSRF-Token",
    scheme_name="CsrfToken",
    auto_error=False,
    description="The value of the `lime_csrf` cookie, with every request that changes something.",
)


class Envelope(BaseModel, Generic[T]):
    """A success (protocol section 1)."""

    ok: Literal[True]
    data: T


class ListOf(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: Annotated[
        str | None, Field(description="Give it as `cursor` for the next page; null on the last.")
    ]

    @classmethod
    def of(cls, found: Page[S], shape: Callable[[S], T]) -> Self:
        """`found`, each item as `shape` makes it."""
        return cls(items=[shape(item) for item in found.items], next_cursor=found.next_cursor)


Cursor = Annotated[
    Annotated[str, Field(max_length=64, json_schema_extra={"pattern": patterns.ID})] | None,
    Query(description="`next_cursor` of the page before."),
]
PageLimit = Annotated[int, Query(ge=1, le=pages.MAX_LIMIT, description="Most items of this page.")]


class ErrorBody(BaseModel):
    """What went wrong."""

    code: Annotated[str, Field(description="UPPER_SNAKE, for programs.")]
    message: Annotated[str, Field(description="For a human.")]
    detail: dict[str, Any] | SkipJsonSchema[None] = None


class ErrorEnvelope(BaseModel):
    """A failure (protocol section 1)."""

    ok: Literal[False]
    error: ErrorBody


def success(data: BaseModel, *, status: int = 200, cacheable: bool = False) -> Response:
    """`data` in its envelope. Nothing of ours may be kept by a cache unless said otherwise."""
    headers = {} if cacheable else {"Cache-Control": "no-store"}
    return Response(enveloped(data), status, headers, media_type="application/json")


def enveloped(data: BaseModel) -> bytes:
    """`data` in its envelope, as it travels."""
    return b'{"ok":true,"data":' + data.model_dump_json().encode() + b"}"


REQUEST_ID_HEADER = {
    "X-Request-Id": {
        "description": "Names this request in our logs; the caller's own if it sent a sane one.",
        "schema": {"type": "string"},
    }
}
RETRY_AFTER_HEADER = {
    "Retry-After": {
        "description": "Seconds after which it is worth trying again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def event_schema(data: dict[str, Any], *, with_id: bool = False) -> dict[str, Any]:
    """The schema of one server-sent event whose `data` is JSON like `data`.

    As OpenAPI 3.2 shows it (section 4.14.3.2), which tools for 3.1 understand too.
    """
    properties: dict[str, Any] = {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": data,
        }
    }
    if with_id:
        properties["id"] = {"type": "string", "description": "To be acknowledged."}
    return {"type": "object", "required": ["data"], "properties": properties}


def fails_with(*errors: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can fail like this, for OpenAPI.

    Several errors of one status are told apart by their code.
    """
    by_status: dict[int | str, list[type[DomainError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {status: _response(group) for status, group in sorted(by_status.items(), key=str)}


def _response(errors: Sequence[type[DomainError]]) -> dict[str, Any]:
    retry = RETRY_AFTER_HEADER if errors[0].status in {429, 503} else {}
    return {
        "model": ErrorEnvelope,
        "description": " or ".join(f"`{error.code}`" for error in errors),
        "headers": REQUEST_ID_HEADER | retry,
        "content": {
            "application/json": {
                "examples": {error.code: {"value": _example(error)} for error in errors}
            }
        },
    }


def _example(error: type[DomainError]) -> dict[str, object]:
    return {"ok": False, "error": {"code": error.code, "message": error.default_message}}


def succeeds_with(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` entry of a success, with the headers every response carries."""
    return {status: {"description": description, "headers": REQUEST_ID_HEADER}}
