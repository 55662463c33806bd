"""Owners, agents and sites in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import asyncpg

from lime_server.core.agents import Agent
from lime_server.core.errors import Conflict, NotFound
from lime_server.foundation.owners import Owner
from lime_server.foundation.sites import Site
from lime_server.infrastructure.grouping import Grouped
from lime_server.infrastructure.postgres.pool import Database

OWNER_COLUMNS = """
    o.owner_id, o.email, o.kyc_level, o.suspended, o.created_at, o.operator, o.email_verified
"""
AGENT_COLUMNS = """
    a.agent_id, a.owner_id, a.display_name, a.description, a.avatar_url, a.active, a.created_at,
    ao.suspended AS owner_suspended, ao.kyc_level, a.suspended,
    a.capabilities, a.last_used_at
"""
AGENT_TABLES = "core.agents a JOIN foundation.owners ao ON ao.owner_id = a.owner_id"
SITE_COLUMNS = """
    s.site_id, s.owner_id, s.display_name, s.domain, s.domain_verified,
    s.suspended OR so.suspended OR NOT s.active AS suspended, s.created_at, s.active, s.last_used_at
"""
SITE_TABLES = "foundation.sites s JOIN foundation.owners so ON so.owner_id = s.owner_id"

# The pieces above are constants of this module, which is what makes composing them safe.
_OWNER_BY_EMAIL = f"SELECT {OWNER_COLUMNS} FROM foundation.owners o WHERE o.email = $1"  # noqa: S608 - constants
_OWNER_BY_ID = f"SELECT {OWNER_COLUMNS} FROM foundation.owners o WHERE o.owner_id = $1"  # noqa: S608 - constants
_AGENTS_BY_TOKEN = f"""
    SELECT t.token_hash, {AGENT_COLUMNS}
    FROM {AGENT_TABLES} JOIN core.agent_tokens t ON t.agent_id = a.agent_id
    WHERE t.token_hash = ANY ($1::bytea[]) AND (t.expires_at IS NULL OR t.expires_at > $2)
"""  # noqa: S608 - constants
_AGENT_BY_ID = f"""
    SELECT {AGENT_COLUMNS} FROM {AGENT_TABLES} WHERE a.agent_id = $1 AND a.deleted_at IS NULL
"""  # noqa: S608 - constants
_SITE_BY_ID = f"""
    SELECT {SITE_COLUMNS} FROM {SITE_TABLES} WHERE s.site_id = $1 AND s.deleted_at IS NULL
"""  # noqa: S608 - constants
_REDIRECT_URIS = """
    SELECT site_id, redirect_uris FROM foundation.sites WHERE site_id = ANY ($1::uuid[])
"""
_SITES_BY_TOKEN = f"""
    SELECT t.token_hash, {SITE_COLUMNS}
    FROM {SITE_TABLES} JOIN foundation.site_tokens t ON t.site_id = s.site_id
    WHERE t.token_hash = ANY ($1::bytea[]) AND (t.expires_at IS NULL OR t.expires_at > $2)
"""  # noqa: S608 - constants
# Both are asked about every site that is connected, and all but a few of them are fine: only those
# few come back.
_SITES_NOT_IN_GOOD_STANDING = f"""
    SELECT w.site_id FROM unnest($1::uuid[]) AS w (site_id)
    WHERE NOT EXISTS (
        SELECT FROM {SITE_TABLES}
        WHERE s.site_id = w.site_id AND NOT s.suspended AND NOT so.suspended AND s.active
    )
"""  # noqa: S608 - constants
_SPENT_TOKENS = """
    SELECT w.token_hash FROM unnest($1::bytea[]) AS w (token_hash)
    WHERE NOT EXISTS (
        SELECT FROM foundation.site_tokens t
        WHERE t.token_hash = w.token_hash AND (t.expires_at IS NULL OR t.expires_at > $2)
    )
"""

# One statement each: a holder without a token, or the reverse, cannot exist.
_ADD_AGENT = """
    WITH added AS (
        INSERT INTO core.agents
            (agent_id, owner_id, display_name, description, avatar_url, active, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        RETURNING agent_id, created_at
    )
    INSERT INTO core.agent_tokens (token_hash, agent_id, created_at)
    SELECT $8, agent_id, created_at FROM added
"""
_ADD_SITE = """
    WITH added AS (
        INSERT INTO foundation.sites
            (site_id, owner_id, display_name, domain, domain_verified, suspended, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        RETURNING site_id, created_at
    )
    INSERT INTO foundation.site_tokens (token_hash, site_id, created_at)
    SELECT $8, site_id, created_at FROM added
"""


class PostgresOwners:
    """Keeps owners."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, owner: Owner) -> None:
        """Keep a new owner. Raises `core.errors.Conflict` if the address is taken."""
        try:
            await self._database.execute(
                "INSERT INTO foundation.owners (owner_id, email, kyc_level, suspended, created_at, "
                "operator, email_verified) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                owner.owner_id,
                owner.email,
                owner.kyc_level,
                owner.suspended,
                owner.created_at,
                owner.operator,
                owner.email_verified,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict("There is an owner with this address.") from error

    async def by_email(self, email: str) -> Owner | None:
        """The owner with this address, in lower case."""
        row = await self._database.fetchrow(_OWNER_BY_EMAIL, email)
        return None if row is None else Owner(**row)

    async def by_id(self, owner_id: str) -> Owner | None:
        """The owner with this id."""
        row = await self._database.fetchrow(_OWNER_BY_ID, owner_id)
        return None if row is None else Owner(**row)


class PostgresAgents:
    """Keeps agents and the hashes of their tokens."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database
        self._by_token = Grouped(self._by_tokens)

    async def add(self, agent: Agent, token_hash: bytes) -> None:
        """Keep a new agent. Raises `core.errors.NotFound` if there is no such owner."""
        try:
            await self._database.execute(
                _ADD_AGENT,
                agent.agent_id,
                agent.owner_id,
                agent.display_name,
                agent.description,
                agent.avatar_url,
                agent.active,
                agent.created_at,
                token_hash,
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("There is no such owner.") from error

    async def by_token(self, token_hash: bytes, now: datetime) -> Agent | None:
        """The agent whose token, which works at `now`, has this hash."""
        return await self._by_token((token_hash, now))

    async def _by_tokens(self, asked: list[tuple[bytes, datetime]]) -> Sequence[Agent | None]:
        rows = await self._database.fetch(_AGENTS_BY_TOKEN, *_hashes_and_time(asked))
        found = {row["token_hash"]: agent_of(row) for row in rows}
        return [found.get(token_hash) for token_hash, _ in asked]

    async def by_id(self, agent_id: str) -> Agent | None:
        """The agent with this id, unless it was deleted."""
        return agent_or_none(await self._database.fetchrow(_AGENT_BY_ID, agent_id))


class PostgresSites:
    """Keeps sites and the hashes of their tokens."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database
        self._by_token = Grouped(self._by_tokens)

    async def add(self, site: Site, token_hash: bytes) -> None:
        """Keep a new site. Raises `core.errors.NotFound` if there is no such owner."""
        try:
            await self._database.execute(
                _ADD_SITE,
                site.site_id,
                site.owner_id,
                site.display_name,
                site.domain,
                site.domain_verified,
                site.suspended,
                site.created_at,
                token_hash,
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("There is no such owner.") from error

    async def by_token(self, token_hash: bytes, now: datetime) -> Site | None:
        """The site whose token, which works at `now`, has this hash."""
        return await self._by_token((token_hash, now))

    async def _by_tokens(self, asked: list[tuple[bytes, datetime]]) -> Sequence[Site | None]:
        rows = await self._database.fetch(_SITES_BY_TOKEN, *_hashes_and_time(asked))
        found = {row["token_hash"]: site_of(row) for row in rows}
        return [found.get(token_hash) for token_hash, _ in asked]

    async def by_id(self, site_id: str) -> Site | None:
        """The site with this id, unless it was deleted."""
        row = await self._database.fetchrow(_SITE_BY_ID, site_id)
        return None if row is None else site_of(row)

    async def redirect_uris(self, site_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Where browsers may be sent back to, for each of these sites that there is."""
        rows = await self._database.fetch(_REDIRECT_URIS, list(site_ids))
        return {row["site_id"]: tuple(row["redirect_uris"]) for row in rows}

    async def suspended(self, site_ids: Collection[str]) -> set[str]:
        """Those of `site_ids` that are suspended, or no longer there."""
        rows = await self._database.fetch(_SITES_NOT_IN_GOOD_STANDING, list(site_ids))
        return {row["site_id"] for row in rows}

    async def spent(self, token_hashes: Collection[bytes], now: datetime) -> set[bytes]:
        """Those of these tokens, by hash, that let no site in at `now` (any more)."""
        rows = await self._database.fetch(_SPENT_TOKENS, list(token_hashes), now)
        return {row["token_hash"] for row in rows}


def _hashes_and_time(asked: list[tuple[bytes, datetime]]) -> tuple[list[bytes], datetime]:
    """What a group asks: each hash once, and at the latest of their moments, a few µs apart."""
    return list({token_hash for token_hash, _ in asked}), max(now for _, now in asked)


def agent_of(row: asyncpg.Record) -> Agent:
    """An agent from a row that has AGENT_COLUMNS."""
    return Agent(
        agent_id=row["agent_id"],
        owner_id=row["owner_id"],
        display_name=row["display_name"],
        description=row["description"],
        avatar_url=row["avatar_url"],
        active=row["active"],
        created_at=row["created_at"],
        owner_suspended=row["owner_suspended"],
        kyc_level=row["kyc_level"],
        suspended=row["suspended"],
        capabilities=frozenset(row["capabilities"]),
        last_used_at=row["last_used_at"],
    )


def site_of(row: asyncpg.Record) -> Site:
    """A site from a row that has SITE_COLUMNS."""
    return Site(
        site_id=row["site_id"],
        owner_id=row["owner_id"],
        display_name=row["display_name"],
        domain=row["domain"],
        domain_verified=row["domain_verified"],
        suspended=row["suspended"],
        created_at=row["created_at"],
        active=row["active"],
        last_used_at=row["last_used_at"],
    )


def agent_or_none(row: asyncpg.Record | None) -> Agent | None:
    """The same, if there is a row."""
    return None if row is None else agent_of(row)
