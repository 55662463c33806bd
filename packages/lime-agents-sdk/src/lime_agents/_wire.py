"""What LIME sends to an agent.

Unknown fields are ignored; an unknown state is never read as an approval.
"""

from datetime import UTC
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from lime_agents._types import AgentProfile, ApprovalResult, LoginSite

Id = Annotated[StrictStr, Field(min_length=1, max_length=128)]


class Wire(BaseModel):
    """A frozen value off the wire."""

    # Built at first use: importing the SDK stays cheap.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Site(Wire):
    """`site` of a login request (protocol section 3, step 2)."""

    site_id: Id
    display_name: StrictStr
    domain: StrictStr | None = None
    domain_verified: StrictBool = False

    def public(self) -> LoginSite:
        """Return the value for `allow`."""
        return LoginSite(self.site_id, self.display_name, self.domain, self.domain_verified)


class Challenge(Wire):
    """A login request as an agent sees it (protocol section 3, step 2, and section 4)."""

    pow_challenge: Annotated[StrictStr, Field(min_length=1, max_length=128)]
    pow_difficulty: Annotated[StrictInt, Field(ge=0)]
    pow_algorithm: Literal["sha256"] = "sha256"
    site: Site | None = None


class Approval(Wire):
    """The answer to an approval (protocol section 3, step 4)."""

    request_id: Id
    site_id: Id
    status: Literal["APPROVED", "DELIVERED"]
    expires_at: AwareDatetime
    approved_agent_id: Id | None = None

    def public(self) -> ApprovalResult:
        """Return the value for the caller, with its time in UTC."""
        return ApprovalResult(
            request_id=self.request_id,
            site_id=self.site_id,
            status=self.status,
            expires_at=self.expires_at.astimezone(UTC),
            approved_agent_id=self.approved_agent_id,
        )


class Denial(Wire):
    """The answer to a denial."""

    status: Literal["DENIED"]


class Profile(Wire):
    """`GET /core/agents/me/profile` (protocol section 7)."""

    agent_id: Id
    user_id: Id
    display_name: StrictStr | None = None
    avatar_url: StrictStr | None = None
    description: StrictStr | None = None

    def public(self) -> AgentProfile:
        """Return the value for the caller."""
        return AgentProfile(
            agent_id=self.agent_id,
            owner_id=self.user_id,
            display_name=self.display_name,
            avatar_url=self.avatar_url,
            description=self.description,
        )
