"""What travels: complete out; nothing comes in."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from lime_server.modules.http import Id, Timestamp
from lime_server.modules.login_history.ports import PastLogin


class WhichSite(BaseModel):
    """Where."""

    site_id: Id
    display_name: str
    domain: str | None
    domain_verified: bool


class WhichAgent(BaseModel):
    """Who."""

    agent_id: Id
    display_name: Annotated[str | None, Field(description="Null if nothing is left of it.")]


class LoginRecord(BaseModel):
    """One login, afterwards."""

    login_request_id: Id
    status: Literal["PENDING", "APPROVED", "DELIVERED", "DENIED", "EXPIRED"]
    created_at: Timestamp
    expires_at: Timestamp
    decided_at: Timestamp | None
    site: WhichSite
    agent: WhichAgent | None

    @classmethod
    def of(cls, past: PastLogin) -> Self:
        """What an owner of either side may know."""
        agent = None
        if past.agent_id is not None:
            agent = WhichAgent(agent_id=past.agent_id, display_name=past.agent_name)
        return cls.model_validate(
            {
                "login_request_id": past.login_request_id,
                "status": past.status,
                "created_at": past.created_at,
                "expires_at": past.expires_at,
                "decided_at": past.decided_at,
                "site": WhichSite(
                    site_id=past.site_id,
                    display_name=past.site_name,
                    domain=past.site_domain,
                    domain_verified=past.site_domain_verified,
                ),
                "agent": agent,
            }
        )
