"""What owners do with agents and sites: its parts, and its routes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from fastapi import APIRouter

from lime_server.core.agents import Agents
from lime_server.core.clock import Clock
from lime_server.core.held_tokens import HeldTokens, TokenUse
from lime_server.core.ports import RateLimiter, TokenHash, Transactions, Wakeup
from lime_server.core.tokens import TokenKind
from lime_server.foundation.audit import Audit
from lime_server.foundation.sessions import Sessions
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.dns import Dns, resolvers
from lime_server.infrastructure.fetcher import Fetcher
from lime_server.infrastructure.postgres.history import PostgresHistory
from lime_server.infrastructure.postgres.identities import PostgresAgents, PostgresSites
from lime_server.infrastructure.postgres.pool import Database
from lime_server.infrastructure.postgres.presence import PostgresDeliveryLog, PostgresPresence
from lime_server.infrastructure.postgres.registry import (
    PostgresAgentRegistry,
    PostgresHeldTokens,
    PostgresSiteRegistry,
)
from lime_server.infrastructure.proofs import Proofs
from lime_server.modules.agents.ports import AgentRegistry
from lime_server.modules.agents.routes import router as agent_routes
from lime_server.modules.agents.service import OwnedAgents
from lime_server.modules.delivery_monitor.ports import DeliveryLog
from lime_server.modules.delivery_monitor.routes import router as monitor_routes
from lime_server.modules.delivery_monitor.service import DeliveryMonitor, MonitorTiming
from lime_server.modules.login_history.ports import LoginHistory
from lime_server.modules.login_history.routes import HistoryParts
from lime_server.modules.login_history.routes import router as history_routes
from lime_server.modules.site_login.delivery import Delivery
from lime_server.modules.site_login.presence import Presence, PresenceStore
from lime_server.modules.sites.ports import ProofReader, SiteRegistry
from lime_server.modules.sites.routes import router as site_routes
from lime_server.modules.sites.service import OwnedSites


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryParts:
    """What the owner's API of agents and sites needs beyond what everything needs."""

    agents: AgentRegistry
    sites: SiteRegistry
    agent_tokens: HeldTokens
    site_tokens: HeldTokens
    uses: Sequence[TokenUse]
    """What notes the use of tokens; runs in the background."""
    history: LoginHistory
    deliveries: DeliveryLog
    presence: PresenceStore
    proofs: ProofReader
    proof_secrets: TokenHash
    limiter: RateLimiter
    monitor: MonitorTiming = field(default_factory=MonitorTiming)


@dataclass(frozen=True, slots=True)
class Holders:
    """Agents and sites, with their tokens."""

    agents: Agents
    sites: Sites
    registry: RegistryParts


def open_registry(
    database: Database,
    secrets: Secrets,
    *,
    limiter: RateLimiter,
    clock: Clock,
    dns_servers: Iterable[tuple[str, int]] = (),
) -> Holders:
    """Agents and sites in PostgreSQL. Domains are looked up at `dns_servers`, if there are any."""
    agent_tokens = PostgresHeldTokens(database, TokenKind.AGENT)
    site_tokens = PostgresHeldTokens(database, TokenKind.SITE)
    agent_use, site_use = TokenUse(agent_tokens, clock), TokenUse(site_tokens, clock)
    hasher, dns = secrets.tokens, Dns(resolvers(dns_servers))
    return Holders(
        agents=Agents(PostgresAgents(database), hasher, clock, note_use=agent_use.note),
        sites=Sites(PostgresSites(database), hasher, clock, note_use=site_use.note),
        registry=RegistryParts(
            agents=PostgresAgentRegistry(database),
            sites=PostgresSiteRegistry(database),
            agent_tokens=HeldTokens(agent_tokens, hasher, clock, TokenKind.AGENT),
            site_tokens=HeldTokens(site_tokens, hasher, clock, TokenKind.SITE),
            uses=(agent_use, site_use),
            history=PostgresHistory(database),
            deliveries=PostgresDeliveryLog(database),
            presence=PostgresPresence(database),
            proofs=Proofs(dns, Fetcher(dns)),
            proof_secrets=secrets.domains,
            limiter=limiter,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnersDesk:
    """The owner's API, put together."""

    routes: Sequence[APIRouter]
    presence: Presence
    monitor: DeliveryMonitor


def owners_desk(
    registry: RegistryParts,
    *,
    agents: Agents,
    sites: Sites,
    sessions: Sessions,
    delivery: Delivery,
    transactions: Transactions,
    audit: Audit,
    bell: Wakeup,
    clock: Clock,
    loopback_too: bool,
) -> OwnersDesk:
    """Pure wiring."""
    owned_agents = OwnedAgents(
        agents=agents,
        registry=registry.agents,
        tokens=registry.agent_tokens,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )
    owned_sites = OwnedSites(
        sites=sites,
        registry=registry.sites,
        tokens=registry.site_tokens,
        transactions=transactions,
        audit=audit,
        clock=clock,
        proofs=registry.proofs,
        proof_secrets=registry.proof_secrets,
        slowing=registry.limiter,
        loopback_too=loopback_too,
    )
    presence = Presence(
        seats=delivery, store=registry.presence, clock=clock, server_id=str(uuid4())
    )
    monitor = DeliveryMonitor(
        sites=sites,
        events=registry.deliveries,
        open_streams=presence,
        streams=delivery,
        bell=bell,
        slowing=registry.limiter,
        transactions=transactions,
        audit=audit,
        clock=clock,
        timing=registry.monitor,
    )
    history = HistoryParts(registry.history, agents, sites, clock)
    return OwnersDesk(
        routes=(
            agent_routes(owned_agents, sessions),
            site_routes(owned_sites, sessions),
            history_routes(history, sessions),
            monitor_routes(monitor, sessions),
        ),
        presence=presence,
        monitor=monitor,
    )
