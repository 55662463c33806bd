"""Everything that can go wrong, in the words of the domain.

::

    DomainError
    ├── InvalidInput               400  INVALID_REQUEST
    │   ├── MissingPowNonce        400  MISSING_POW_NONCE
    │   ├── InvalidPow             400  INVALID_POW
    │   ├── WeakPassword           400  WEAK_PASSWORD
    │   ├── InvalidCode            400  INVALID_CODE
    │   ├── InvalidPasskey         400  INVALID_PASSKEY
    │   ├── CaptchaFailed          400  CAPTCHA_FAILED
    │   ├── RedirectUriNotListed   400  REDIRECT_URI_NOT_LISTED
    │   └── BindingCodeInvalid     400  BINDING_CODE_INVALID
    ├── Unauthenticated            401  UNAUTHENTICATED
    │   ├── MissingAgentToken      401  MISSING_AGENT_TOKEN
    │   ├── InvalidAgentToken      401  INVALID_AGENT_TOKEN
    │   ├── SiteTokenMissing       401  SITE_TOKEN_MISSING
    │   ├── SiteTokenInvalid       401  SITE_TOKEN_INVALID
    │   ├── NotSignedIn            401  NOT_SIGNED_IN
    │   └── InvalidCredentials     401  INVALID_CREDENTIALS
    ├── Forbidden                  403  FORBIDDEN
    │   ├── AgentInactive          403  AGENT_INACTIVE
    │   ├── AgentUserSuspended     403  AGENT_USER_SUSPENDED
    │   ├── SiteSuspended          403  SITE_SUSPENDED
    │   ├── OwnerSuspended         403  OWNER_SUSPENDED
    │   ├── CsrfFailed             403  CSRF_FAILED
    │   └── StepUpRequired         403  STEP_UP_REQUIRED
    ├── NotFound                   404  NOT_FOUND
    │   ├── SiteLoginRequestNotFound  404  SITE_LOGIN_REQUEST_NOT_FOUND
    │   └── BindingNotFound        404  BINDING_NOT_FOUND
    ├── RequestTooSlow             408  REQUEST_TIMEOUT
    ├── Conflict                   409  CONFLICT
    │   ├── IdempotencyKeyReused   409  IDEMPOTENCY_KEY_REUSED
    │   └── IdempotencyKeyInUse    409  IDEMPOTENCY_KEY_IN_USE
    ├── BodyTooLarge               413  BODY_TOO_LARGE
    ├── RateLimited                429  RATE_LIMIT_EXCEEDED
    └── Unavailable                503  UNAVAILABLE
        ├── AuthUnavailable           503  AUTH_UNAVAILABLE
        └── SiteTokenAuthUnavailable  503  SITE_TOKEN_AUTH_UNAVAILABLE

Codes and statuses are those of protocol sections 1 to 3. An error's message is for a human and may
be sent to the caller as it is, so it never holds a secret.
"""

# ruff: noqa: N818 - they are named like their codes on the wire, not like Python's own exceptions

from collections.abc import Mapping
from typing import ClassVar


class DomainError(Exception):
    """Something a caller asked for cannot be done; `code` and `status` say why on the wire."""

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 400
    default_message: ClassVar[str] = "The request cannot be served."
    unread: bool = False
    """Whether the rest of the request's body is still on its way."""

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Describe what went wrong.

        `detail` is added to the error envelope. `retry_after` is in whole seconds and becomes the
        header.
        """
        self.message = message or self.default_message
        self.detail = detail
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidInput(DomainError):
    """The request is not what this operation takes."""

    code = "INVALID_REQUEST"
    status = 400
    default_message = "The request is not valid."


class MissingPowNonce(InvalidInput):
    """An approval without a proof of work."""

    code = "MISSING_POW_NONCE"
    default_message = "The body must carry pow_nonce, the answer to the request's puzzle."


class InvalidPow(InvalidInput):
    """An approval whose proof of work does not solve the request's puzzle."""

    code = "INVALID_POW"
    default_message = "pow_nonce does not solve the puzzle of this request."


class WeakPassword(InvalidInput):
    """A new password that would be guessed."""

    code = "WEAK_PASSWORD"
    default_message = "Choose a password of at least 12 bytes that is not easily guessed."


class InvalidCode(InvalidInput):
    """A code from a mail, an authenticator or a recovery list that is wrong, used or too old."""

    code = "INVALID_CODE"
    default_message = "The code is wrong, was used, or is too old."


class InvalidPasskey(InvalidInput):
    """An answer of a passkey that proves nothing to us."""

    code = "INVALID_PASSKEY"
    default_message = "The passkey was not accepted."


class CaptchaFailed(InvalidInput):
    """No proof that a person, or enough work, is behind the request."""

    code = "CAPTCHA_FAILED"
    default_message = "Bring what this costs: the solved puzzle, or the widget's token."


class RedirectUriNotListed(InvalidInput):
    """A binding request whose redirect URI is not on the site's list, to the letter."""

    code = "REDIRECT_URI_NOT_LISTED"
    default_message = "redirect_uri is not on this site's list of redirect URIs."


class BindingCodeInvalid(InvalidInput):
    """A binding code that is unknown, spent, too old, another site's, or another browser's."""

    code = "BINDING_CODE_INVALID"
    default_message = "The binding code cannot be exchanged (any more)."


class Unauthenticated(DomainError):
    """Nobody that we know is asking."""

    code = "UNAUTHENTICATED"
    status = 401
    default_message = "This operation needs a credential."


class MissingAgentToken(Unauthenticated):
    """No `X-Agent-Token`."""

    code = "MISSING_AGENT_TOKEN"
    default_message = "Send the agent's token in the X-Agent-Token header."


class InvalidAgentToken(Unauthenticated):
    """An `X-Agent-Token` that belongs to no agent."""

    code = "INVALID_AGENT_TOKEN"
    default_message = "The agent token is not valid."


class SiteTokenMissing(Unauthenticated):
    """No `X-Site-Token`."""

    code = "SITE_TOKEN_MISSING"
    default_message = "Send the site's token in the X-Site-Token header."


class SiteTokenInvalid(Unauthenticated):
    """An `X-Site-Token` that belongs to no site."""

    code = "SITE_TOKEN_INVALID"
    default_message = "The site token is not valid."


class NotSignedIn(Unauthenticated):
    """No session, or one that has ended."""

    code = "NOT_SIGNED_IN"
    default_message = "Sign in first."


class InvalidCredentials(Unauthenticated):
    """Address and password do not belong together; which of them is wrong is not said."""

    code = "INVALID_CREDENTIALS"
    default_message = "E-mail address or password is wrong."


class Forbidden(DomainError):
    """We know who is asking, and the answer is no."""

    code = "FORBIDDEN"
    status = 403
    default_message = "This is not allowed."


class AgentInactive(Forbidden):
    """The agent was switched off by its owner, or by an operator; the message says which."""

    code = "AGENT_INACTIVE"
    default_message = "This agent is switched off."


class AgentUserSuspended(Forbidden):
    """The owner who answers for the agent is suspended."""

    code = "AGENT_USER_SUSPENDED"
    default_message = "The owner of this agent is suspended."


class SiteSuspended(Forbidden):
    """The site, or the owner who answers for it, is suspended."""

    code = "SITE_SUSPENDED"
    default_message = "This site is suspended."


class OwnerSuspended(Forbidden):
    """The owner whose session it is is suspended."""

    code = "OWNER_SUSPENDED"
    default_message = "This account is suspended."


class CsrfFailed(Forbidden):
    """A change that the owner's own page did not ask for, as far as we can tell."""

    code = "CSRF_FAILED"
    default_message = "Send the lime_csrf cookie's value in X-CSRF-Token, from this server's pages."


class StepUpRequired(Forbidden):
    """Something that needs a password or second factor proven in the last minutes."""

    code = "STEP_UP_REQUIRED"
    default_message = "Prove your password or second factor again first."


class NotFound(DomainError):
    """There is no such thing, or not for this caller: the two look the same."""

    code = "NOT_FOUND"
    status = 404
    default_message = "There is no such thing."


class SiteLoginRequestNotFound(NotFound):
    """No such login request, or no longer, or not for this caller."""

    code = "SITE_LOGIN_REQUEST_NOT_FOUND"
    default_message = "There is no such login request, or it can no longer be used."


class BindingNotFound(NotFound):
    """No such binding, or no longer, or not for this caller."""

    code = "BINDING_NOT_FOUND"
    default_message = "There is no such binding, or it can no longer be used."


class Conflict(DomainError):
    """The thing changed meanwhile, or is already there."""

    code = "CONFLICT"
    status = 409
    default_message = "The request conflicts with the current state."


class IdempotencyKeyReused(Conflict):
    """One `Idempotency-Key` with two different bodies."""

    code = "IDEMPOTENCY_KEY_REUSED"
    default_message = "This Idempotency-Key was used with another body."


class IdempotencyKeyInUse(Conflict):
    """The first request with this `Idempotency-Key` is still running; `retry_after` is set."""

    code = "IDEMPOTENCY_KEY_IN_USE"
    default_message = "The first request with this Idempotency-Key has not been answered yet."


class RequestTooSlow(DomainError):
    """The request's body did not arrive in time."""

    code = "REQUEST_TIMEOUT"
    status = 408
    default_message = "The request did not arrive in time."
    unread = True


class BodyTooLarge(DomainError):
    """The request's body is larger than any request needs."""

    code = "BODY_TOO_LARGE"
    status = 413
    default_message = "The request's body is too large."
    unread = True


class RateLimited(DomainError):
    """Too many requests; `retry_after` says when to come back."""

    code = "RATE_LIMIT_EXCEEDED"
    status = 429
    default_message = "Too many requests."


class Unavailable(DomainError):
    """An engine behind us cannot answer at the moment."""

    code = "UNAVAILABLE"
    status = 503
    default_message = "The service cannot answer at the moment."


class AuthUnavailable(Unavailable):
    """Agent tokens cannot be looked up: nobody is let in."""

    code = "AUTH_UNAVAILABLE"
    default_message = "Agent tokens cannot be checked at the moment."


class SiteTokenAuthUnavailable(Unavailable):
    """Site tokens cannot be looked up: nobody is let in."""

    code = "SITE_TOKEN_AUTH_UNAVAILABLE"
    default_message = "Site tokens cannot be checked at the moment."
