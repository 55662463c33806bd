"""What an authorization server remembers: clients, grants, codes, refresh tokens.

A code and a refresh token are spent once; a family is everything that one code issued::

    code     ISSUED ──► SPENT
    refresh  CURRENT ──► REPLACED
    family   ACTIVE ──► REVOKED
    grant    GIVEN ──► REVOKED

A grant holds families, a family holds refresh tokens: revoking one revokes all that it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from lime_server.core.errors import Conflict

Jwk = Mapping[str, object]
"""A public key (RFC 7517); its values are text."""


class ClientKind(StrEnum):
    """Where a client comes from."""

    REGISTERED = "registered"
    """By dynamic registration (RFC 7591)."""
    DOCUMENT = "document"
    """By a client id metadata document: its id is the document's URL."""
    AGENT = "agent"
    """One of our agents: its id is the agent's, its secret the agent's token."""


class AuthMethod(StrEnum):
    """How a client proves at the token endpoint who it is (RFC 7591, section 2)."""

    NONE = "none"
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a name
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - a name
    PRIVATE_KEY_JWT = "private_key_jwt"


class GrantType(StrEnum):
    """What can be exchanged for an access token."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a name
    CLIENT_CREDENTIALS = "client_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program that asks for tokens, in its own name or in that of an owner's agent."""

    client_id: str
    kind: ClientKind
    name: str
    redirect_uris: tuple[str, ...] = ()
    auth_method: AuthMethod
    grant_types: frozenset[str]
    """Values of `GrantType`."""
    secret_hash: bytes | None = field(default=None, repr=False)
    """Keyed hash of a registered client's secret."""
    jwks: tuple[Jwk, ...] = ()
    """Public keys that its assertions are verified with."""
    created_at: datetime
    expires_at: datetime | None = None
    """When its document has to be read again; None for what does not come from a document."""

    def may(self, grant_type: GrantType) -> bool:
        """Whether it said that it uses this grant."""
        return grant_type in self.grant_types


class CodeState(StrEnum):
    """Where an authorization code stands."""

    ISSUED = "ISSUED"
    SPENT = "SPENT"


class RefreshState(StrEnum):
    """Where a refresh token stands."""

    CURRENT = "CURRENT"
    REPLACED = "REPLACED"


class FamilyState(StrEnum):
    """Where everything that one code issued stands."""

    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


class GrantState(StrEnum):
    """Where an owner's consent stands."""

    GIVEN = "GIVEN"
    REVOKED = "REVOKED"


_NEXT: dict[StrEnum, frozenset[StrEnum]] = {
    CodeState.ISSUED: frozenset({CodeState.SPENT}),
    CodeState.SPENT: frozenset(),
    RefreshState.CURRENT: frozenset({RefreshState.REPLACED}),
    RefreshState.REPLACED: frozenset(),
    FamilyState.ACTIVE: frozenset({FamilyState.REVOKED}),
    FamilyState.REVOKED: frozenset(),
    GrantState.GIVEN: frozenset({GrantState.REVOKED}),
    GrantState.REVOKED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An owner let a client act as one of their agents, at one resource or wherever it asks."""

    grant_id: str
    owner_id: str
    agent_id: str
    client_id: str
    client_name: str
    """As it was when the owner saw it."""
    redirect_host: str
    resource: str | None
    scopes: tuple[str, ...]
    """Everything that any of its families may have."""
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def state(self) -> GrantState:
        """Where it stands."""
        return GrantState.GIVEN if self.revoked_at is None else GrantState.REVOKED

    def revoked(self, now: datetime) -> "Grant":
        """This grant once it was taken back. Raises Conflict unless it is given."""
        _require(self.state, GrantState.REVOKED)
        return replace(self, revoked_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """A consent on its way to a client, through a browser (RFC 6749, section 4.1.2)."""

    code_hash: bytes = field(repr=False)
    grant_id: str
    family_id: str
    """What everything that it issues will belong to."""
    client_id: str
    redirect_uri: str
    """As the authorization request had it, to the letter."""
    code_challenge: str = field(repr=False)
    """S256, always (RFC 7636, section 4.2)."""
    resource: str | None
    scopes: tuple[str, ...]
    expires_at: datetime
    spent_at: datetime | None = None

    @property
    def state(self) -> CodeState:
        """Where it stands."""
        return CodeState.ISSUED if self.spent_at is None else CodeState.SPENT

    def spent(self, now: datetime) -> "AuthorizationCode":
        """This code once it was exchanged. Raises Conflict if it was before."""
        _require(self.state, CodeState.SPENT)
        return replace(self, spent_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Everything that one code issued: the refresh tokens, one after the other."""

    family_id: str
    grant_id: str
    expires_at: datetime
    """However often it is refreshed."""
    revoked_at: datetime | None = None

    @property
    def state(self) -> FamilyState:
        """Where it stands."""
        return FamilyState.ACTIVE if self.revoked_at is None else FamilyState.REVOKED

    def revoked(self, now: datetime) -> "Family":
        """This family once it was revoked. Raises Conflict if it was before."""
        _require(self.state, FamilyState.REVOKED)
        return replace(self, revoked_at=now)


class Use(StrEnum):
    """What somebody who shows a refresh token deserves."""

    FRESH = "fresh"
    """A new pair."""
    RACE = "race"
    """A new pair too: workers of one client refresh at once, and each keeps what it was given."""
    REUSE = "reuse"
    """It was replaced long ago, so two parties have it, and one of them stole it."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """What a client exchanges for its next access token, as long as its grant stands."""

    token_hash: bytes = field(repr=False)
    grant_id: str
    family_id: str
    client_id: str
    resource: str | None
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    replaced_at: datetime | None = None

    @property
    def state(self) -> RefreshState:
        """Where it stands."""
        return RefreshState.CURRENT if self.replaced_at is None else RefreshState.REPLACED

    def replaced(self, now: datetime) -> "RefreshToken":
        """This token once there is a next one. Raises Conflict if there was before."""
        _require(self.state, RefreshState.REPLACED)
        return replace(self, replaced_at=now)

    def used(self, family: Family, now: datetime, grace: timedelta) -> Use:
        """What showing it at `now` means (OAuth 2.1, section 4.3.1).

        For `grace` after it was replaced it still counts as its owner's: an answer that was lost,
        or two workers at once, must not end a session.
        """
        if family.state is FamilyState.REVOKED:
            return Use.REVOKED
        if now >= self.expires_at:
            return Use.EXPIRED
        if self.replaced_at is None:
            return Use.FRESH
        return Use.RACE if now < self.replaced_at + grace else Use.REUSE


S = TypeVar("S", bound=StrEnum)


def _require(state: S, new: S) -> None:
    if new not in _NEXT[state]:
        raise Conflict(f"What is {state} cannot become {new}.")
