"""The authorization server's codes and tokens, and what was revoked or spent, in PostgreSQL."""

from datetime import datetime

import asyncpg

from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.mcp_oauth.model import AuthorizationCode, Family, RefreshToken

_ADD_CODE = """
    INSERT INTO modules.oauth_codes
        (code_hash, grant_id, family_id, client_id, redirect_uri, code_challenge, resource, scopes,
         expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_FIND_CODE = "SELECT * FROM modules.oauth_codes WHERE code_hash = $1"
# Who comes second waits for the first one's row lock, then finds that it is spent.
_SPEND_CODE = """
    UPDATE modules.oauth_codes SET spent_at = $2 WHERE code_hash = $1 AND spent_at IS NULL
"""
_ADD_FAMILY = """
    INSERT INTO modules.oauth_families (family_id, grant_id, expires_at) VALUES ($1, $2, $3)
"""
_FAMILY = "SELECT * FROM modules.oauth_families WHERE family_id = $1"
_ADD_REFRESH = """
    INSERT INTO modules.oauth_refresh_tokens
        (token_hash, family_id, client_id, resource, scopes, issued_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
# The grant's row first, as whoever revokes it does; what was read before it was locked may be old.
_LOCK_GRANT = """
    SELECT grant_id FROM modules.oauth_grants WHERE grant_id = (
        SELECT f.grant_id FROM modules.oauth_refresh_tokens t
        JOIN modules.oauth_families f ON f.family_id = t.family_id
        WHERE t.token_hash = $1
    )
    FOR UPDATE
"""
_READ_REFRESH = """
    SELECT t.*, f.grant_id, f.expires_at AS family_expires_at, f.revoked_at
    FROM modules.oauth_refresh_tokens t
    JOIN modules.oauth_families f ON f.family_id = t.family_id
    WHERE t.token_hash = $1
"""
_REPLACE = """
    UPDATE modules.oauth_refresh_tokens SET replaced_at = $2
    WHERE token_hash = $1 AND replaced_at IS NULL
"""
_REVOKE_FAMILY = """
    UPDATE modules.oauth_families SET revoked_at = $2 WHERE family_id = $1 AND revoked_at IS NULL
"""
_ADD_REVOKED = """
    INSERT INTO modules.oauth_revoked_tokens (jti, expires_at) VALUES ($1, $2)
    ON CONFLICT (jti) DO NOTHING
"""
_IS_REVOKED = "SELECT EXISTS (SELECT FROM modules.oauth_revoked_tokens WHERE jti = $1)"
# Who comes second waits until the first one's transaction has ended.
_SPEND_ASSERTION = """
    INSERT INTO modules.oauth_spent_assertions (name, expires_at) VALUES ($1, $2)
    ON CONFLICT (name) DO NOTHING
"""


def _prune(table: str, key: str) -> str:
    """A statement that deletes what expired; both names are constants of this module."""
    return f"""
        DELETE FROM modules.{table} WHERE {key} IN (
            SELECT {key} FROM modules.{table} WHERE expires_at < $1
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
    """  # noqa: S608 - constants


_PRUNE_CODES = _prune("oauth_codes", "code_hash")
_PRUNE_FAMILIES = _prune("oauth_families", "family_id")
_PRUNE_TOKENS = _prune("oauth_refresh_tokens", "token_hash")
_PRUNE_REVOKED = _prune("oauth_revoked_tokens", "jti")
_PRUNE_ASSERTIONS = _prune("oauth_spent_assertions", "name")


class PostgresCodes:
    """Keeps authorization codes; each is spent once."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, code: AuthorizationCode) -> None:
        """Keep a new code."""
        await self._database.execute(
            _ADD_CODE,
            code.code_hash,
            code.grant_id,
            code.family_id,
            code.client_id,
            code.redirect_uri,
            code.code_challenge,
            code.resource,
            code.scopes,
            code.expires_at,
        )

    async def find(self, code_hash: bytes) -> AuthorizationCode | None:
        """The code with this hash; spent ones too."""
        row = await self._database.fetchrow(_FIND_CODE, code_hash)
        return None if row is None else _code(row)

    async def spend(self, code_hash: bytes, now: datetime) -> bool:
        """Spend it; False if somebody was faster."""
        return _count(await self._database.execute(_SPEND_CODE, code_hash, now)) == 1

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` that expired before that."""
        return _count(await self._database.execute(_PRUNE_CODES, expired_before, limit))


class PostgresRefreshTokens:
    """Keeps families and their refresh tokens."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def begin(self, family: Family) -> None:
        """Keep a new family."""
        await self._database.execute(
            _ADD_FAMILY, family.family_id, family.grant_id, family.expires_at
        )

    async def family(self, family_id: str) -> Family | None:
        """The family with this id."""
        row = await self._database.fetchrow(_FAMILY, family_id)
        return None if row is None else _family(row, row["expires_at"])

    async def add(self, token: RefreshToken) -> None:
        """Keep a new token of a family that is kept."""
        await self._database.execute(
            _ADD_REFRESH,
            token.token_hash,
            token.family_id,
            token.client_id,
            token.resource,
            token.scopes,
            token.issued_at,
            token.expires_at,
        )

    async def lock(self, token_hash: bytes) -> tuple[RefreshToken, Family] | None:
        """The token with this hash, and its family."""
        await self._database.fetchval(_LOCK_GRANT, token_hash)
        row = await self._database.fetchrow(_READ_REFRESH, token_hash)
        return None if row is None else (_token(row), _family(row, row["family_expires_at"]))

    async def replace(self, token_hash: bytes, now: datetime) -> None:
        """Note that there is a next token."""
        await self._database.execute(_REPLACE, token_hash, now)

    async def revoke_family(self, family_id: str, now: datetime) -> bool:
        """Revoke it; False if it was before, or is not there."""
        return _count(await self._database.execute(_REVOKE_FAMILY, family_id, now)) == 1

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` tokens, and as many families, that expired before that."""
        families = await self._database.execute(_PRUNE_FAMILIES, expired_before, limit)
        tokens = await self._database.execute(_PRUNE_TOKENS, expired_before, limit)
        return _count(families) + _count(tokens)


class PostgresRevokedTokens:
    """Keeps which access tokens were revoked."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, jti: str, until: datetime) -> None:
        """Remember it until then."""
        await self._database.execute(_ADD_REVOKED, jti, until)

    async def holds(self, jti: str) -> bool:
        """Whether it was revoked."""
        return bool(await self._database.fetchval(_IS_REVOKED, jti))

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Forget at most `limit` that expired before that."""
        return _count(await self._database.execute(_PRUNE_REVOKED, expired_before, limit))


class PostgresSpentAssertions:
    """Keeps which assertions were seen, by whatever server."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def spend(self, name: bytes, until: datetime) -> bool:
        """Remember `name` until then; False if it is remembered already."""
        return _count(await self._database.execute(_SPEND_ASSERTION, name, until)) == 1

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Forget at most `limit` that expired before that."""
        return _count(await self._database.execute(_PRUNE_ASSERTIONS, expired_before, limit))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _code(row: asyncpg.Record) -> AuthorizationCode:
    return AuthorizationCode(
        code_hash=row["code_hash"],
        grant_id=row["grant_id"],
        family_id=row["family_id"],
        client_id=row["client_id"],
        redirect_uri=row["redirect_uri"],
        code_challenge=row["code_challenge"],
        resource=row["resource"],
        scopes=tuple(row["scopes"]),
        expires_at=row["expires_at"],
        spent_at=row["spent_at"],
    )


def _family(row: asyncpg.Record, expires_at: datetime) -> Family:
    return Family(
        family_id=row["family_id"],
        grant_id=row["grant_id"],
        expires_at=expires_at,
        revoked_at=row["revoked_at"],
    )


def _token(row: asyncpg.Record) -> RefreshToken:
    return RefreshToken(
        token_hash=row["token_hash"],
        grant_id=row["grant_id"],
        family_id=row["family_id"],
        client_id=row["client_id"],
        resource=row["resource"],
        scopes=tuple(row["scopes"]),
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
        replaced_at=row["replaced_at"],
    )
