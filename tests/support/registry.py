"""The parts of the owner's API of agents and sites, on in-memory twins."""

from __future__ import annotations

from lime_server.composition.registry import RegistryParts
from lime_server.core.clock import Clock
from lime_server.core.held_tokens import HeldTokens, TokenUse
from lime_server.core.ports import RateLimiter
from lime_server.core.tokens import TokenKind
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.history import MemoryHistory
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.memory.presence import MemoryDeliveryLog, MemoryPresence
from lime_server.infrastructure.memory.registry import (
    MemoryAgentRegistry,
    MemoryHeldTokens,
    MemorySiteRegistry,
)
from lime_server.infrastructure.memory.site_login import MemorySiteLogin
from lime_server.modules.delivery_monitor.service import MonitorTiming
from lime_server.modules.sites.ports import ProofMissingError

SECRETS = Secrets.derived_from(bytes(range(32)))


class MemoryProofs:
    """A world in which a test decides what stands where."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.files: dict[str, str] = {}

    async def txt(self, name: str) -> list[str]:
        if name not in self.records:
            raise ProofMissingError(f"No TXT record of {name} was found.")
        return self.records[name]

    async def file(self, url: str) -> str:
        if url not in self.files:
            raise ProofMissingError(f"{url} could not be reached over https.")
        return self.files[url]


def memory_registry(
    shared: MemorySiteLogin,
    clock: Clock,
    *,
    proofs: MemoryProofs | None = None,
    limiter: RateLimiter | None = None,
    monitor: MonitorTiming | None = None,
) -> RegistryParts:
    """Parts over `shared` and its identities."""
    identities = shared.identities
    agent_tokens = MemoryHeldTokens(identities, TokenKind.AGENT)
    site_tokens = MemoryHeldTokens(identities, TokenKind.SITE)
    return RegistryParts(
        agents=MemoryAgentRegistry(identities),
        sites=MemorySiteRegistry(identities),
        agent_tokens=HeldTokens(agent_tokens, SECRETS.tokens, clock, TokenKind.AGENT),
        site_tokens=HeldTokens(site_tokens, SECRETS.tokens, clock, TokenKind.SITE),
        uses=(TokenUse(agent_tokens, clock), TokenUse(site_tokens, clock)),
        history=MemoryHistory(shared),
        deliveries=MemoryDeliveryLog(shared),
        presence=MemoryPresence(),
        proofs=proofs or MemoryProofs(),
        proof_secrets=SECRETS.domains,
        limiter=limiter or MemoryLimiter(lambda: 0.0),
        monitor=monitor or MonitorTiming(),
    )
