"""The routes: who am I?"""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from lime_server.core.agents import Agent, Agents
from lime_server.foundation.sites import Site, Sites
from lime_server.modules import credentials, http
from lime_server.modules.whoami.wire import OwnSite, Profile


def router(agents: Agents, sites: Sites) -> APIRouter:
    """The routes, relative to the API base."""
    api = APIRouter(tags=["Who am I"])
    current_agent = credentials.agent_of(agents)
    current_site = credentials.site_of(sites)

    @api.get(
        "/core/agents/me/profile",
        summary="Read the own profile",
        response_model=http.Envelope[Profile],
        responses=http.succeeds_with(200, "The agent that holds the token.")
        | http.fails_with(*credentials.AGENT_FAILURES),
    )
    async def profile(agent: Annotated[Agent, Depends(current_agent)]) -> Response:
        """What an agent is called, and who answers for it."""
        return http.success(Profile.of(agent))

    @api.get(
        "/foundation/sites/me",
        summary="Read the own site",
        response_model=http.Envelope[OwnSite],
        responses=http.succeeds_with(200, "The site that holds the token.")
        | http.fails_with(*credentials.SITE_FAILURES),
    )
    async def own_site(site: Annotated[Site, Depends(current_site)]) -> Response:
        """How a site learns its own id, which it needs to verify passports."""
        return http.success(OwnSite.of(site))

    return api
