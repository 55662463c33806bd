"""What the authorization server needs from outside.

Every store may raise `core.errors.Unavailable`. What must happen together happens within one
`core.ports.Transactions`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lime_server.core.agents import Agent
from lime_server.foundation.sites import Site
from lime_server.modules.mcp_oauth.model import (
    AuthorizationCode,
    Client,
    Family,
    Grant,
    Jwk,
    RefreshToken,
)


class ClientFinder(Protocol):
    """Finds clients that are not agents."""

    async def find(self, unverified_id: str) -> Client | None:
        """The registered client, or the one that this URL's document describes."""
        ...


class ClientStore(Protocol):
    """Where registered clients are kept, and what the documents of others said."""

    async def add(self, client: Client) -> None:
        """Keep a client; one with the same id is replaced."""
        ...

    async def find(self, client_id: str) -> Client | None:
        """The client with this id, whatever its kind, as it was kept."""
        ...

    async def touch(self, client_id: str, now: datetime) -> None:
        """Note that it is used."""
        ...

    async def delete(self, client_id: str) -> None:
        """Forget it."""
        ...

    async def prune(self, unused_since: datetime, *, limit: int) -> int:
        """Forget at most `limit` clients without a given grant that were last used before that.

        One that was never used counts from when it was made. Returns how many went.
        """
        ...


class GrantStore(Protocol):
    """Where consents are kept."""

    async def add_or_renew(self, grant: Grant) -> Grant:
        """Keep a grant, and return it as it is kept.

        If this owner has one with the same agent, client and resource that is not revoked, that one
        stays, with the names of `grant`, and its scopes beside those that were granted before: what
        was issued for them still stands.
        """
        ...

    async def find(self, grant_id: str) -> Grant | None:
        """The grant with this id, a UUID; revoked ones too."""
        ...

    async def of_owner(self, owner_id: str, *, before: str | None, limit: int) -> Sequence[Grant]:
        """At most `limit` of this owner's grants that stand, newest first, with ids below that."""
        ...

    async def of_client(
        self, owner_id: str, client_id: str, resource: str | None
    ) -> Sequence[Grant]:
        """This owner's grants to this client at this resource that stand, newest first."""
        ...

    async def touch(self, grant_id: str, now: datetime) -> bool:
        """Note that it is used; False if it was revoked, or is not there.

        Who revokes it meanwhile waits for this transaction, and then revokes what it made too.
        """
        ...

    async def revoke(self, grant_id: str, now: datetime) -> bool:
        """Revoke it and all its families; False if it was before, or is not there."""
        ...


class CodeStore(Protocol):
    """Where authorization codes wait to be exchanged."""

    async def add(self, code: AuthorizationCode) -> None:
        """Keep a new code."""
        ...

    async def find(self, code_hash: bytes) -> AuthorizationCode | None:
        """The code with this hash; spent ones too, until they are pruned."""
        ...

    async def spend(self, code_hash: bytes, now: datetime) -> bool:
        """Spend it; False if somebody was faster. Of any number of callers exactly one gets True.

        Who comes second waits until the first one's transaction has ended.
        """
        ...

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` that expired before that; returns how many went."""
        ...


class RefreshStore(Protocol):
    """Where families and their refresh tokens are kept."""

    async def begin(self, family: Family) -> None:
        """Keep a new family."""
        ...

    async def family(self, family_id: str) -> Family | None:
        """The family with this id, a UUID; a revoked grant's is revoked."""
        ...

    async def add(self, token: RefreshToken) -> None:
        """Keep a new token of a family that is kept."""
        ...

    async def lock(self, token_hash: bytes) -> tuple[RefreshToken, Family] | None:
        """The token with this hash, and its family.

        Until this transaction ends nobody else exchanges a token of the same grant.
        """
        ...

    async def replace(self, token_hash: bytes, now: datetime) -> None:
        """Note that there is a next token. Call it with the token locked."""
        ...

    async def revoke_family(self, family_id: str, now: datetime) -> bool:
        """Revoke it; False if it was before, or is not there."""
        ...

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` tokens, and as many families, that expired before that."""
        ...


class RevokedTokens(Protocol):
    """Which access tokens were revoked before they expired (RFC 7009)."""

    async def add(self, jti: str, until: datetime) -> None:
        """Remember it until then."""
        ...

    async def holds(self, jti: str) -> bool:
        """Whether it was revoked."""
        ...

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Forget at most `limit` that expired before that; returns how many went."""
        ...


class SpentAssertions(Protocol):
    """Which client assertions were seen: each is good for one request (RFC 7523, section 3)."""

    async def spend(self, name: bytes, until: datetime) -> bool:
        """Remember `name` until then; False if it is remembered already. By one caller only."""
        ...

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Forget at most `limit` that expired before that; returns how many went."""
        ...


class AgentKeys(Protocol):
    """Public keys that agents' assertions are verified with."""

    async def of(self, agent_id: str) -> tuple[Jwk, ...]:
        """The keys of an agent, a UUID, in the order they were given."""
        ...

    async def replace(self, agent_id: str, jwks: Sequence[Jwk]) -> None:
        """Keep these and no others."""
        ...


class Agents(Protocol):
    """Recognises agents, and finds them."""

    async def authenticate(self, unverified_token: str | None) -> Agent:
        """The agent who holds this token, in good standing.

        Raises Unauthenticated, Forbidden or Unavailable, of `core.errors`.
        """
        ...

    async def find(self, unverified_id: str) -> Agent | None:
        """The agent with this id and the standing it has now; None if there is none."""
        ...

    async def owned_by(self, owner_id: str, unverified_id: str) -> Agent:
        """This owner's agent. Raises `core.errors.NotFound` for any other."""
        ...


class TokenTally(Protocol):
    """Counts what the token endpoint does, for whoever watches the server."""

    def token(self, what: str) -> None:
        """An access token was issued by this grant (`short_form` too), or `replay`."""
        ...


class Sites(Protocol):
    """Recognises sites."""

    async def authenticate(self, unverified_token: str | None) -> Site:
        """The site that holds this token, in good standing."""
        ...


class AssertionRefused(Exception):  # noqa: N818 - it says what happened
    """A client assertion proves nothing; the message is for the log alone."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A client assertion that was verified."""

    jti: str
    expires_at: datetime
    """After this, leeway included, it would be refused in any case."""


class Assertions(Protocol):
    """Verifies client assertions (RFC 7523, section 3)."""

    def unverified_subject(self, unverified_assertion: str) -> str:
        """Whose it says it is; proves nothing. Raises AssertionRefused if it does not say."""
        ...

    def verify(
        self,
        unverified_assertion: str,
        *,
        client_id: str,
        keys: Sequence[Jwk],
        audiences: Collection[str],
        now: datetime,
    ) -> Assertion:
        """The assertion, made by `client_id` with one of `keys`, for one of `audiences`.

        Raises AssertionRefused. Whether it was seen before is for the caller to say.
        """
        ...


class PublicKeys(Protocol):
    """Knows which keys assertions can be verified with."""

    def clean(self, unverified_jwk: Mapping[str, object]) -> Jwk:
        """The public members of a key that is fit, with `kid` and nothing that is not needed.

        Raises `core.errors.InvalidInput`, also for a key with private members.
        """
        ...


class AccessTokenReader(Protocol):
    """Reads access tokens that this server issued."""

    def read(self, unverified_token: str, now: datetime) -> Mapping[str, object] | None:
        """The claims of one that is ours and valid at `now`, else None."""
        ...


class DocumentUnavailable(Exception):  # noqa: N818 - it says what happened
    """A document cannot be had now; the message is fit for whoever named it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered with 200 OK."""

    body: bytes
    content_type: str
    cache_control: str
    """Both as the headers say; empty if there is none."""


class Documents(Protocol):
    """Fetches small documents from servers that strangers name."""

    async def fetch(self, url: str) -> Fetched:
        """The document at `url`: never from a private network, never by a redirect.

        Raises DocumentUnavailable.
        """
        ...
