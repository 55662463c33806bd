"""Agents, sites and their tokens in PostgreSQL, as their owners see and change them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from lime_server.core.agents import Agent
from lime_server.core.held_tokens import HeldToken
from lime_server.core.tokens import TokenKind
from lime_server.foundation.sites import Site
from lime_server.infrastructure.postgres.identities import (
    AGENT_COLUMNS,
    AGENT_TABLES,
    SITE_COLUMNS,
    SITE_TABLES,
    agent_of,
    agent_or_none,
)
from lime_server.infrastructure.postgres.pool import Database

_LOCK_OWNER = "SELECT FROM foundation.owners WHERE owner_id = $1 FOR NO KEY UPDATE"
_LOCK_AGENT = f"""
    SELECT {AGENT_COLUMNS} FROM {AGENT_TABLES}
    WHERE a.agent_id = $2 AND a.owner_id = $1 AND a.deleted_at IS NULL
    FOR NO KEY UPDATE OF a
"""  # noqa: S608 - constants
_PAGE_OF_AGENTS = f"""
    SELECT {AGENT_COLUMNS} FROM {AGENT_TABLES}
    WHERE a.owner_id = $1 AND a.deleted_at IS NULL AND ($2::uuid IS NULL OR a.agent_id < $2)
    ORDER BY a.agent_id DESC LIMIT $3
"""  # noqa: S608 - constants
_LOCK_SITE = f"""
    SELECT {SITE_COLUMNS} FROM {SITE_TABLES}
    WHERE s.site_id = $2 AND s.owner_id = $1 AND s.deleted_at IS NULL
    FOR NO KEY UPDATE OF s
"""  # noqa: S608 - constants
_PAGE_OF_SITES = f"""
    SELECT {SITE_COLUMNS} FROM {SITE_TABLES}
    WHERE s.owner_id = $1 AND s.deleted_at IS NULL AND ($2::uuid IS NULL OR s.site_id < $2)
    ORDER BY s.site_id DESC LIMIT $3
"""  # noqa: S608 - constants


class PostgresAgentRegistry:
    """What owners do with agents."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def lock(self, owner_id: str, agent_id: str) -> Agent | None:
        """This owner's agent, which nobody else changes until the transaction ends."""
        return agent_or_none(await self._database.fetchrow(_LOCK_AGENT, owner_id, agent_id))

    async def page(self, owner_id: str, *, before: str | None, limit: int) -> list[Agent]:
        """At most `limit` of this owner's agents, newest first, with ids below `before`."""
        rows = await self._database.fetch(_PAGE_OF_AGENTS, owner_id, before, limit)
        return [agent_of(row) for row in rows]

    async def count(self, owner_id: str) -> int:
        """How many agents this owner has; nobody else counts until the transaction ends."""
        # A statement of its own: the count must see what those before us have written.
        await self._database.execute(_LOCK_OWNER, owner_id)
        query = "SELECT count(*) FROM core.agents WHERE owner_id = $1 AND deleted_at IS NULL"
        return int(await self._database.fetchval(query, owner_id))

    async def change(self, agent: Agent) -> None:
        """Write what an owner may change."""
        await self._database.execute(
            "UPDATE core.agents SET display_name = $2, description = $3, avatar_url = $4, "
            "active = $5, capabilities = $6 WHERE agent_id = $1 AND deleted_at IS NULL",
            agent.agent_id,
            agent.display_name,
            agent.description,
            agent.avatar_url,
            agent.active,
            sorted(agent.capabilities),
        )

    async def bury(self, agent_id: str, now: datetime) -> None:
        """Delete it: its tokens go, and it is switched off."""
        await self._database.execute(
            "WITH gone AS (DELETE FROM core.agent_tokens WHERE agent_id = $1) "
            "UPDATE core.agents SET active = false, deleted_at = $2 WHERE agent_id = $1",
            agent_id,
            now,
        )


class PostgresSiteRegistry:
    """What owners do with sites."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def lock(self, owner_id: str, site_id: str) -> Site | None:
        """This owner's site, which nobody else changes until the transaction ends."""
        row = await self._database.fetchrow(_LOCK_SITE, owner_id, site_id)
        return None if row is None else Site(**row)

    async def page(self, owner_id: str, *, before: str | None, limit: int) -> list[Site]:
        """At most `limit` of this owner's sites, newest first, with ids below `before`."""
        rows = await self._database.fetch(_PAGE_OF_SITES, owner_id, before, limit)
        return [Site(**row) for row in rows]

    async def count(self, owner_id: str) -> int:
        """How many sites this owner has; nobody else counts until the transaction ends."""
        # A statement of its own: the count must see what those before us have written.
        await self._database.execute(_LOCK_OWNER, owner_id)
        query = "SELECT count(*) FROM foundation.sites WHERE owner_id = $1 AND deleted_at IS NULL"
        return int(await self._database.fetchval(query, owner_id))

    async def change(self, site: Site) -> None:
        """Write what an owner may change."""
        await self._database.execute(
            "UPDATE foundation.sites SET display_name = $2, active = $3, domain = $4, "
            "domain_verified = $5 WHERE site_id = $1 AND deleted_at IS NULL",
            site.site_id,
            site.display_name,
            site.active,
            site.domain,
            site.domain_verified,
        )

    async def set_redirect_uris(self, site_id: str, uris: tuple[str, ...]) -> None:
        """Replace the list."""
        await self._database.execute(
            "UPDATE foundation.sites SET redirect_uris = $2 WHERE site_id = $1", site_id, list(uris)
        )

    async def bury(self, site_id: str, now: datetime) -> None:
        """Delete it: its tokens go, and it is switched off."""
        await self._database.execute(
            "WITH gone AS (DELETE FROM foundation.site_tokens WHERE site_id = $1) "
            "UPDATE foundation.sites SET active = false, deleted_at = $2 WHERE site_id = $1",
            site_id,
            now,
        )


class PostgresHeldTokens:
    """The tokens of agents, or of sites."""

    def __init__(self, database: Database, kind: TokenKind) -> None:
        """Keep those of `kind` in `database`."""
        self._database = database
        # Three constants each, which is what makes composing them safe.
        tokens, holders, ident = _TABLES[kind]
        self._list = (
            f"SELECT token_id, created_at, last_used_at, expires_at FROM {tokens} "  # noqa: S608 - _TABLES
            f"WHERE {ident} = $1 AND (expires_at IS NULL OR expires_at > $2) "
            "ORDER BY created_at DESC, token_id DESC"
        )
        self._forget = f"DELETE FROM {tokens} WHERE {ident} = $1 AND expires_at <= $2"  # noqa: S608 - _TABLES
        self._expire = (
            f"UPDATE {tokens} SET expires_at = $2 "  # noqa: S608 - _TABLES
            f"WHERE {ident} = $1 AND (expires_at IS NULL OR expires_at > $2)"
        )
        self._add = (
            f"INSERT INTO {tokens} (token_hash, {ident}, token_id, created_at) "  # noqa: S608 - _TABLES
            "VALUES ($1, $2, $3, $4)"
        )
        # Two servers never wait for each other here: what one is writing, the other leaves out.
        self._touch = f"""
            WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
            due AS (
                SELECT t.token_hash, u.used_at FROM relaxed, {tokens} t
                JOIN unnest($1::bytea[], $2::timestamptz[]) AS u (token_hash, used_at)
                    ON u.token_hash = t.token_hash
                WHERE t.last_used_at IS NULL OR t.last_used_at <= u.used_at - $3::interval
                FOR UPDATE OF t SKIP LOCKED
            ), touched AS (
                UPDATE {tokens} t SET last_used_at = due.used_at FROM due
                WHERE t.token_hash = due.token_hash
                RETURNING t.{ident} AS holder, due.used_at
            ), latest AS (
                SELECT holder, max(used_at) AS used_at FROM touched GROUP BY holder
            )
            UPDATE {holders} h SET last_used_at = greatest(h.last_used_at, latest.used_at)
            FROM latest WHERE h.{ident} = latest.holder
        """  # noqa: S608 - constants

    async def of(self, holder_id: str, now: datetime) -> list[HeldToken]:
        """Those that work at `now`, newest first."""
        rows = await self._database.fetch(self._list, holder_id, now)
        return [HeldToken(**row) for row in rows]

    async def rotate(
        self, holder_id: str, new: HeldToken, token_hash: bytes, *, old_until: datetime
    ) -> None:
        """Keep `new`; the others expire at `old_until`, or earlier where they did already."""
        async with self._database.transaction():
            await self._database.execute(self._forget, holder_id, new.created_at)
            await self._database.execute(self._expire, holder_id, old_until)
            await self._database.execute(
                self._add, token_hash, holder_id, new.token_id, new.created_at
            )

    async def touch(self, uses: Mapping[bytes, datetime], *, every: timedelta) -> None:
        """Note when tokens, by hash, were last used; of their holders too."""
        await self._database.execute(self._touch, list(uses), list(uses.values()), every)


_TABLES = {
    TokenKind.AGENT: ("core.agent_tokens", "core.agents", "agent_id"),
    TokenKind.SITE: ("foundation.site_tokens", "foundation.sites", "site_id"),
}
