"""What the client hands to the application."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

APPROVED: Final = frozenset({"APPROVED", "DELIVERED"})
"""The states in which an agent has approved. Any other state never counts as approval."""

FINAL: Final = APPROVED | {"DENIED", "EXPIRED"}
"""The states that a login request does not leave again, but for `APPROVED` becoming `DELIVERED`."""


@dataclass(frozen=True, slots=True)
class LoginRequestResult:
    """A login request as the site sees it."""

    request_id: str
    """What the agent needs: hand it over by any channel. It is not a secret."""
    status: str
    """`PENDING`, `APPROVED`, `DELIVERED`, `DENIED`, `EXPIRED`, or what a newer LIME may add."""
    expires_at: datetime
    """When an unanswered request ends."""
    site_id: str | None = None
    agent_passport_jwt: str | None = field(default=None, repr=False)
    """A fresh passport, unverified, while the request is approved; see `verify_passport`."""

    @property
    def is_approved(self) -> bool:
        """Has an agent approved? An unknown status is never read as approval."""
        return self.status in APPROVED

    @property
    def is_final(self) -> bool:
        """Is there nothing left to wait for?"""
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class LoginResult:
    """What an `approved` event says. The passport in it is not verified yet."""

    request_id: str
    agent_passport_jwt: str = field(repr=False)
    redirect_url: str | None = None


@dataclass(frozen=True, slots=True)
class Passport:
    """A proven login: made by `verify_passport` and by nothing else."""

    agent_id: str
    request_id: str
    user_id: str | None
    """The owner of the agent."""
    site_id: str | None
    """The site it was made for; None from a LIME that does not say so."""
    kyc_level: int | None
    """How well the owner is known, 0 to 3; None from a LIME that does not say so."""
    expires_at: datetime
    """End of the passport itself, seconds away. The site decides how long its session lives."""
    jti: str
    """The passport's id, the same when a login is delivered again."""
    claims: dict[str, Any] = field(repr=False)
    """Every claim as signed, and `agent_id`, which is always `sub`."""
    valid: Literal[True] = True
    """Always True: what is not valid raises `InvalidPassportError`."""


PassportVerificationResult = Passport
"""The name that `Passport` had in version 2."""


@dataclass(frozen=True, slots=True)
class BindingRequestResult:
    """A binding that this site has asked for. Keep it in the browser's session at your site."""

    binding_id: str
    """What `exchange_binding_code` expects to get."""
    connect_url: str
    """Where to send the browser, as it is."""
    status: str
    """`PENDING`."""
    expires_at: datetime
    """When nobody can answer any more."""
    state: str | None = field(default=None, repr=False)
    """What comes back with the browser; None from a LIME that sends none."""


@dataclass(frozen=True, slots=True)
class BindingPassport:
    """A proven binding: made by `verify_binding_passport` and by nothing else."""

    agent_id: str
    binding_id: str
    """Which binding it is, for as long as it lasts."""
    user_id: str
    """The owner of the agent: who approved."""
    site_id: str
    """This site."""
    expires_at: datetime
    """End of the passport itself, seconds away. The binding lasts until somebody ends it."""
    jti: str
    claims: dict[str, Any] = field(repr=False)
    """Every claim as signed, and `agent_id`, which is always `sub`."""
    valid: Literal[True] = True
    """Always True: what is not valid raises `InvalidPassportError`."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One of this site's bindings as it stands."""

    binding_id: str
    status: str
    """`PENDING`, `APPROVED`, `ACTIVE`, `ENDED`, `REFUSED`, `EXPIRED`, or what a newer LIME adds."""
    expires_at: datetime
    """When an unanswered request, or else its code, expires."""
    agent_id: str | None = None
    """The agent, once the code was exchanged."""
    user_id: str | None = None
    """Its owner, once the code was exchanged."""
    bound_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    """`owner` or `site`, once it has ended."""

    @property
    def is_active(self) -> bool:
        """Is the agent bound now? An unknown status is never read as that."""
        return self.status == "ACTIVE"


@dataclass(frozen=True, slots=True)
class BindingPage:
    """Some of this site's bindings, latest request first."""

    items: tuple[Binding, ...]
    next_cursor: str | None
    """Where the next page begins; None on the last."""
