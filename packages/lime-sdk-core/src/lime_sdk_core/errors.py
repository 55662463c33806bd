"""Everything that can go wrong, as one tree.

LimeError
├── ConfigurationError        something to set before any request can be made
├── ClosedError               the client was closed before
├── TransportError            no complete answer came: network, TLS, time
├── ProtocolError             an answer came that LIME does not give
├── AuthenticationError       the credential is missing, unknown or switched off
├── RateLimitError            429: come back after `retry_after` seconds
└── ApiError                  LIME said no, with a code

An SDK adds branches of its own and says in an `ErrorTable` which code becomes which class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


class LimeError(Exception):
    """Base class of every error of the LIME SDKs.

    Attributes:
        message: One sentence for a human. Never holds a credential.
        code: LIME's own code (`UPPER_SNAKE`), or `None` where the failure arose on this side.
        http_status: HTTP status of the answer, or `None` where there was none.
        detail: LIME's `detail` object, or `None`.
        request_id: The answer's `X-Request-Id`: how an operator finds the request in a log.
        retry_after: Seconds to wait before another try, or `None` where LIME did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        http_status: int | None = None,
        detail: dict[str, Any] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.http_status = http_status
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def status(self) -> int | None:
        """The same as `http_status`."""
        return self.http_status

    @classmethod
    def from_problem(cls, problem: Problem) -> Self:
        """Make this error from what LIME answered."""
        return cls(
            problem.message,
            code=problem.code,
            http_status=problem.http_status,
            detail=problem.detail,
            request_id=problem.request_id,
            retry_after=problem.retry_after,
        )

    def __repr__(self) -> str:
        known = {"code": self.code, "http_status": self.http_status, "request_id": self.request_id}
        shown = "".join(f", {name}={value!r}" for name, value in known.items() if value is not None)
        return f"{type(self).__name__}({self.message!r}{shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args` alone, which does not fit keyword-only attributes:
        # an error must survive the way home from a worker process.
        return _restore, (type(self), self.message, self.__dict__.copy())


def _restore(cls: type[LimeError], message: str, state: dict[str, Any]) -> LimeError:
    error = cls.__new__(cls, message)
    error.__dict__.update(state)
    return error


class ConfigurationError(LimeError):
    """The client cannot be used as it is set up; the message says what to set."""


class ClosedError(LimeError):
    """The client was closed and makes no further requests."""


class TransportError(LimeError):
    """No complete answer came: name resolution, connection, TLS, proxy or time.

    Whether LIME acted on the request is unknown.
    """


class ProtocolError(LimeError):
    """An answer came, but not one that LIME gives: a proxy's page, a redirect, another shape."""


class AuthenticationError(LimeError):
    """The credential is missing, malformed, unknown, or its holder is switched off."""


class RateLimitError(LimeError):
    """HTTP 429: too many requests. `retry_after` says how many seconds to wait."""


class ApiError(LimeError):
    """LIME refused the request, for the reason in `code`."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        http_status: int,
        detail: dict[str, Any] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            code=code,
            http_status=http_status,
            detail=detail,
            request_id=request_id,
            retry_after=retry_after,
        )

    @classmethod
    def from_problem(cls, problem: Problem) -> Self:
        """Make this error from what LIME answered."""
        return cls(
            problem.code,
            problem.message,
            http_status=problem.http_status,
            detail=problem.detail,
            request_id=problem.request_id,
            retry_after=problem.retry_after,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """An error answer, read but not yet raised. Fields as in `LimeError`."""

    http_status: int
    code: str
    message: str
    detail: dict[str, Any] | None = None
    request_id: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """Which class an error answer becomes: by its code, else by its status, else `ApiError`."""

    by_code: Mapping[str, type[LimeError]] = field(default_factory=dict)
    by_status: Mapping[int, type[LimeError]] = field(
        default_factory=lambda: {401: AuthenticationError, 429: RateLimitError}
    )

    def error(self, problem: Problem) -> LimeError:
        """Return the error to raise for `problem`."""
        found = self.by_code.get(problem.code) or self.by_status.get(problem.http_status, ApiError)
        return found.from_problem(problem)
