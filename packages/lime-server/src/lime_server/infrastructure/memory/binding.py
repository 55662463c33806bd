"""Agent bindings in memory."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from lime_server.infrastructure.memory.identities import MemoryIdentities
from lime_server.modules.binding.model import AskingSite, Binding, KnownBinding


class MemoryBindings:
    """Keeps bindings as long as the process lives; each leaves a state once."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """No bindings yet; names come from `identities`."""
        self._identities = identities
        self.bindings: dict[str, Binding] = {}

    async def add(self, binding: Binding) -> None:
        """Keep a new binding."""
        self.bindings[binding.binding_id] = binding

    async def find(self, binding_id: str) -> KnownBinding | None:
        """The binding as it was last written."""
        await asyncio.sleep(0)  # others get a turn between reading and writing, as with an engine
        return next(self._known(lambda each: each.binding_id == binding_id, None), None)

    async def by_code(self, code_hash: bytes) -> KnownBinding | None:
        """The binding whose code, not exchanged yet, has this hash."""
        await asyncio.sleep(0)
        return next(self._known(lambda each: each.code_hash == code_hash, None), None)

    async def replace(self, old: Binding, new: Binding) -> bool:
        """Write `new` if the state is still that of `old`."""
        if self.bindings[old.binding_id].state is not old.state:
            return False
        self.bindings[old.binding_id] = new
        return True

    async def of_owner(
        self, owner_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """At most `limit` bindings that this owner made, latest request first."""
        made = self._known(lambda each: each.was_made and each.owner_id == owner_id, before)
        return list(made)[:limit]

    async def of_site(
        self, site_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """The same, for a site."""
        made = self._known(lambda each: each.was_made and each.site_id == site_id, before)
        return list(made)[:limit]

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` requests that led to nothing and expired before that."""
        old = [
            each.binding_id
            for each in self.bindings.values()
            if not each.was_made and each.expires_at < expired_before
        ][:limit]
        for binding_id in old:
            del self.bindings[binding_id]
        return len(old)

    def _known(
        self, wanted: Callable[[Binding], bool], before: str | None
    ) -> Iterator[KnownBinding]:
        for binding_id in sorted(self.bindings, reverse=True):
            binding = self.bindings[binding_id]
            if wanted(binding) and (before is None or binding_id < before):
                site = self._identities.sites[binding.site_id]
                agent = self._identities.agents.get(str(binding.agent_id))
                yield KnownBinding(
                    binding,
                    AskingSite(site.site_id, site.display_name, site.domain, site.domain_verified),
                    None if agent is None else agent.display_name,
                )
