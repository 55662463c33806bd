"""The audit log in memory."""

from lime_server.foundation.audit import BEGINNING, Entry, Head


class MemoryAudit:
    """Keeps every chain as long as the process lives."""

    def __init__(self) -> None:
        """Nothing was done yet."""
        self.kept_heads: dict[str, Head] = {}
        self.kept: dict[tuple[str, int], Entry] = {}

    async def head(self, owner_id: str) -> Head:
        """The head; `MemoryTransactions` lets one writer in at a time."""
        return self.kept_heads.get(owner_id) or Head(owner_id, 0, BEGINNING)

    async def append(self, entry: Entry, head: Head) -> None:
        """Keep an entry, and `head` as the chain's."""
        self.kept[entry.owner_id, entry.sequence] = entry
        self.kept_heads[entry.owner_id] = head

    async def heads(self) -> list[Head]:
        """All of them, and one at 0 for every chain that has entries and no head."""
        chains = self.kept_heads.keys() | {owner_id for owner_id, _ in self.kept}
        return [await self.head(owner_id) for owner_id in sorted(chains)]

    async def page(self, owner_id: str, *, before: int | None, limit: int) -> list[Entry]:
        """At most `limit` entries, newest first, whose sequence is below `before`."""
        found = reversed(self._chain(owner_id))
        return [one for one in found if before is None or one.sequence < before][:limit]

    async def forward(self, owner_id: str, *, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries, oldest first, whose sequence is above `after`."""
        return [one for one in self._chain(owner_id) if one.sequence > after][:limit]

    def _chain(self, owner_id: str) -> list[Entry]:
        return [entry for (chain, _), entry in sorted(self.kept.items()) if chain == owner_id]
