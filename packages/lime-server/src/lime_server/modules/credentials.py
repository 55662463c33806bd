"""Who is asking? The dependencies that routes of every module use, and how they can fail."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends

from lime_server.core.agents import Agent, Agents
from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    AuthUnavailable,
    InvalidAgentToken,
    MissingAgentToken,
    RateLimited,
    SiteSuspended,
    SiteTokenAuthUnavailable,
    SiteTokenInvalid,
    SiteTokenMissing,
    Unavailable,
)
from lime_server.foundation.sites import Site, Sites
from lime_server.modules import http

AGENT_FAILURES = (
    MissingAgentToken,
    InvalidAgentToken,
    AgentInactive,
    AgentUserSuspended,
    RateLimited,
    AuthUnavailable,
    Unavailable,
)
SITE_FAILURES = (
    SiteTokenMissing,
    SiteTokenInvalid,
    SiteSuspended,
    RateLimited,
    SiteTokenAuthUnavailable,
    Unavailable,
)


def agent_of(agents: Agents) -> Callable[..., Awaitable[Agent]]:
    """A dependency that gives the agent whose token came with the request."""

    async def current_agent(
        unverified_token: Annotated[str | None, Depends(http.agent_token)],
    ) -> Agent:
        return await agents.authenticate(unverified_token)

    return current_agent


def site_of(sites: Sites) -> Callable[..., Awaitable[Site]]:
    """A dependency that gives the site whose token came with the request."""

    async def current_site(
        unverified_token: Annotated[str | None, Depends(http.site_token)],
    ) -> Site:
        return await sites.authenticate(unverified_token)

    return current_site
