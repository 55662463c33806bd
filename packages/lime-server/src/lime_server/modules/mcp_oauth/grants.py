"""The owner's list of consents: to look through, and to take back."""

from dataclasses import dataclass

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.errors import NotFound
from lime_server.core.ids import parse_id
from lime_server.core.pages import Page, page
from lime_server.core.ports import Transactions
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.modules.mcp_oauth.model import Grant
from lime_server.modules.mcp_oauth.ports import Agents, GrantStore


@dataclass(frozen=True, slots=True)
class KnownGrant:
    """A grant, with the agent that it is of."""

    grant: Grant
    agent: Agent | None
    """None once it was deleted."""


class Grants:
    """Lets owners see and take back what they consented to."""

    def __init__(
        self,
        *,
        store: GrantStore,
        agents: Agents,
        audit: Audit,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._store = store
        self._agents = agents
        self._audit = audit
        self._transactions = transactions
        self._clock = clock

    async def of_owner(self, owner_id: str, *, before: str | None, limit: int) -> Page[KnownGrant]:
        """A page of this owner's grants that stand, newest first."""
        rows = await self._store.of_owner(owner_id, before=before, limit=limit + 1)
        found = page(rows, limit, lambda grant: grant.grant_id)
        # An owner has few agents, and a page names each of them many times.
        agents = {
            agent_id: await self._agents.find(agent_id)
            for agent_id in {grant.agent_id for grant in found.items}
        }
        known = [KnownGrant(grant, agents[grant.agent_id]) for grant in found.items]
        return Page(known, found.next_cursor)

    async def revoke(self, owner_id: str, unverified_id: str) -> None:
        """Take a consent back, with every token that it led to. May be repeated.

        Access tokens that are out end by themselves within minutes; a resource server that asks
        (RFC 7662) learns at once. Raises NotFound unless it is one that this owner gave.
        """
        # 1. Theirs?
        grant_id = parse_id(unverified_id)
        grant = None if grant_id is None else await self._store.find(grant_id)
        if grant is None or grant.owner_id != owner_id:
            raise NotFound
        # 2. Revoke it, and say so, if nobody was faster.
        async with self._transactions.transaction():
            if await self._store.revoke(grant.grant_id, self._clock.now()):
                await self._audit.record(
                    "oauth.consent.revoked",
                    owner_id=owner_id,
                    actor=Actor("owner", owner_id),
                    target=Target("oauth-grant", grant.grant_id),
                    detail={"client_id": grant.client_id, "agent_id": grant.agent_id},
                )
