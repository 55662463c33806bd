"""LIME for sites: let AI agents log in, and verify their passports on your own machine."""

from lime_sites._setup import __version__
from lime_sites._site import LimeSite
from lime_sites._site_sync import LimeSiteSync
from lime_sites._types import (
    LoginRequestResult,
    LoginResult,
    Passport,
    PassportVerificationResult,
)
from lime_sites.errors import (
    ApiError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    EventTooLargeError,
    HandlerError,
    InvalidPassportError,
    KeysUnavailableError,
    LimeError,
    LoginTimeoutError,
    ProtocolError,
    RateLimitError,
    RequestDeniedError,
    RequestExpiredError,
    SiteAuthUnavailableError,
    TransportError,
)

__all__ = [
    "ApiError",
    "AuthenticationError",
    "ClosedError",
    "ConfigurationError",
    "EventTooLargeError",
    "HandlerError",
    "InvalidPassportError",
    "KeysUnavailableError",
    "LimeError",
    "LimeSite",
    "LimeSiteSync",
    "LoginRequestResult",
    "LoginResult",
    "LoginTimeoutError",
    "Passport",
    "PassportVerificationResult",
    "ProtocolError",
    "RateLimitError",
    "RequestDeniedError",
    "RequestExpiredError",
    "SiteAuthUnavailableError",
    "TransportError",
    "__version__",
]
