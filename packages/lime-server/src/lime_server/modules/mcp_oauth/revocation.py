"""The revocation endpoint (RFC 7009)."""

from datetime import UTC, datetime, timedelta

from lime_server.core.clock import Clock
from lime_server.core.ports import TokenHash, Transactions
from lime_server.core.tokens import Token, TokenKind
from lime_server.modules.mcp_oauth.client_authentication import Caller
from lime_server.modules.mcp_oauth.ports import AccessTokenReader, RefreshStore, RevokedTokens

LEEWAY = timedelta(seconds=30)
"""How long verifiers accept a token beyond its end (protocol section 10)."""


class Revocation:
    """Lets a client give back what it was issued."""

    def __init__(
        self,
        *,
        refresh_tokens: RefreshStore,
        revoked: RevokedTokens,
        reader: AccessTokenReader,
        tokens: TokenHash,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._refresh_tokens = refresh_tokens
        self._revoked = revoked
        self._reader = reader
        self._tokens = tokens
        self._transactions = transactions
        self._clock = clock

    async def revoke(self, caller: Caller, unverified_token: str) -> None:
        """Revoke a token, if it is one of this client's; nothing is said of any other.

        With a refresh token everything that its code issued ends: its access tokens are reported
        inactive at once, and expire within five minutes where nobody asks (RFC 7009, section 2.1).
        """
        refresh = Token.parse(TokenKind.REFRESH_TOKEN, unverified_token)
        if refresh is not None:
            await self._revoke_refresh(caller, refresh)
            return
        claims = self._reader.read(unverified_token, self._clock.now())
        if claims is not None and claims.get("client_id") == caller.client.client_id:
            end = datetime.fromtimestamp(int(str(claims["exp"])), UTC)
            await self._revoked.add(str(claims["jti"]), end + LEEWAY)

    async def _revoke_refresh(self, caller: Caller, token: Token) -> None:
        async with self._transactions.transaction():
            found = await self._refresh_tokens.lock(self._tokens.hash(token.text))
            if found is not None and found[0].client_id == caller.client.client_id:
                await self._refresh_tokens.revoke_family(found[1].family_id, self._clock.now())
