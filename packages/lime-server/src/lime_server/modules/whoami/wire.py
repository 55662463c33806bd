"""What travels (protocol section 7)."""

from typing import Self

from pydantic import BaseModel

from lime_server.core.agents import Agent
from lime_server.foundation.sites import Site
from lime_server.modules.http import Id


class Profile(BaseModel):
    """An agent, as it sees itself."""

    agent_id: Id
    user_id: Id
    display_name: str
    avatar_url: str | None
    description: str | None

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """The profile of `agent`; `user_id` is its owner."""
        return cls(
            agent_id=agent.agent_id,
            user_id=agent.owner_id,
            display_name=agent.display_name,
            avatar_url=agent.avatar_url,
            description=agent.description,
        )


class OwnSite(BaseModel):
    """A site, as it sees itself."""

    site_id: Id
    display_name: str
    domain: str | None
    domain_verified: bool

    @classmethod
    def of(cls, site: Site) -> Self:
        """What a site may know about itself."""
        return cls(
            site_id=site.site_id,
            display_name=site.display_name,
            domain=site.domain,
            domain_verified=site.domain_verified,
        )
