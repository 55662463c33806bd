"""Makes owners, their sessions, agents and sites in milliseconds: the services behind `lime-server agent create`, without a process each time.

The one place where the contract suite calls the server's code instead of speaking to it.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lime_server.core.agents import Agents
from lime_server.core.clock import SystemClock
from lime_server.foundation.owners import Owners
from lime_server.foundation.sessions import SessionRules, Sessions
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.postgres.accounts import PostgresSessions
from lime_server.infrastructure.postgres.identities import (
    PostgresAgents,
    PostgresOwners,
    PostgresSites,
)
from lime_server.infrastructure.postgres.pool import open_database


@dataclass(frozen=True)
class Clerk:
    """The services, on one database."""

    owners: Owners
    agents: Agents
    sites: Sites
    sessions: Sessions
    known: PostgresOwners


_RULES = SessionRules(origin="http://127.0.0.1:1", plain_cookies=True)
"""A session says nothing about its server's address: it is begun here, and used anywhere."""


@asynccontextmanager
async def clerk(database_url: str, master_key: bytes) -> AsyncIterator[Clerk]:
    """A clerk at work on a migrated database; tokens are hashed with what the servers derive from `master_key`."""
    clock = SystemClock()
    hasher = Secrets.derived_from(master_key).tokens
    async with open_database(database_url, size=2, patience=20) as database:
        yield Clerk(
            Owners(PostgresOwners(database), clock),
            Agents(PostgresAgents(database), hasher, clock),
            Sites(PostgresSites(database), hasher, clock),
            Sessions(
                PostgresSessions(database), hasher, clock, _RULES, MemoryLimiter(time.monotonic)
            ),
            PostgresOwners(database),
        )
