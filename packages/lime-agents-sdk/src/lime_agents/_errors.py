"""What can go wrong for an agent, as one tree.

LimeError
├── ConfigurationError, ClosedError, TransportError, ProtocolError
├── AuthenticationError
│     ├── AgentInactiveError
│     └── AgentUserSuspendedError
├── RateLimitError
├── PowTimeoutError
├── PowDifficultyError
├── LoginRefusedError
├── McpAuthenticationError
├── InvalidMcpTargetError
└── ApiError
      ├── AuthUnavailableError
      ├── InvalidRequestIdError
      ├── LoginNotFoundError
      └── OAuthCapabilityError
"""

from lime_agents._types import LoginSite
from lime_sdk_core import ApiError, AuthenticationError, ErrorTable, LimeError


class AgentInactiveError(AuthenticationError):
    """403 `AGENT_INACTIVE`: the agent was switched off by its owner."""


class AgentUserSuspendedError(AuthenticationError):
    """403 `AGENT_USER_SUSPENDED`: the agent's owner is suspended."""


class AuthUnavailableError(ApiError):
    """503 `AUTH_UNAVAILABLE`: LIME cannot check tokens now, and lets nobody in meanwhile."""


class InvalidRequestIdError(ApiError):
    """The login request id cannot be one; nothing was sent. Its `code` is `INVALID_REQUEST_ID`."""

    def __init__(self, message: str) -> None:
        super().__init__("INVALID_REQUEST_ID", message, http_status=400)


class LoginNotFoundError(ApiError):
    """404 `SITE_LOGIN_REQUEST_NOT_FOUND`: unknown, expired, denied, or another agent's."""


class OAuthCapabilityError(ApiError):
    """403 `access_denied`: the agent lacks the `oauth:mcp` grant (protocol section 8)."""


class McpAuthenticationError(LimeError):
    """An MCP server did not accept the agent's access token.

    With the code `insufficient_scope` it took the token, and wants a scope that it has not.
    """


class InvalidMcpTargetError(LimeError, ValueError):
    """The target cannot be an MCP server for this agent; nothing was sent.

    It is a `ValueError` too, as it was in earlier versions.
    """


class PowTimeoutError(LimeError):
    """The proof of work was not found within `pow_timeout` seconds. Another try may be luckier."""


class PowDifficultyError(LimeError):
    """LIME asked for more work than `max_difficulty` allows; none was done."""


class LoginRefusedError(LimeError):
    """`allow` did not let this site in; no work was done and nothing was approved.

    Attributes:
        site: The site that asked, or `None` if LIME did not say.
        denied: Was the request also denied at LIME, so that nobody else can approve it?
    """

    def __init__(
        self, message: str, *, site: LoginSite | None = None, denied: bool = False
    ) -> None:
        super().__init__(message, code="LOGIN_REFUSED")
        self.site = site
        self.denied = denied


#: Which class an error answer becomes (protocol sections 2 and 3).
AGENT_ERRORS = ErrorTable(
    by_code={
        "MISSING_AGENT_TOKEN": AuthenticationError,
        "INVALID_AGENT_TOKEN": AuthenticationError,
        "AGENT_INACTIVE": AgentInactiveError,
        "AGENT_USER_SUSPENDED": AgentUserSuspendedError,
        "AUTH_UNAVAILABLE": AuthUnavailableError,
        "SITE_LOGIN_REQUEST_NOT_FOUND": LoginNotFoundError,
    }
)
