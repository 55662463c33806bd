"""How the server logs: one line per event, structured, with the request's id, and without secrets.

`structlog` and the standard library's loggers (uvicorn, asyncio) end in the same place. Every line
of a request carries its id, and its trace's if there is one (`core.origin`).
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from lime_server.core.origin import current_origin, current_trace

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(
    r"token|secret|passw|authorization|cookie|credential|jwt|passport\Z|master_key|private|nonce\Z",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"""
      \b[as]t_[A-Za-z0-9_-]{8,}                       # agent and site tokens
    | \beyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*)?   # JWTs: {" in base64url, then dots
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                 # user:password in a URL
    | (?<=password=)[^\s&'"]+
    """,
    re.VERBOSE,
)


def configure(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["json", "console"] = "json",
    stream: TextIO | None = None,
) -> None:
    """Send every log line of this process to `stream` (stderr unless given), as `style` says.

    May be called again: the last call wins. Loggers are not cached, so that tests can do so.
    """
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_colours,
                # Exceptions become text first, so that redaction sees them too. Text without the
                # values of local variables: those hold tokens.
                structlog.processors.format_exc_info,
                redact,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        foreign = logging.getLogger(name)
        foreign.handlers = []
        foreign.propagate = True
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _shared() -> list[Processor]:
    return [
        _with_its_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]


def _with_its_request(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if (request_id := current_origin().request_id) is not None:
        event.setdefault("request_id", request_id)
    if (trace_id := current_trace()) is not None:
        event.setdefault("trace_id", trace_id)
    return event


def _without_colours(_logger: Any, _method: str, event: EventDict) -> EventDict:
    # uvicorn sends its messages a second time, with escape sequences.
    event.pop("color_message", None)
    return event


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be logged: by the name it goes under, and by what it looks like.

    A last line of defence: nothing should hand a secret to a logger in the first place.
    """
    for key, value in event.items():
        event[key] = HIDDEN if _is_secret(key, value) else _clean(value)
    return event


def _is_secret(key: object, value: object) -> bool:
    # Numbers and flags under such a name ("token_count") say nothing worth hiding.
    return isinstance(value, str | bytes) and isinstance(key, str) and bool(_SECRET_KEY.search(key))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, bytes):
        return scrub(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping):
        return {k: HIDDEN if _is_secret(k, v) else _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    # Anything else would be shown by its repr further on, where nobody looks at it any more.
    return value if value is None or isinstance(value, int | float) else scrub(repr(value))


def scrub(text: str) -> str:
    """`text` with everything that looks like a credential replaced."""
    return _SECRET_TEXT.sub(HIDDEN, text)
