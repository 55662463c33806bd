"""The introspection endpoint (RFC 7662): is this token still good?

A resource server verifies tokens on its own; who wants to know of a revocation within the five
minutes of a token's life asks here. Nobody learns anything about other people's tokens.
"""

from collections.abc import Mapping

from lime_server.core.clock import Clock
from lime_server.core.errors import Forbidden, Unauthenticated
from lime_server.core.ids import parse_id
from lime_server.core.tokens import Token, TokenKind
from lime_server.foundation.sites import Site
from lime_server.modules.mcp_oauth.access_tokens import CAPABILITY
from lime_server.modules.mcp_oauth.client_authentication import (
    Caller,
    ClientAuthentication,
    Credentials,
)
from lime_server.modules.mcp_oauth.errors import AccessDenied, InvalidClient
from lime_server.modules.mcp_oauth.model import AuthMethod, FamilyState
from lime_server.modules.mcp_oauth.ports import (
    AccessTokenReader,
    Agents,
    RefreshStore,
    RevokedTokens,
    Sites,
)

INACTIVE: Mapping[str, object] = {"active": False}
_TOLD = ("iss", "aud", "sub", "client_id", "scope", "domain", "iat", "exp", "jti")


class Introspection:
    """Says whether a token is good, to those whom it concerns."""

    def __init__(
        self,
        *,
        clients: ClientAuthentication,
        sites: Sites,
        agents: Agents,
        refresh_tokens: RefreshStore,
        revoked: RevokedTokens,
        reader: AccessTokenReader,
        clock: Clock,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._clients = clients
        self._sites = sites
        self._agents = agents
        self._refresh_tokens = refresh_tokens
        self._revoked = revoked
        self._reader = reader
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Site | Caller:
        """Who asks: a site, by its id and token, or a confidential client.

        Raises InvalidClient or AccessDenied.
        """
        if Token.parse(TokenKind.SITE, credentials.secret) is not None:
            return await self._site(credentials)
        caller = await self._clients.authenticate(credentials)
        if credentials.method is AuthMethod.NONE:
            # Anybody can say a public client's id (RFC 7662, section 2.1).
            raise InvalidClient("A public client cannot ask about tokens.")
        return caller

    async def _site(self, credentials: Credentials) -> Site:
        try:
            site = await self._sites.authenticate(credentials.secret)
        except Unauthenticated:
            raise InvalidClient(basic=credentials.basic) from None
        except Forbidden as error:
            raise AccessDenied(error.message) from None
        if parse_id(str(credentials.client_id)) != site.site_id:
            raise InvalidClient(basic=credentials.basic)
        return site

    async def introspect(self, asker: Site | Caller, unverified_token: str) -> Mapping[str, object]:
        """What `asker` may know of a token (RFC 7662, section 2.2)."""
        # 1. Ours, and not expired?
        claims = self._reader.read(unverified_token, self._clock.now())
        if claims is None:
            return INACTIVE
        # 2. Any of the asker's business?
        if not _concerns(asker, claims):
            return INACTIVE
        # 3. Neither revoked by itself, nor with what it comes from, nor its agent switched off?
        if not await self._stands(claims):
            return INACTIVE
        told = {name: claims[name] for name in _TOLD}
        return {"active": True, "token_type": "Bearer", **told}

    async def _stands(self, claims: Mapping[str, object]) -> bool:
        if await self._revoked.holds(str(claims["jti"])):
            return False
        if (family_id := claims.get("sid")) is not None:
            family = await self._refresh_tokens.family(str(family_id))
            if family is None or family.state is FamilyState.REVOKED:
                return False
        agent = await self._agents.find(str(claims["sub"]))
        return agent is not None and agent.in_good_standing and CAPABILITY in agent.capabilities


def _concerns(asker: Site | Caller, claims: Mapping[str, object]) -> bool:
    if isinstance(asker, Site):
        # A domain that is only claimed proves nothing: anybody can claim one.
        return asker.domain_verified and asker.domain == claims.get("domain")
    return asker.client.client_id == claims.get("client_id")
