"""The public keys of an agent, by which it can prove itself instead of with its token."""

from collections.abc import Mapping, Sequence

from lime_server.core.errors import InvalidInput
from lime_server.core.ports import Transactions
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.modules.mcp_oauth.model import Jwk
from lime_server.modules.mcp_oauth.ports import AgentKeys, Agents, PublicKeys

MAX_KEYS = 8
"""Keys of one agent: a pair for each of a few machines, while they are exchanged."""


class AgentKeyBook:
    """Lets owners say which keys an agent has."""

    def __init__(
        self,
        *,
        agents: Agents,
        keys: AgentKeys,
        public_keys: PublicKeys,
        audit: Audit,
        transactions: Transactions,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._agents = agents
        self._keys = keys
        self._public_keys = public_keys
        self._audit = audit
        self._transactions = transactions

    async def of(self, owner_id: str, unverified_id: str) -> tuple[Jwk, ...]:
        """The keys of this owner's agent. Raises NotFound for any other."""
        agent = await self._agents.owned_by(owner_id, unverified_id)
        return await self._keys.of(agent.agent_id)

    async def replace(
        self, owner_id: str, unverified_id: str, unverified_jwks: Sequence[Mapping[str, object]]
    ) -> tuple[Jwk, ...]:
        """Let this owner's agent have these keys and no others.

        Raises NotFound, and InvalidInput for a key that is not fit, too many, or two of one name.
        """
        # 1. Whose agent?
        agent = await self._agents.owned_by(owner_id, unverified_id)
        # 2. Public keys, fit, each with a name of its own.
        if len(unverified_jwks) > MAX_KEYS:
            raise InvalidInput(f"An agent has at most {MAX_KEYS} keys.", detail={"field": "keys"})
        jwks = tuple(self._public_keys.clean(jwk) for jwk in unverified_jwks)
        kids = [str(jwk["kid"]) for jwk in jwks]
        if len(set(kids)) != len(kids):
            raise InvalidInput("Two keys have one kid.", detail={"field": "keys"})
        # 3. Both, or neither.
        async with self._transactions.transaction():
            await self._keys.replace(agent.agent_id, jwks)
            await self._audit.record(
                "agent.keys.changed",
                owner_id=agent.owner_id,
                actor=Actor("owner", agent.owner_id),
                target=Target("agent", agent.agent_id),
                detail={"kids": kids},
            )
        return jwks
