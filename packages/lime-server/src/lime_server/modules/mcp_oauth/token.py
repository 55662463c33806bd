"""The token endpoint (OAuth 2.1, section 3.2): what can be exchanged for an access token."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import getLogger

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.errors import Forbidden, NotFound, Unauthenticated
from lime_server.core.ports import TokenHash, Transactions
from lime_server.core.tokens import Token, TokenKind
from lime_server.foundation.audit import SYSTEM, Audit, Target
from lime_server.modules.mcp_oauth.access_tokens import (
    LIFETIME,
    AccessToken,
    AccessTokens,
    Order,
)
from lime_server.modules.mcp_oauth.client_authentication import Caller
from lime_server.modules.mcp_oauth.errors import (
    AccessDenied,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from lime_server.modules.mcp_oauth.model import (
    AuthorizationCode,
    Client,
    CodeState,
    Family,
    Grant,
    GrantState,
    GrantType,
    RefreshToken,
    Use,
)
from lime_server.modules.mcp_oauth.ports import (
    Agents,
    CodeStore,
    GrantStore,
    RefreshStore,
    TokenTally,
)
from lime_server.modules.mcp_oauth.resources import parse_domain, parse_resource
from lime_server.modules.mcp_oauth.scopes import narrowed, parse_scope, scope_text

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, section 4.1

log = getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What the operator chose."""

    scopes: tuple[str, ...]
    """All there are."""
    refresh_idle: timedelta
    """How long a refresh token works that is not used."""
    refresh_lifetime: timedelta
    """How long one consent's refresh tokens work, however often they are used."""
    grace: timedelta
    """How long a refresh token works after it was replaced."""
    private_too: bool
    """Whether tokens are issued for names that only a private network, or this machine, knows."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What a client gets."""

    token: AccessToken
    scope: str
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Replay:
    """A code, or a refresh token, that somebody else has too: what it issued was revoked."""

    reason: str


class TokenEndpoint:
    """Exchanges what a client holds for an access token."""

    def __init__(
        self,
        *,
        agents: Agents,
        grants: GrantStore,
        codes: CodeStore,
        refresh_tokens: RefreshStore,
        access_tokens: AccessTokens,
        tokens: TokenHash,
        audit: Audit,
        tally: TokenTally,
        transactions: Transactions,
        clock: Clock,
        rules: TokenRules,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._agents = agents
        self._grants = grants
        self._codes = codes
        self._refresh_tokens = refresh_tokens
        self._access_tokens = access_tokens
        self._tokens = tokens
        self._audit = audit
        self._tally = tally
        self._transactions = transactions
        self._clock = clock
        self._rules = rules

    async def short_form(self, unverified_token: str | None, domain: str) -> AccessToken:
        """An agent asks in its own name, by its token and a host name (protocol section 8).

        Raises InvalidClient, AccessDenied, or InvalidRequest for what is no host name.
        """
        try:
            agent = await self._agents.authenticate(unverified_token)
        except Unauthenticated as error:
            raise InvalidClient(error.message) from None
        except Forbidden as error:
            raise AccessDenied(error.message) from None
        host = parse_domain(domain, private_too=self._rules.private_too)
        order = Order(
            agent=agent,
            client_id=agent.agent_id,
            resource=None,
            domain=host,
            scopes=self._rules.scopes,
        )
        token = await self._access_tokens.mint(order)
        self._tally.token("short_form")
        return token

    async def exchange(self, caller: Caller, parameters: Mapping[str, str]) -> Issued:
        """What `caller`, a client that was authenticated, gets for `parameters`.

        Raises an OAuthError: UnsupportedGrantType, UnauthorizedClient, InvalidRequest,
        InvalidGrant, InvalidTarget, InvalidScope, or AccessDenied.
        """
        # 1. Is there such a grant, and may this client use it?
        if (named := parameters.get("grant_type")) is None:
            raise InvalidRequest("Send grant_type.")
        if named not in set(GrantType):
            raise UnsupportedGrantType
        grant_type = GrantType(named)
        if not caller.client.may(grant_type):
            raise UnauthorizedClient
        # 2. Each has its own rules.
        if grant_type is GrantType.AUTHORIZATION_CODE:
            issued = await self._for_code(caller.client, parameters)
        elif grant_type is GrantType.REFRESH_TOKEN:
            issued = await self._for_refresh_token(caller.client, parameters)
        else:
            issued = await self._for_credentials(caller, parameters)
        self._tally.token(grant_type)
        return issued

    # An agent in its own name.

    async def _for_credentials(self, caller: Caller, parameters: Mapping[str, str]) -> Issued:
        if caller.agent is None:
            # A registered client has no agent that it could be (RFC 6749, section 4.4).
            raise UnauthorizedClient("Only an agent can use client_credentials.")
        scopes = narrowed(_asked_scopes(parameters), self._rules.scopes)
        resource, domain = self._target(None, parameters)
        order = Order(
            agent=caller.agent,
            client_id=caller.client.client_id,
            resource=resource,
            domain=domain,
            scopes=scopes,
        )
        return Issued(await self._access_tokens.mint(order), scope_text(scopes))

    # A client in the name of an owner's agent.

    async def _for_code(self, client: Client, parameters: Mapping[str, str]) -> Issued:
        """OAuth 2.1, section 4.1.3."""
        # 1. A code by its shape, with everything that it was bound to.
        code = _token_of(parameters, "code", TokenKind.AUTHORIZATION_CODE)
        redirect_uri = _needed(parameters, "redirect_uri")
        verifier = _needed(parameters, "code_verifier")
        # 2. All or nothing; a replay is answered after what it revoked was committed.
        async with self._transactions.transaction():
            outcome = await self._exchange_code(client, code, redirect_uri, verifier, parameters)
        if isinstance(outcome, _Replay):
            raise _refused(outcome.reason)
        return outcome

    async def _exchange_code(
        self,
        client: Client,
        code: Token,
        redirect_uri: str,
        verifier: str,
        parameters: Mapping[str, str],
    ) -> Issued | _Replay:
        # 1. Whose is it? Looked up by keyed hash.
        code_hash, now = self._tokens.hash(code.text), self._clock.now()
        found = await self._codes.find(code_hash)
        if found is None:
            raise _refused("no such code")
        # 2. Shown before? Whoever came first may be the thief (OAuth 2.1, section 4.1.3).
        if found.state is CodeState.SPENT:
            return await self._replayed(found, now)
        # 3. By the client, for the redirect, and from the browser session that it was made for. A
        #    claim that fails here does not spend the code: a stranger could otherwise spoil it.
        if (reason := _why_not(found, client, redirect_uri, verifier, now)) is not None:
            raise _refused(reason)
        resource, domain = self._target(found.resource, parameters)
        scopes = self._left(found)
        # 4. Spend it, if nobody was faster.
        if not await self._codes.spend(code_hash, now):
            return await self._replayed(found, now)
        # 5. Does the owner still want this, and may the agent act?
        grant, agent = await self._standing(found.grant_id, now)
        # 6. What it issues is a family, which ends together.
        refreshing = client.may(GrantType.REFRESH_TOKEN)
        lifetime = self._rules.refresh_lifetime if refreshing else timedelta(seconds=LIFETIME)
        family = Family(
            family_id=found.family_id, grant_id=grant.grant_id, expires_at=now + lifetime
        )
        await self._refresh_tokens.begin(family)
        refresh = await self._next(found, family, now) if refreshing else None
        order = Order(
            agent=agent,
            client_id=client.client_id,
            resource=resource,
            domain=domain,
            scopes=scopes,
            family_id=family.family_id,
        )
        token = await self._access_tokens.mint(order)
        return Issued(token, scope_text(scopes), refresh)

    async def _replayed(self, code: AuthorizationCode, now: datetime) -> _Replay:
        """Two parties have a code, and nobody knows which of them is the client."""
        if await self._refresh_tokens.revoke_family(code.family_id, now):
            await self._record("oauth.code.replayed", code.grant_id)
        return _Replay("a code that was spent before")

    async def _for_refresh_token(self, client: Client, parameters: Mapping[str, str]) -> Issued:
        """OAuth 2.1, section 4.3: rotated always."""
        token = _token_of(parameters, "refresh_token", TokenKind.REFRESH_TOKEN)
        async with self._transactions.transaction():
            outcome = await self._rotate(client, token, parameters)
        if isinstance(outcome, _Replay):
            raise _refused(outcome.reason)
        return outcome

    async def _rotate(
        self, client: Client, token: Token, parameters: Mapping[str, str]
    ) -> Issued | _Replay:
        # 1. Whose is it? From here on nobody else rotates tokens of this grant.
        token_hash, now = self._tokens.hash(token.text), self._clock.now()
        found = await self._refresh_tokens.lock(token_hash)
        if found is None:
            raise _refused("no such refresh token")
        old, family = found
        if old.client_id != client.client_id:
            raise _refused("another client's refresh token")
        # 2. Fresh, or within the grace of a race?
        use = old.used(family, now, self._rules.grace)
        if use is Use.REUSE:
            return await self._reused(old, now)
        if use in {Use.EXPIRED, Use.REVOKED}:
            raise _refused(f"a refresh token that is {use}")
        # 3. For the server, and no more than, what was granted.
        resource, domain = self._target(old.resource, parameters)
        scopes = narrowed(_asked_scopes(parameters), self._left(old))
        # 4. Does the owner still want this, and may the agent act?
        _grant, agent = await self._standing(old.grant_id, now)
        # 5. The next one, with everything that was granted, whatever was asked for this time.
        if use is Use.FRESH:
            await self._refresh_tokens.replace(token_hash, now)
        refresh = await self._next(old, family, now)
        order = Order(
            agent=agent,
            client_id=client.client_id,
            resource=resource,
            domain=domain,
            scopes=scopes,
            family_id=family.family_id,
        )
        return Issued(await self._access_tokens.mint(order), scope_text(scopes), refresh)

    async def _reused(self, token: RefreshToken, now: datetime) -> _Replay:
        """A token that was replaced long ago is in two hands (RFC 9700, section 4.14.2)."""
        await self._refresh_tokens.revoke_family(token.family_id, now)
        await self._record("oauth.refresh.reused", token.grant_id)
        return _Replay("a refresh token that was replaced long ago")

    async def _next(
        self, old: AuthorizationCode | RefreshToken, family: Family, now: datetime
    ) -> str:
        token = Token.new(TokenKind.REFRESH_TOKEN)
        await self._refresh_tokens.add(
            RefreshToken(
                token_hash=self._tokens.hash(token.text),
                grant_id=old.grant_id,
                family_id=family.family_id,
                client_id=old.client_id,
                resource=old.resource,
                scopes=old.scopes,
                issued_at=now,
                expires_at=min(now + self._rules.refresh_idle, family.expires_at),
            )
        )
        return token.text

    def _left(self, granted: AuthorizationCode | RefreshToken) -> tuple[str, ...]:
        """What was granted and still is a scope: operators withdraw some. Raises InvalidGrant."""
        if not (left := tuple(name for name in granted.scopes if name in self._rules.scopes)):
            raise _refused("no scope is left of those that were granted")
        return left

    async def _standing(self, grant_id: str, now: datetime) -> tuple[Grant, Agent]:
        """The grant and its agent, as they are now. Raises InvalidGrant."""
        grant = await self._grants.find(grant_id)
        touched = await self._grants.touch(grant_id, now)
        if grant is None or grant.state is GrantState.REVOKED or not touched:
            raise _refused("the owner took the consent back")
        try:
            return grant, await self._agents.owned_by(grant.owner_id, grant.agent_id)
        except NotFound:
            raise _refused("the agent is gone") from None

    def _target(self, granted: str | None, parameters: Mapping[str, str]) -> tuple[str | None, str]:
        """The resource, if there is one, and the domain that the token is for.

        Raises InvalidTarget for another resource than the granted one (RFC 8707, section 2.2), and
        InvalidRequest if nothing says which server is meant.
        """
        asked, domain = parameters.get("resource"), parameters.get("domain")
        if granted is not None and asked not in {None, granted}:
            raise InvalidTarget("resource is another one than was granted.")
        text = asked if granted is None else granted
        if text is not None:
            resource = parse_resource(text, private_too=self._rules.private_too)
            if domain is not None and domain.lower() != resource.host:
                raise InvalidTarget("domain and resource name two servers: send one of them.")
            return resource.text, resource.host
        if domain is None:
            raise InvalidRequest(
                "Send resource, the address of the MCP server, or domain, its host name."
            )
        return None, parse_domain(domain, private_too=self._rules.private_too)

    async def _record(self, action: str, grant_id: str) -> None:
        grant = await self._grants.find(grant_id)
        log.warning("%s: what it issued was revoked", action)
        self._tally.token("replay")
        if grant is not None:
            await self._audit.record(
                action,
                owner_id=grant.owner_id,
                actor=SYSTEM,
                target=Target("oauth-grant", grant_id),
                detail={"client_id": grant.client_id, "agent_id": grant.agent_id},
            )


def challenge_of(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _why_not(
    code: AuthorizationCode, client: Client, redirect_uri: str, verifier: str, now: datetime
) -> str | None:
    """Why the code does not belong to whoever shows it, or None if it does."""
    if code.client_id != client.client_id:
        return "another client's code"
    if now >= code.expires_at:
        return "a code that is too old"
    if redirect_uri != code.redirect_uri:
        return "a code for another redirect_uri"
    if not _VERIFIER.fullmatch(verifier):
        return "not a code_verifier"
    if not hmac.compare_digest(challenge_of(verifier), code.code_challenge):
        return "another code_verifier"
    return None


def _needed(parameters: Mapping[str, str], name: str) -> str:
    if (value := parameters.get(name)) is None:
        raise InvalidRequest(f"Send {name}.")
    return value


def _token_of(parameters: Mapping[str, str], name: str, kind: TokenKind) -> Token:
    token = Token.parse(kind, _needed(parameters, name))
    if token is None:
        raise _refused(f"not a {name}")
    return token


def _asked_scopes(parameters: Mapping[str, str]) -> tuple[str, ...]:
    scopes = parse_scope(parameters.get("scope", ""))
    if scopes is None:
        raise InvalidScope
    return scopes


def _refused(reason: str) -> InvalidGrant:
    log.info("a grant was refused: %s", reason)
    return InvalidGrant()
