"""From an unverified access token to an `AgentAccess`, or to `InvalidPassportError`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lime_sdk_core import Flow
from lime_sites._passports import Verifier, read_claims
from lime_sites._wire import AccessClaims
from lime_sites.mcp._pin import Pin


@dataclass(frozen=True, slots=True)
class AgentAccess:
    """A proven access token: made by a verifier and by nothing else."""

    agent_id: str
    """Who acts."""
    client_id: str
    """Which program holds the token: the agent itself, or a client that its owner let act for it.
    """
    scopes: tuple[str, ...]
    resource: str | None
    """The URL that it was requested for; None in the short form, which names the host alone."""
    domain: str
    """The host that it was requested for."""
    expires_at: datetime
    jti: str
    claims: dict[str, Any] = field(repr=False)
    """All proven claims."""

    def missing(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of `scopes` that the token does not have."""
        return tuple(scope for scope in scopes if scope not in self.scopes)


def verify_access(verifier: Verifier, pin: Pin, unverified_token: str) -> Flow[AgentAccess]:
    """Return what the token proves.

    Raises:
        InvalidPassportError: it proves nothing; the log says why.
        KeysUnavailableError: nothing can be said about it now.
    """
    # 1. Signed by the issuer as an access token, alive, and for this host.
    claims = yield from verifier.prove(unverified_token, pin.expectation)
    # 2. For this server, where there may be others at the host.
    resource = pin.check(claims)
    # 3. Only what was signed is handed on.
    known = read_claims(AccessClaims, claims)
    return AgentAccess(
        agent_id=known.sub,
        # In the short form the agent is its own client.
        client_id=known.client_id or known.sub,
        scopes=tuple(name for name in known.scope.split(" ") if name),
        resource=resource,
        domain=known.domain,
        expires_at=datetime.fromtimestamp(known.exp, tz=UTC),
        jti=known.jti,
        claims=claims,
    )
