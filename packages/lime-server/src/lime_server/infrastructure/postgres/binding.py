"""Agent bindings in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.binding.model import (
    AskingSite,
    Binding,
    BindingState,
    EndedBy,
    KnownBinding,
)

_COLUMNS = """
    b.binding_id, b.site_id, b.state, b.redirect_uri, b.browser_state, b.code_challenge,
    b.created_at, b.expires_at, b.owner_id, b.agent_id, b.code_hash, b.decided_at, b.bound_at,
    b.ended_at, b.ended_by,
    s.display_name AS site_name, s.domain, s.domain_verified, a.display_name AS agent_name
"""
_TABLES = """
    modules.bindings b
    JOIN foundation.sites s ON s.site_id = b.site_id
    LEFT JOIN core.agents a ON a.agent_id = b.agent_id
"""
_ADD = """
    INSERT INTO modules.bindings
        (binding_id, site_id, state, redirect_uri, browser_state, code_challenge, created_at,
         expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
# The pieces above are constants of this module, which is what makes composing them safe.
_FIND = f"SELECT {_COLUMNS} FROM {_TABLES} WHERE b.binding_id = $1"  # noqa: S608 - constants
_BY_CODE = f"SELECT {_COLUMNS} FROM {_TABLES} WHERE b.code_hash = $1"  # noqa: S608 - constants
# Who comes second waits for the first one's row lock, then finds that `state` no longer matches.
_REPLACE = """
    UPDATE modules.bindings
    SET state = $3, expires_at = $4, owner_id = $5, agent_id = $6, code_hash = $7,
        decided_at = $8, bound_at = $9, ended_at = $10, ended_by = $11
    WHERE binding_id = $1 AND state = $2
"""
_MADE = "b.state IN ('ACTIVE', 'ENDED') AND ($2::uuid IS NULL OR b.binding_id < $2)"
_OF_OWNER = f"""
    SELECT {_COLUMNS} FROM {_TABLES} WHERE b.owner_id = $1 AND {_MADE}
    ORDER BY b.binding_id DESC LIMIT $3
"""  # noqa: S608 - constants
_OF_SITE = f"""
    SELECT {_COLUMNS} FROM {_TABLES} WHERE b.site_id = $1 AND {_MADE}
    ORDER BY b.binding_id DESC LIMIT $3
"""  # noqa: S608 - constants
_PRUNE = """
    DELETE FROM modules.bindings WHERE binding_id IN (
        SELECT binding_id FROM modules.bindings
        WHERE state NOT IN ('ACTIVE', 'ENDED') AND expires_at < $1
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""


class PostgresBindings:
    """Keeps bindings; each leaves a state once."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, binding: Binding) -> None:
        """Keep a new binding."""
        await self._database.execute(
            _ADD,
            binding.binding_id,
            binding.site_id,
            binding.state,
            binding.redirect_uri,
            binding.browser_state,
            binding.code_challenge,
            binding.created_at,
            binding.expires_at,
        )

    async def find(self, binding_id: str) -> KnownBinding | None:
        """The binding as it was last written."""
        row = await self._database.fetchrow(_FIND, binding_id)
        return None if row is None else _known(row)

    async def by_code(self, code_hash: bytes) -> KnownBinding | None:
        """The binding whose code, not exchanged yet, has this hash."""
        row = await self._database.fetchrow(_BY_CODE, code_hash)
        return None if row is None else _known(row)

    async def replace(self, old: Binding, new: Binding) -> bool:
        """Write `new` if the state is still that of `old`."""
        tag = await self._database.execute(
            _REPLACE,
            old.binding_id,
            old.state,
            new.state,
            new.expires_at,
            new.owner_id,
            new.agent_id,
            new.code_hash,
            new.decided_at,
            new.bound_at,
            new.ended_at,
            new.ended_by,
        )
        return tag == "UPDATE 1"

    async def of_owner(
        self, owner_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """At most `limit` bindings that this owner made, latest request first."""
        rows = await self._database.fetch(_OF_OWNER, owner_id, before, limit)
        return [_known(row) for row in rows]

    async def of_site(
        self, site_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """The same, for a site."""
        rows = await self._database.fetch(_OF_SITE, site_id, before, limit)
        return [_known(row) for row in rows]

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` requests that led to nothing and expired before that."""
        tag = await self._database.execute(_PRUNE, expired_before, limit)
        return int(tag.rpartition(" ")[2])


def _known(row: asyncpg.Record) -> KnownBinding:
    binding = Binding(
        binding_id=row["binding_id"],
        site_id=row["site_id"],
        state=BindingState(row["state"]),
        redirect_uri=row["redirect_uri"],
        browser_state=row["browser_state"],
        code_challenge=row["code_challenge"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        owner_id=row["owner_id"],
        agent_id=row["agent_id"],
        code_hash=row["code_hash"],
        decided_at=row["decided_at"],
        bound_at=row["bound_at"],
        ended_at=row["ended_at"],
        ended_by=None if row["ended_by"] is None else EndedBy(row["ended_by"]),
    )
    site = AskingSite(row["site_id"], row["site_name"], row["domain"], row["domain_verified"])
    return KnownBinding(binding, site, row["agent_name"])
