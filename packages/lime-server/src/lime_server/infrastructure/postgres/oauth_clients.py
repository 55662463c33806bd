"""The authorization server's clients, grants and agents' keys in PostgreSQL."""

import json
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.mcp_oauth.model import AuthMethod, Client, ClientKind, Grant, Jwk

_ADD_CLIENT = """
    INSERT INTO modules.oauth_clients
        (client_id, kind, name, redirect_uris, auth_method, grant_types, secret_hash, jwks,
         created_at, last_used_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)
    ON CONFLICT (client_id) DO UPDATE SET
        kind = excluded.kind, name = excluded.name, redirect_uris = excluded.redirect_uris,
        auth_method = excluded.auth_method, grant_types = excluded.grant_types,
        secret_hash = excluded.secret_hash, jwks = excluded.jwks,
        created_at = excluded.created_at, expires_at = excluded.expires_at
"""
_FIND_CLIENT = "SELECT * FROM modules.oauth_clients WHERE client_id = $1"
_TOUCH_CLIENT = """
    UPDATE modules.oauth_clients SET last_used_at = $2 WHERE client_id = $1 AND last_used_at < $2
"""
_DELETE_CLIENT = "DELETE FROM modules.oauth_clients WHERE client_id = $1"
_PRUNE_CLIENTS = """
    DELETE FROM modules.oauth_clients WHERE client_id IN (
        SELECT c.client_id FROM modules.oauth_clients c
        WHERE c.last_used_at < $1 AND NOT EXISTS (
            SELECT FROM modules.oauth_grants g
            WHERE g.client_id = c.client_id AND g.revoked_at IS NULL
        )
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""
_ADD_OR_RENEW = """
    INSERT INTO modules.oauth_grants AS g
        (grant_id, owner_id, agent_id, client_id, client_name, redirect_host, resource, scopes,
         created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (owner_id, agent_id, client_id, resource) WHERE revoked_at IS NULL
    DO UPDATE SET client_name = excluded.client_name, redirect_host = excluded.redirect_host,
        scopes = g.scopes || ARRAY(
            SELECT name FROM unnest(excluded.scopes) WITH ORDINALITY AS new (name, place)
            WHERE name <> ALL (g.scopes) ORDER BY place
        )
    RETURNING *
"""
_FIND_GRANT = "SELECT * FROM modules.oauth_grants WHERE grant_id = $1"
_OF_OWNER = """
    SELECT * FROM modules.oauth_grants
    WHERE owner_id = $1 AND revoked_at IS NULL AND ($2::uuid IS NULL OR grant_id < $2)
    ORDER BY grant_id DESC LIMIT $3
"""
_OF_CLIENT = """
    SELECT * FROM modules.oauth_grants
    WHERE owner_id = $1 AND client_id = $2 AND resource IS NOT DISTINCT FROM $3
        AND revoked_at IS NULL
    ORDER BY grant_id DESC
"""
# Both lock the row: who revokes waits for who uses, and the reverse.
_TOUCH_GRANT = """
    UPDATE modules.oauth_grants SET last_used_at = $2 WHERE grant_id = $1 AND revoked_at IS NULL
"""
_REVOKE_GRANT = """
    UPDATE modules.oauth_grants SET revoked_at = $2 WHERE grant_id = $1 AND revoked_at IS NULL
"""
_REVOKE_FAMILIES = """
    UPDATE modules.oauth_families SET revoked_at = $2 WHERE grant_id = $1 AND revoked_at IS NULL
"""
_KEYS = "SELECT jwks FROM core.agent_keys WHERE agent_id = $1"
_REPLACE_KEYS = """
    INSERT INTO core.agent_keys (agent_id, jwks) VALUES ($1, $2)
    ON CONFLICT (agent_id) DO UPDATE SET jwks = excluded.jwks
"""


class PostgresClients:
    """Keeps clients."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, client: Client) -> None:
        """Keep a client; one with the same id is replaced."""
        await self._database.execute(
            _ADD_CLIENT,
            client.client_id,
            client.kind,
            client.name,
            client.redirect_uris,
            client.auth_method,
            sorted(client.grant_types),
            client.secret_hash,
            _dump(client.jwks),
            client.created_at,
            client.expires_at,
        )

    async def find(self, client_id: str) -> Client | None:
        """The client with this id, as it was kept."""
        row = await self._database.fetchrow(_FIND_CLIENT, client_id)
        return None if row is None else _client(row)

    async def touch(self, client_id: str, now: datetime) -> None:
        """Note that it is used."""
        await self._database.execute(_TOUCH_CLIENT, client_id, now)

    async def delete(self, client_id: str) -> None:
        """Forget it."""
        await self._database.execute(_DELETE_CLIENT, client_id)

    async def prune(self, unused_since: datetime, *, limit: int) -> int:
        """Forget at most `limit` clients without a given grant that were last used before that."""
        return _count(await self._database.execute(_PRUNE_CLIENTS, unused_since, limit))


class PostgresGrants:
    """Keeps consents."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add_or_renew(self, grant: Grant) -> Grant:
        """Keep a grant, and return it as it is kept."""
        row = await self._database.fetchrow(
            _ADD_OR_RENEW,
            grant.grant_id,
            grant.owner_id,
            grant.agent_id,
            grant.client_id,
            grant.client_name,
            grant.redirect_host,
            grant.resource,
            grant.scopes,
            grant.created_at,
        )
        assert row is not None  # noqa: S101 - one row is inserted or updated
        return _grant(row)

    async def find(self, grant_id: str) -> Grant | None:
        """The grant with this id; revoked ones too."""
        row = await self._database.fetchrow(_FIND_GRANT, grant_id)
        return None if row is None else _grant(row)

    async def of_owner(self, owner_id: str, *, before: str | None, limit: int) -> Sequence[Grant]:
        """At most `limit` of this owner's grants that stand, newest first."""
        rows = await self._database.fetch(_OF_OWNER, owner_id, before, limit)
        return [_grant(row) for row in rows]

    async def of_client(
        self, owner_id: str, client_id: str, resource: str | None
    ) -> Sequence[Grant]:
        """This owner's grants to this client at this resource that stand, newest first."""
        rows = await self._database.fetch(_OF_CLIENT, owner_id, client_id, resource)
        return [_grant(row) for row in rows]

    async def touch(self, grant_id: str, now: datetime) -> bool:
        """Note that it is used; False if it was revoked, or is not there."""
        return _count(await self._database.execute(_TOUCH_GRANT, grant_id, now)) == 1

    async def revoke(self, grant_id: str, now: datetime) -> bool:
        """Revoke it and all its families; False if it was before, or is not there."""
        async with self._database.transaction():
            tag = await self._database.execute(_REVOKE_GRANT, grant_id, now)
            await self._database.execute(_REVOKE_FAMILIES, grant_id, now)
        return _count(tag) == 1


class PostgresAgentKeys:
    """Keeps agents' public keys."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def of(self, agent_id: str) -> tuple[Jwk, ...]:
        """The keys of an agent, in the order they were given."""
        text = await self._database.fetchval(_KEYS, agent_id)
        return () if text is None else tuple(json.loads(text))

    async def replace(self, agent_id: str, jwks: Sequence[Jwk]) -> None:
        """Keep these and no others."""
        await self._database.execute(_REPLACE_KEYS, agent_id, _dump(jwks))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _dump(jwks: Sequence[Jwk]) -> str:
    return json.dumps([dict(jwk) for jwk in jwks])


def _client(row: asyncpg.Record) -> Client:
    return Client(
        client_id=row["client_id"],
        kind=ClientKind(row["kind"]),
        name=row["name"],
        redirect_uris=tuple(row["redirect_uris"]),
        auth_method=AuthMethod(row["auth_method"]),
        grant_types=frozenset(row["grant_types"]),
        secret_hash=row["secret_hash"],
        jwks=tuple(json.loads(row["jwks"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _grant(row: asyncpg.Record) -> Grant:
    return Grant(
        grant_id=row["grant_id"],
        owner_id=row["owner_id"],
        agent_id=row["agent_id"],
        client_id=row["client_id"],
        client_name=row["client_name"],
        redirect_host=row["redirect_host"],
        resource=row["resource"],
        scopes=tuple(row["scopes"]),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
