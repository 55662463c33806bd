"""Everything that can go wrong, as one tree.

LimeError
├── ConfigurationError            something to set before any request can be made
├── ClosedError                   the client was closed before
├── TransportError                no complete answer came: network, TLS, time
│   └── KeysUnavailableError      no signing keys to be had: nothing can be verified
├── ProtocolError                 an answer came that LIME does not give
│   └── EventTooLargeError        an event above the size limit
├── AuthenticationError           the site token is missing, unknown or switched off
├── RateLimitError                429: come back after `retry_after` seconds
├── InvalidPassportError          the passport proves nothing; why is in the log
├── RequestExpiredError           nobody approved the login request in time
├── RequestDeniedError            the agent refused the login request
├── BindingCodeError              the binding code cannot be exchanged (any more)
├── LoginTimeoutError             `wait_for_login` waited its time (also a TimeoutError)
├── HandlerError                  an `on_login` handler of the application raised
└── ApiError                      LIME said no, with a code
    └── SiteAuthUnavailableError  503: LIME cannot look up the site token just now
"""

from typing import Final

from lime_sdk_core import (
    ApiError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    ErrorTable,
    LimeError,
    ProtocolError,
    RateLimitError,
    TransportError,
)

__all__ = [
    "ApiError",
    "AuthenticationError",
    "BindingCodeError",
    "ClosedError",
    "ConfigurationError",
    "EventTooLargeError",
    "HandlerError",
    "InvalidPassportError",
    "KeysUnavailableError",
    "LimeError",
    "LoginTimeoutError",
    "ProtocolError",
    "RateLimitError",
    "RequestDeniedError",
    "RequestExpiredError",
    "SiteAuthUnavailableError",
    "TransportError",
]


class InvalidPassportError(LimeError):
    """The passport does not prove that an agent is at this site's door.

    All the ways in which a passport can be wrong look the same here. The reason is written to the
    logger `lime_sites`, without the passport.
    """


class KeysUnavailableError(TransportError):
    """The issuer's keys cannot be had just now, so nothing is known about the passport."""


class EventTooLargeError(ProtocolError):
    """The event stream holds an event above `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an event of more than {limit} bytes")
        self.limit = limit


class RequestExpiredError(LimeError):
    """The login request expired before an agent approved it."""


class RequestDeniedError(LimeError):
    """The agent said no to the login request."""


class BindingCodeError(LimeError):
    """The binding code is unknown, spent, too old, or not the one that this browser waits for.

    LIME does not say which. Nothing was bound; begin again with `create_binding_request`.
    """


class LoginTimeoutError(LimeError, TimeoutError):
    """Nobody had answered the login request when the time to wait for it was up."""


class HandlerError(LimeError):
    """A handler of the application raised; `__cause__` is what it raised.

    LIME delivers the event again while the login can still be used.
    """

    def __init__(self, login_request_id: str) -> None:
        super().__init__(f"the on_login handler failed for login request {login_request_id}")
        self.login_request_id = login_request_id


class SiteAuthUnavailableError(ApiError):
    """HTTP 503 `SITE_TOKEN_AUTH_UNAVAILABLE`: LIME cannot look up tokens and fails closed."""


ERRORS: Final = ErrorTable(
    by_code={
        "BINDING_CODE_INVALID": BindingCodeError,
        "RATE_LIMIT_EXCEEDED": RateLimitError,
        "SITE_LOGIN_REQUEST_EXPIRED": RequestExpiredError,
        "SITE_SUSPENDED": AuthenticationError,
        "SITE_TOKEN_AUTH_UNAVAILABLE": SiteAuthUnavailableError,
        "SITE_TOKEN_INVALID": AuthenticationError,
        "SITE_TOKEN_MISSING": AuthenticationError,
    }
)
"""Which class an error answer becomes, by the codes of protocol sections 2, 3 and 9."""
