"""LIME for AI agents: a passport, and one call to log in with it.

`LimeAgent` (asyncio) and `LimeAgentSync` (blocking) do the work; everything else here is what they
return or raise. `lime_agents.testing` has a fake LIME for an application's own tests.
"""

from lime_agents._agent import LimeAgent, LimeAgentSync
from lime_agents._errors import (
    AgentInactiveError,
    AgentUserSuspendedError,
    AuthUnavailableError,
    InvalidRequestIdError,
    LoginNotFoundError,
    LoginRefusedError,
    McpAuthenticationError,
    OAuthCapabilityError,
    PowDifficultyError,
    PowTimeoutError,
)
from lime_agents._types import AgentProfile, ApprovalResult, LoginSite
from lime_agents._version import __version__
from lime_sdk_core import (
    ApiError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    LimeError,
    ProtocolError,
    RateLimitError,
    TransportError,
)

__all__ = [
    "AgentInactiveError",
    "AgentProfile",
    "AgentUserSuspendedError",
    "ApiError",
    "ApprovalResult",
    "AuthUnavailableError",
    "AuthenticationError",
    "ClosedError",
    "ConfigurationError",
    "InvalidRequestIdError",
    "LimeAgent",
    "LimeAgentSync",
    "LimeError",
    "LoginNotFoundError",
    "LoginRefusedError",
    "LoginSite",
    "McpAuthenticationError",
    "OAuthCapabilityError",
    "PowDifficultyError",
    "PowTimeoutError",
    "ProtocolError",
    "RateLimitError",
    "TransportError",
    "__version__",
]
