"""What the owner's side of agents needs from outside."""

from datetime import datetime
from typing import Protocol

from lime_server.core.agents import Agent


class AgentRegistry(Protocol):
    """Where agents are kept, as their owners see them. May raise `core.errors.Unavailable`."""

    async def lock(self, owner_id: str, agent_id: str) -> Agent | None:
        """This owner's agent, which nobody else changes until the transaction ends.

        None if it is somebody else's, deleted, or not there. `agent_id` is a UUID.
        """
        ...

    async def page(self, owner_id: str, *, before: str | None, limit: int) -> list[Agent]:
        """At most `limit` of this owner's agents, newest first, with ids below `before`."""
        ...

    async def count(self, owner_id: str) -> int:
        """How many agents this owner has; nobody else counts until the transaction ends."""
        ...

    async def change(self, agent: Agent) -> None:
        """Write what an owner may change: name, description, avatar, switch and capabilities."""
        ...

    async def bury(self, agent_id: str, now: datetime) -> None:
        """Delete it: its tokens go, and it is switched off. Its id and its history stay taken."""
        ...
