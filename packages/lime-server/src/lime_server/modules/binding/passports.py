"""Binding passports, made when a code is exchanged and never kept."""

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.ids import new_id
from lime_server.core.passport import PassportContext, PassportType
from lime_server.core.ports import PassportSigner
from lime_server.modules.binding.model import Binding

AUDIENCE = "lime-binding"
LIFETIME = 60
"""Seconds; verifiers refuse more (protocol section 6)."""


class BindingPassports:
    """Mints the passport that a code is exchanged for."""

    def __init__(self, *, signer: PassportSigner, clock: Clock, issuer: str) -> None:
        """Sign as `issuer`, the public URL."""
        self._signer = signer
        self._clock = clock
        self._issuer = issuer

    async def mint(self, binding: Binding, agent: Agent) -> str:
        """A fresh passport that tells the site of `binding` which agent it has got."""
        now = self._clock.now()
        context = PassportContext(
            type=PassportType.BINDING,
            issuer=self._issuer,
            audience=AUDIENCE,
            agent=agent,
            passport_id=new_id(now),
            issued_at=now,
            lifetime=LIFETIME,
        ).adding(
            binding_id=binding.binding_id,
            user_id=agent.owner_id,
            site_id=binding.site_id,
        )
        return await self._signer.sign(context.claims(), typ=context.type)
