"""What the authorization server keeps, in memory."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from lime_server.modules.mcp_oauth.model import (
    AuthorizationCode,
    Client,
    Family,
    FamilyState,
    Grant,
    GrantState,
    Jwk,
    RefreshToken,
)

K = TypeVar("K")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class MemoryOAuth:
    """What the stores below share; give it to `MemoryTransactions`."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.clients: dict[str, Client] = {}
        self.client_uses: dict[str, datetime] = {}
        self.grants: dict[str, Grant] = {}
        self.codes: dict[bytes, AuthorizationCode] = {}
        self.families: dict[str, Family] = {}
        self.refresh_tokens: dict[bytes, RefreshToken] = {}
        self.revoked_tokens: dict[str, datetime] = {}
        self.spent_assertions: dict[bytes, datetime] = {}
        self.agent_keys: dict[str, tuple[Jwk, ...]] = {}

    def revoke(self, now: datetime, doomed: Callable[[Family], bool]) -> int:
        """Revoke the active families that are doomed; returns how many there were."""
        active = [
            family
            for family in self.families.values()
            if family.state is FamilyState.ACTIVE and doomed(family)
        ]
        self.families |= {family.family_id: family.revoked(now) for family in active}
        return len(active)


class MemoryClients:
    """Keeps clients as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def add(self, client: Client) -> None:
        """Keep a client; one with the same id is replaced."""
        self._shared.clients[client.client_id] = client
        self._shared.client_uses.setdefault(client.client_id, client.created_at)

    async def find(self, client_id: str) -> Client | None:
        """The client with this id, as it was kept."""
        await asyncio.sleep(0)  # others get a turn between reading and writing, as with an engine
        return self._shared.clients.get(client_id)

    async def touch(self, client_id: str, now: datetime) -> None:
        """Note that it is used."""
        if client_id in self._shared.clients:
            self._shared.client_uses[client_id] = now

    async def delete(self, client_id: str) -> None:
        """Forget it."""
        self._shared.clients.pop(client_id, None)
        self._shared.client_uses.pop(client_id, None)

    async def prune(self, unused_since: datetime, *, limit: int) -> int:
        """Forget at most `limit` clients without a given grant that were last used before that."""
        granted = {
            grant.client_id
            for grant in self._shared.grants.values()
            if grant.state is GrantState.GIVEN
        }
        old = [
            client_id
            for client_id, used in self._shared.client_uses.items()
            if used < unused_since and client_id not in granted
        ][:limit]
        for client_id in old:
            await self.delete(client_id)
        return len(old)


class MemoryGrants:
    """Keeps consents as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def add_or_renew(self, grant: Grant) -> Grant:
        """Keep a grant, and return it as it is kept."""
        standing = await self.of_client(grant.owner_id, grant.client_id, grant.resource)
        kept = next((one for one in standing if one.agent_id == grant.agent_id), grant)
        renewed = replace(
            kept,
            client_name=grant.client_name,
            redirect_host=grant.redirect_host,
            scopes=tuple(dict.fromkeys((*kept.scopes, *grant.scopes))),
        )
        self._shared.grants[renewed.grant_id] = renewed
        return renewed

    async def find(self, grant_id: str) -> Grant | None:
        """The grant with this id; revoked ones too."""
        await asyncio.sleep(0)
        return self._shared.grants.get(grant_id)

    async def of_owner(self, owner_id: str, *, before: str | None, limit: int) -> Sequence[Grant]:
        """At most `limit` of this owner's grants that stand, newest first."""
        return self._standing(
            lambda grant: grant.owner_id == owner_id and (before is None or grant.grant_id < before)
        )[:limit]

    async def of_client(
        self, owner_id: str, client_id: str, resource: str | None
    ) -> Sequence[Grant]:
        """This owner's grants to this client at this resource that stand, newest first."""
        wanted = (owner_id, client_id, resource)
        return self._standing(
            lambda grant: (grant.owner_id, grant.client_id, grant.resource) == wanted
        )

    async def touch(self, grant_id: str, now: datetime) -> bool:
        """Note that it is used; False if it was revoked, or is not there."""
        grant = self._shared.grants.get(grant_id)
        if grant is None or grant.state is GrantState.REVOKED:
            return False
        self._shared.grants[grant_id] = replace(grant, last_used_at=now)
        return True

    async def revoke(self, grant_id: str, now: datetime) -> bool:
        """Revoke it and all its families; False if it was before, or is not there."""
        grant = self._shared.grants.get(grant_id)
        if grant is None or grant.state is GrantState.REVOKED:
            return False
        self._shared.grants[grant_id] = grant.revoked(now)
        self._shared.revoke(now, lambda family: family.grant_id == grant_id)
        return True

    def _standing(self, wanted: Callable[[Grant], bool]) -> list[Grant]:
        found = [
            grant
            for grant in self._shared.grants.values()
            if grant.state is GrantState.GIVEN and wanted(grant)
        ]
        return sorted(found, key=lambda grant: grant.grant_id, reverse=True)


class MemoryCodes:
    """Keeps authorization codes as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def add(self, code: AuthorizationCode) -> None:
        """Keep a new code."""
        self._shared.codes[code.code_hash] = code

    async def find(self, code_hash: bytes) -> AuthorizationCode | None:
        """The code with this hash; spent ones too."""
        await asyncio.sleep(0)
        return self._shared.codes.get(code_hash)

    async def spend(self, code_hash: bytes, now: datetime) -> bool:
        """Spend it; False if somebody was faster."""
        code = self._shared.codes.get(code_hash)
        if code is None or code.spent_at is not None:
            return False
        self._shared.codes[code_hash] = code.spent(now)
        return True

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` that expired before that."""
        ends = {code_hash: code.expires_at for code_hash, code in self._shared.codes.items()}
        return _forget(self._shared.codes, ends, expired_before, limit)


class MemoryRefreshTokens:
    """Keeps families and their refresh tokens as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def begin(self, family: Family) -> None:
        """Keep a new family."""
        self._shared.families[family.family_id] = family

    async def family(self, family_id: str) -> Family | None:
        """The family with this id."""
        return self._shared.families.get(family_id)

    async def add(self, token: RefreshToken) -> None:
        """Keep a new token of a family that is kept."""
        self._shared.refresh_tokens[token.token_hash] = token

    async def lock(self, token_hash: bytes) -> tuple[RefreshToken, Family] | None:
        """The token with this hash; transactions in memory come one at a time."""
        await asyncio.sleep(0)
        token = self._shared.refresh_tokens.get(token_hash)
        return None if token is None else (token, self._shared.families[token.family_id])

    async def replace(self, token_hash: bytes, now: datetime) -> None:
        """Note that there is a next token."""
        token = self._shared.refresh_tokens[token_hash]
        self._shared.refresh_tokens[token_hash] = token.replaced(now)

    async def revoke_family(self, family_id: str, now: datetime) -> bool:
        """Revoke it; False if it was before, or is not there."""
        return self._shared.revoke(now, lambda family: family.family_id == family_id) == 1

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` tokens, and as many families, that expired before that."""
        families = {key: family.expires_at for key, family in self._shared.families.items()}
        gone = _forget(self._shared.families, families, expired_before, limit)
        tokens = {
            # What becomes of a family becomes of its tokens, as with a foreign key.
            key: token.expires_at if token.family_id in self._shared.families else _LONG_AGO
            for key, token in self._shared.refresh_tokens.items()
        }
        return gone + _forget(self._shared.refresh_tokens, tokens, expired_before, limit)


class MemoryRevokedTokens:
    """Keeps what was revoked as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep it in `shared`."""
        self._shared = shared

    async def add(self, jti: str, until: datetime) -> None:
        """Remember it until then."""
        self._shared.revoked_tokens[jti] = until

    async def holds(self, jti: str) -> bool:
        """Whether it was revoked."""
        return jti in self._shared.revoked_tokens

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Forget at most `limit` that expired before that."""
        ends = dict(self._shared.revoked_tokens)
        return _forget(self._shared.revoked_tokens, ends, expired_before, limit)


class MemorySpentAssertions:
    """Keeps which assertions were seen as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def spend(self, name: bytes, until: datetime) -> bool:
        """Remember `name` until then; False if it is remembered already."""
        if name in self._shared.spent_assertions:
            return False
        self._shared.spent_assertions[name] = until
        return True

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Forget at most `limit` that expired before that."""
        ends = dict(self._shared.spent_assertions)
        return _forget(self._shared.spent_assertions, ends, expired_before, limit)


class MemoryAgentKeys:
    """Keeps agents' public keys as long as the process lives."""

    def __init__(self, shared: MemoryOAuth) -> None:
        """Keep them in `shared`."""
        self._shared = shared

    async def of(self, agent_id: str) -> tuple[Jwk, ...]:
        """The keys of an agent, in the order they were given."""
        return self._shared.agent_keys.get(agent_id, ())

    async def replace(self, agent_id: str, jwks: Sequence[Jwk]) -> None:
        """Keep these and no others."""
        self._shared.agent_keys[agent_id] = tuple(jwks)


def _forget(
    kept: dict[K, Any], ends: dict[K, datetime], expired_before: datetime, limit: int
) -> int:
    old = [key for key, end in ends.items() if end < expired_before][:limit]
    for key in old:
        del kept[key]
    return len(old)
