"""What operators see and change, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lime_server.foundation.operators import Holding, Kind, Standing
from lime_server.foundation.owners import Owner
from lime_server.infrastructure.postgres.identities import OWNER_COLUMNS
from lime_server.infrastructure.postgres.pool import Database


class _Table(NamedTuple):
    name: str
    key: str
    condition: str
    """Of those that can be suspended: what was deleted cannot."""


_TABLES: Mapping[Kind, _Table] = {
    Kind.OWNER: _Table("foundation.owners", "owner_id", "true"),
    Kind.AGENT: _Table("core.agents", "agent_id", "deleted_at IS NULL"),
    Kind.SITE: _Table("foundation.sites", "site_id", "deleted_at IS NULL"),
}
# Always all of them and in the same order, so that two transactions never wait for each other.
_OPERATORS = """
    SELECT owner_id, suspended FROM foundation.owners WHERE operator
    ORDER BY owner_id FOR NO KEY UPDATE
"""
# `strpos` rather than LIKE: nothing in the text has a meaning of its own.
_SEARCH = f"""
    SELECT {OWNER_COLUMNS} FROM foundation.owners o
    WHERE (strpos(o.email, $1) > 0 OR o.owner_id::text = $1)
        AND ($2::uuid IS NULL OR o.owner_id < $2)
    ORDER BY o.owner_id DESC LIMIT $3
"""  # noqa: S608 - constants
_OWNER = f"SELECT {OWNER_COLUMNS} FROM foundation.owners o WHERE o.owner_id = $1"  # noqa: S608 - constants


class PostgresOperators:
    """Reads and changes standings."""

    def __init__(self, database: Database) -> None:
        """Those in `database`."""
        self._database = database

    async def operators(self) -> set[str]:
        """Operators who are not suspended; all operators are locked until the transaction ends."""
        rows = await self._database.fetch(_OPERATORS)
        return {row["owner_id"] for row in rows if not row["suspended"]}

    async def search(self, text: str, *, cursor: str | None, limit: int) -> Sequence[Owner]:
        """At most `limit` owners, newest first."""
        if "\0" in text:
            return []  # PostgreSQL has no such text, and refuses to look for one.
        rows = await self._database.fetch(_SEARCH, text, cursor, limit)
        return [Owner(**row) for row in rows]

    async def owner(self, owner_id: str) -> Owner | None:
        """The owner with this id."""
        row = await self._database.fetchrow(_OWNER, owner_id)
        return None if row is None else Owner(**row)

    async def holdings(self, owner_id: str, *, limit: int) -> Sequence[Holding]:
        """At most `limit` agents and as many sites of this owner, newest first."""
        found: list[Holding] = []
        for kind in (Kind.AGENT, Kind.SITE):
            table = _TABLES[kind]
            rows = await self._database.fetch(
                f"SELECT {table.key}::text AS id, display_name, active, suspended "  # noqa: S608 - constants
                f"FROM {table.name} WHERE owner_id = $1 AND {table.condition} "
                f"ORDER BY {table.key} DESC LIMIT $2",
                owner_id,
                limit,
            )
            found += [Holding(kind, **row) for row in rows]
        return found

    async def standing(self, kind: Kind, ident: str) -> Standing | None:
        """How it stands itself, locked until the transaction ends."""
        table = _TABLES[kind]
        row = await self._database.fetchrow(
            f"SELECT owner_id, suspended FROM {table.name} "  # noqa: S608 - constants
            f"WHERE {table.key} = $1 AND {table.condition} FOR NO KEY UPDATE",
            ident,
        )
        return None if row is None else Standing(kind, ident, row["owner_id"], row["suspended"])

    async def suspend(self, kind: Kind, ident: str, *, suspended: bool) -> None:
        """Suspend it, or lift that."""
        table = _TABLES[kind]
        await self._database.execute(
            f"UPDATE {table.name} SET suspended = $2 WHERE {table.key} = $1",  # noqa: S608 - constants
            ident,
            suspended,
        )

    async def appoint(self, owner_id: str, *, operator: bool) -> None:
        """Make this owner an operator, or no longer one."""
        await self._database.execute(
            "UPDATE foundation.owners SET operator = $2 WHERE owner_id = $1", owner_id, operator
        )
