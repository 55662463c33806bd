"""What an agent gets back: plain, frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class LoginSite:
    """The site that asks for a login: what `allow` decides by.

    Attributes:
        site_id: The site's id (UUID).
        display_name: What the site calls itself. Proven by nobody.
        domain: The site's domain, if it gave one. Worth something only if `domain_verified`.
        domain_verified: Has the site's owner proved to LIME that the domain is theirs?
    """

    site_id: str
    display_name: str
    domain: str | None = None
    domain_verified: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """A login that was approved.

    Attributes:
        request_id: The login request's id.
        site_id: The site that made the request.
        status: `APPROVED`, or `DELIVERED` once the site has its passport.
        expires_at: When the request ends (UTC).
        approved_agent_id: The agent that approved: this one.
    """

    request_id: str
    site_id: str
    status: str
    expires_at: datetime
    approved_agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """Who this agent is.

    Attributes:
        agent_id: The agent's id (UUID).
        owner_id: The owner who answers for it (UUID; `user_id` on the wire).
        display_name: Its public name, if it has one.
        avatar_url: Where its picture is, if it has one.
        description: What it says about itself, if anything.
    """

    agent_id: str
    owner_id: str
    display_name: str | None
    avatar_url: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class McpAccessToken:
    """A short-lived token for one MCP server. It is worth nothing at LIME's own API.

    Attributes:
        access_token: What follows `Authorization: Bearer`. Not shown by `repr`.
        token_type: Always `Bearer`.
        expires_in: Seconds it lives, counted from `issued_at`.
        issued_at: When it came, as a Unix timestamp.
        resource: The server's identifier (RFC 8707), or `None` if the token is for its host name.
    """

    access_token: str = field(repr=False)
    token_type: Literal["Bearer"]
    expires_in: int
    issued_at: float
    resource: str | None = None
