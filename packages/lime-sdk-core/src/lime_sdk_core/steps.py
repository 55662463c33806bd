"""What a conversation may ask its driver to do. Nothing in here performs any of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_SAFE_METHODS = frozenset({"GET", "HEAD"})


def segment(text: str) -> str:
    """Return `text` quoted as exactly one path segment.

    Raises:
        ValueError: `text` is empty, `.` or `..`, which no quoting keeps from changing the path
            (RFC 3986, section 5.2.4), or holds half of a surrogate pair.
    """
    if text in {"", ".", ".."}:
        raise ValueError("not a path segment")
    return quote(text, safe="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What a request has besides its method and path."""

    json: object | None = None
    form: Mapping[str, str] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    authenticated: bool = True
    basic_user: str | None = None
    idempotent: bool | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Request(_Options):
    """One request to LIME, retried where that is safe; the driver answers with a `Reply`.

    Attributes:
        method: HTTP method in capitals.
        path: Begins with `/`, is relative to the API base, and its parts are quoted (`segment`).
        json: Body, or `None` for a request without one.
        form: Body of an OAuth request instead (RFC 6749, appendix B), not quoted yet.
        params: Query parameters, not quoted yet.
        headers: Further headers; names in lower case.
        authenticated: Send the credential?
        basic_user: Send the credential as the password of this user (RFC 7617, and RFC 6749,
            section 2.3.1) instead of in its own header. `None`: in its own header.
        idempotent: May it be repeated when the answer is lost? `None`: GET and HEAD may.
        timeout: Seconds for the whole call, repetitions and pauses included; `None`: the client's.
            For a stream: the longest silence.

    Raises:
        ValueError: `path` is not a plain, normalised path, so that it might name another resource.
    """

    method: str
    path: str

    def __post_init__(self) -> None:
        first, *segments = self.path.split("/")
        plain = all("!" <= char <= "~" and char not in "?#\\" for char in self.path)
        if first or not segments or not plain or not {".", "..", ""}.isdisjoint(segments):
            raise ValueError("a path is absolute, quoted and without dot segments")

    @property
    def repeatable(self) -> bool:
        """May this request be sent again after a failure?"""
        return self.method in _SAFE_METHODS if self.idempotent is None else self.idempotent


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer. Header names are in lower case.

    `retry_after` is what the `Retry-After` header asks for, in seconds, read when the answer came.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of `request` within `timeout` seconds; answered with a `Reply`."""

    request: Request
    timeout: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for `seconds`; answered with `None`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Answered with the reading of a monotonic clock, in seconds."""


@dataclass(frozen=True, slots=True)
class Random:
    """Answered with a number in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Offload:
    """Run `function` where it does not hold up an event loop; answered with its result.

    It must end soon: a thread cannot be cancelled.
    """

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Callback:
    """Call the application's `function(*args)`, awaiting the result if it can be; answered with it.

    The blocking driver raises `TypeError` for a coroutine function.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()


Step: TypeAlias = Request | Attempt | Sleep | Now | Random | Offload | Callback

#: A conversation: yields steps, is sent their answers (or thrown their errors), returns a `T`.
Flow: TypeAlias = Generator[Step, Any, T]
