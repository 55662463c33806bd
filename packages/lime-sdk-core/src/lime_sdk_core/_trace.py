"""The place where spans of our requests begin, if somebody asked for them (`lime_sdk_core.otel`).

Until then there is nothing here but a name that holds None, and no request costs more than a look
at it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

#: Told the status of the answer, once it is there.
Seen: TypeAlias = Callable[[int], object]

#: Given method, API base and the headers, to which it may add; open until the answer has begun.
Tracing: TypeAlias = Callable[[str, str, dict[str, str]], AbstractContextManager[Seen]]

_tracing: Tracing | None = None
_NOTHING: AbstractContextManager[Seen] = nullcontext(lambda _status: None)


def use(tracing: Tracing | None) -> None:
    """Let `tracing` follow every request of this process from now on; None: nobody."""
    global _tracing  # noqa: PLW0603 - one switch for the process, like OpenTelemetry's own
    _tracing = tracing


def traced(method: str, base_url: str, headers: dict[str, str]) -> AbstractContextManager[Seen]:
    """Follow one request to LIME."""
    return _NOTHING if _tracing is None else _tracing(method, base_url, headers)
