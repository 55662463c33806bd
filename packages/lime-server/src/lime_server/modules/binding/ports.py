"""What agent binding needs from outside."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from lime_server.core.agents import Agent
from lime_server.modules.binding.model import Binding, KnownBinding


class BindingStore(Protocol):
    """Where bindings are kept. Everything may raise `core.errors.Unavailable`."""

    async def add(self, binding: Binding) -> None:
        """Keep a new binding."""
        ...

    async def find(self, binding_id: str) -> KnownBinding | None:
        """The binding as it was last written; `Binding.at` says how it stands now."""
        ...

    async def by_code(self, code_hash: bytes) -> KnownBinding | None:
        """The binding whose code, not exchanged yet, has this hash."""
        ...

    async def replace(self, old: Binding, new: Binding) -> bool:
        """Write `new` if the state is still that of `old`; False, with nothing written, if not.

        Every change leaves a state that is never entered again, so of many writers one succeeds.
        """
        ...

    async def of_owner(
        self, owner_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """At most `limit` bindings that this owner made, ended ones too, latest request first.

        With `before`, those whose ids are below it.
        """
        ...

    async def of_site(
        self, site_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """The same, for a site."""
        ...

    async def prune(self, expired_before: datetime, *, limit: int) -> int:
        """Delete at most `limit` requests that led to nothing and expired before that.

        What was a binding stays on record. Returns how many went.
        """
        ...


class OwnedAgents(Protocol):
    """Finds agents for their owner."""

    async def owned_by(self, owner_id: str, agent_id: str) -> Agent:
        """This owner's agent with the standing it has now.

        Raises `core.errors.NotFound` for any other, and for what is no id.
        """
        ...


class RedirectUris(Protocol):
    """Knows where a site's browsers may be sent."""

    async def redirect_uris(self, site_id: str) -> Sequence[str]:
        """The site's list, each entry to be compared as it is."""
        ...


class SiteStanding(Protocol):
    """Says which sites may no longer be served."""

    async def suspended(self, site_ids: Collection[str]) -> set[str]:
        """Those of `site_ids` that are suspended, or no longer there."""
        ...
