"""Reading an answer (protocol section 1): any bytes give a value or a typed error."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from lime_sdk_core._late import Late
from lime_sdk_core.errors import ErrorTable, LimeError, Problem, ProtocolError
from lime_sdk_core.steps import Reply

if TYPE_CHECKING:
    import pydantic
else:
    pydantic = Late("pydantic")

Model = TypeVar("Model", bound="pydantic.BaseModel")

#: Longest part of a message from outside that is repeated to a human.
MAX_MESSAGE_CHARS = 500

#: A `Retry-After` beyond this is read as this: a day, which nobody waits for within a call.
MAX_RETRY_AFTER_SECONDS = 86_400.0

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


def unwrap(reply: Reply, errors: ErrorTable) -> object:
    """Return the `data` of a success envelope.

    Raises:
        LimeError: The class that `errors` names for an error envelope, or for a bare error status.
        ProtocolError: Anything else: a redirect, a success status without an envelope.
    """
    succeeded = 200 <= reply.status < 300
    body = _json_object(reply.body)
    if succeeded and body is not None and body.get("ok") is True and "data" in body:
        return body["data"]
    problem = _problem(reply, body)
    if problem is not None:
        raise errors.error(problem)
    raise _unexpected(reply)


def check_status(reply: Reply, errors: ErrorTable, *, accept: tuple[int, ...] = ()) -> Reply:
    """Return `reply` if it is a success (2xx) or one of `accept`: for documents without envelope.

    Raises:
        LimeError: As `unwrap` does.
    """
    if 200 <= reply.status < 300 or reply.status in accept:
        return reply
    problem = _problem(reply, _json_object(reply.body))
    if problem is not None:
        raise errors.error(problem)
    raise _unexpected(reply)


def as_model(model: type[Model]) -> Callable[[object], Model]:
    """Return a parser that reads `data` as `model`, for `call`.

    The parser raises `ProtocolError`, which names the fields that do not fit and never their
    values: those may be passports.
    """

    def parse(data: object) -> Model:
        try:
            return model.model_validate(data)
        except pydantic.ValidationError as error:
            wrong = sorted(
                {".".join(map(str, item["loc"])) or "the whole" for item in error.errors()}
            )
        # Raised outside `except`: pydantic's error quotes its input and would be its `__context__`.
        raise ProtocolError(
            f"LIME's answer does not fit {model.__name__.lstrip('_')}: {', '.join(wrong)}"
        )

    return parse


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, or `None` if it is absent or unreadable.

    RFC 9110, section 10.2.3: either a number of seconds or an HTTP date. A date is compared with
    the `Date` of the same answer (the server's clock on both sides), or without one with `now`.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_SECONDS)
    until = _http_date(text)
    if until is None:
        return None
    seconds = (until - (_http_date(headers.get("date", "")) or now)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `body`, or `None` where there is none."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    # A hostile body nests deeper than the parser can follow.
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _problem(reply: Reply, body: dict[str, Any] | None) -> Problem | None:
    """Read an error envelope, or make do with the status where there is none."""
    error = body.get("error") if body is not None and body.get("ok") is not True else None
    if not isinstance(error, dict):
        if reply.status < 400:
            return None
        error = {"code": f"HTTP_{reply.status}", "message": _bare(reply.status)}
    code, message, detail = error.get("code"), error.get("message"), error.get("detail")
    return Problem(
        http_status=reply.status,
        code=code if isinstance(code, str) and _CODE.fullmatch(code) else f"HTTP_{reply.status}",
        message=readable(message) if isinstance(message, str) and message else _bare(reply.status),
        detail=detail if isinstance(detail, dict) else None,
        request_id=request_id(reply.headers),
        retry_after=reply.retry_after,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return `X-Request-Id` if it is a harmless token, so that it may be printed."""
    found = headers.get("x-request-id", "")
    return found if _REQUEST_ID.fullmatch(found) else None


def readable(text: str) -> str:
    """Return `text` safe for a terminal and a log: one line, printable, not endless."""
    cut = text[:MAX_MESSAGE_CHARS]
    return "".join(char if char.isprintable() else " " for char in cut).strip() or "(no message)"


def _bare(status: int) -> str:
    hint = " Does the API base end in /api/v1?" if status == 404 else ""
    return f"HTTP {status} without LIME's error envelope.{hint}"


def _unexpected(reply: Reply) -> LimeError:
    if 300 <= reply.status < 400:
        why = "a redirect, which is not followed: the token would travel along. Check the API base"
    else:
        why = "no LIME envelope. Check the API base"
    return ProtocolError(
        f"HTTP {reply.status} with {why}.",
        http_status=reply.status,
        request_id=request_id(reply.headers),
    )
