"""Dynamic client registration (RFC 7591): anybody may, now and then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from logging import getLogger

from lime_server.core.clock import Clock
from lime_server.core.ids import new_id
from lime_server.core.origin import asking_network
from lime_server.core.ports import Limit, RateLimiter, TokenHash
from lime_server.core.tokens import Token, TokenKind
from lime_server.modules.mcp_oauth.client_metadata import json_object, read_metadata
from lime_server.modules.mcp_oauth.errors import InvalidClientMetadata
from lime_server.modules.mcp_oauth.model import AuthMethod, Client, ClientKind
from lime_server.modules.mcp_oauth.ports import ClientStore, PublicKeys

UNUSED_FOR = timedelta(days=30)
"""How long a client is kept that no owner ever consented to, or does any more: most are made by a
program that somebody tried once."""
_PRUNED_AT_ONCE = 500
"""Rows per statement: short enough that nobody waits behind it."""
_SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})

log = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RegistrationRules:
    """What the operator chose."""

    limit: Limit | None
    """Registrations of each address."""
    private_schemes: bool = False
    """Whether apps may be redirected to by schemes of their own."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new client, and its secret, which is shown once."""

    client: Client
    secret: str | None = field(repr=False)


class Registration:
    """Registers clients, and forgets those that nobody uses."""

    def __init__(
        self,
        *,
        store: ClientStore,
        keys: PublicKeys,
        tokens: TokenHash,
        limiter: RateLimiter,
        clock: Clock,
        rules: RegistrationRules,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._store = store
        self._keys = keys
        self._tokens = tokens
        self._limiter = limiter
        self._clock = clock
        self._rules = rules

    async def register(self, body: bytes) -> Registered:
        """A client with the metadata in `body`.

        Raises InvalidRedirectUri, InvalidClientMetadata or RateLimited.
        """
        # 1. What it wants to be. What is refused costs us nothing, and is not counted: honest
        #    developers try.
        metadata = read_metadata(
            json_object(body),
            keys=self._keys,
            # RFC 7591, section 2, says so; programs that want none say that.
            default_method=AuthMethod.CLIENT_SECRET_BASIC,
            private_schemes=self._rules.private_schemes,
        )
        if metadata.jwks_uri is not None:
            raise InvalidClientMetadata(
                "A registered client sends its keys as jwks; jwks_uri is for clients with a "
                "client id metadata document."
            )
        # 2. Not too often.
        if self._rules.limit is not None:
            name = self._tokens.hash(f"oauth-register\n{asking_network()}")
            await self._limiter.take(f"oauth-register:{name[:16].hex()}", self._rules.limit)
        # 3. Keep it; of a secret only the hash.
        secret = None
        if metadata.auth_method in _SECRET_METHODS:
            secret = Token.new(TokenKind.CLIENT_SECRET).text
        now = self._clock.now()
        client = Client(
            client_id=new_id(now),
            kind=ClientKind.REGISTERED,
            name=metadata.name,
            redirect_uris=tuple(uri.text for uri in metadata.redirect_uris),
            auth_method=metadata.auth_method,
            grant_types=metadata.grant_types,
            secret_hash=None if secret is None else self._tokens.hash(secret),
            jwks=metadata.jwks,
            created_at=now,
        )
        await self._store.add(client)
        log.info("an OAuth client was registered: %s", client.client_id)
        return Registered(client, secret)

    async def prune(self) -> None:
        """Forget clients that were not used for long, without a consent that stands."""
        before = self._clock.now() - UNUSED_FOR
        while await self._store.prune(before, limit=_PRUNED_AT_ONCE) >= _PRUNED_AT_ONCE:
            pass


def information(registered: Registered, scopes: Sequence[str]) -> dict[str, object]:
    """What its developer is told (section 3.2.1): everything that was accepted, and nothing else.

    With `scopes`, all there are: every client may ask for them.
    """
    client = registered.client
    facts: dict[str, object] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "token_endpoint_auth_method": client.auth_method.value,
        "grant_types": sorted(client.grant_types),
        "response_types": ["code"],
        "scope": " ".join(scopes),
    }
    if registered.secret is not None:
        # 0: it does not expire.
        facts |= {"client_secret": registered.secret, "client_secret_expires_at": 0}
    if client.jwks:
        facts["jwks"] = {"keys": [dict(jwk) for jwk in client.jwks]}
    return facts
