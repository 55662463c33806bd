"""What operators see and change, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from lime_server.core.agents import Agent
from lime_server.foundation.operators import Holding, Kind, Standing
from lime_server.foundation.owners import Owner
from lime_server.foundation.sites import Site
from lime_server.infrastructure.memory.identities import MemoryIdentities


class MemoryOperators:
    """Reads and changes standings."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Those in `identities`."""
        self._identities = identities

    async def operators(self) -> set[str]:
        """Operators who are not suspended."""
        owners = self._identities.owners.values()
        return {one.owner_id for one in owners if one.operator and not one.suspended}

    async def search(self, text: str, *, cursor: str | None, limit: int) -> Sequence[Owner]:
        """At most `limit` owners, newest first."""
        owners = sorted(self._identities.owners.items(), reverse=True)
        found = [one for key, one in owners if text in one.email or text == key]
        return [one for one in found if cursor is None or one.owner_id < cursor][:limit]

    async def owner(self, owner_id: str) -> Owner | None:
        """The owner with this id."""
        return self._identities.owners.get(owner_id)

    async def holdings(self, owner_id: str, *, limit: int) -> Sequence[Holding]:
        """At most `limit` agents and as many sites of this owner, newest first."""
        agents = [
            Holding(Kind.AGENT, key, one.display_name, one.active, one.suspended)
            for key, one in sorted(self._identities.agents.items(), reverse=True)
            if one.owner_id == owner_id and key not in self._identities.deleted
        ]
        sites = [
            Holding(Kind.SITE, key, one.display_name, one.active, one.suspended)
            for key, one in sorted(self._identities.sites.items(), reverse=True)
            if one.owner_id == owner_id and key not in self._identities.deleted
        ]
        return [*agents[:limit], *sites[:limit]]

    async def standing(self, kind: Kind, ident: str) -> Standing | None:
        """How it stands itself."""
        found = None if ident in self._identities.deleted else self._table(kind).get(ident)
        return None if found is None else Standing(kind, ident, found.owner_id, found.suspended)

    async def suspend(self, kind: Kind, ident: str, *, suspended: bool) -> None:
        """Suspend it, or lift that."""
        table = self._table(kind)
        table[ident] = replace(table[ident], suspended=suspended)

    async def appoint(self, owner_id: str, *, operator: bool) -> None:
        """Make this owner an operator, or no longer one."""
        owners = self._identities.owners
        owners[owner_id] = replace(owners[owner_id], operator=operator)

    def _table(self, kind: Kind) -> "dict[str, Owner | Agent | Site]":
        known = self._identities
        tables = {Kind.OWNER: known.owners, Kind.AGENT: known.agents, Kind.SITE: known.sites}
        return cast("dict[str, Owner | Agent | Site]", tables[kind])
