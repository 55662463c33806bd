"""The authorization server's stores, on in-memory twins."""

from __future__ import annotations

from lime_server.composition.mcp_oauth import OAuthStores
from lime_server.infrastructure.memory.mcp_oauth import (
    MemoryAgentKeys,
    MemoryClients,
    MemoryCodes,
    MemoryGrants,
    MemoryOAuth,
    MemoryRefreshTokens,
    MemoryRevokedTokens,
    MemorySpentAssertions,
)


def memory_oauth(shared: MemoryOAuth) -> OAuthStores:
    """Stores over `shared`."""
    return OAuthStores(
        clients=MemoryClients(shared),
        grants=MemoryGrants(shared),
        codes=MemoryCodes(shared),
        refresh_tokens=MemoryRefreshTokens(shared),
        revoked=MemoryRevokedTokens(shared),
        spent=MemorySpentAssertions(shared),
        agent_keys=MemoryAgentKeys(shared),
    )
