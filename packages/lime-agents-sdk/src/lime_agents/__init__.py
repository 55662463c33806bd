"""LIME for AI agents: a passport, and one call to log in with it.

`LimeAgent` (asyncio) and `LimeAgentSync` (blocking) do the work; everything else here is what they
return or raise. `lime_agents.testing` has a fake LIME for an application's own tests.
"""

from typing import TYPE_CHECKING, Any

from lime_agents._agent import LimeAgent, LimeAgentSync
from lime_agents._errors import (
    AgentInactiveError,
    AgentUserSuspendedError,
    AuthUnavailableError,
    InvalidMcpTargetError,
    InvalidRequestIdError,
    LoginNotFoundError,
    LoginRefusedError,
    McpAuthenticationError,
    OAuthCapabilityError,
    PowDifficultyError,
    PowTimeoutError,
)
from lime_agents._mcp.targets import extract_and_normalize_domain, resolve_mcp_http_url
from lime_agents._types import AgentProfile, ApprovalResult, LoginSite, McpAccessToken
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
    "InvalidMcpTargetError",
    "InvalidRequestIdError",
    "LimeAgent",
    "LimeAgentSync",
    "LimeError",
    "LoginNotFoundError",
    "LoginRefusedError",
    "LoginSite",
    "McpAccessToken",
    "McpAuthenticationError",
    "OAuthCapabilityError",
    "PowDifficultyError",
    "PowTimeoutError",
    "ProtocolError",
    "RateLimitError",
    "TransportError",
    "__version__",
    "extract_and_normalize_domain",
    "resolve_mcp_http_url",
]

if TYPE_CHECKING:
    from mcp.types import CallToolResult as CallToolResult
    from mcp.types import GetPromptResult as GetPromptResult
    from mcp.types import Prompt as Prompt
    from mcp.types import ReadResourceResult as ReadResourceResult
    from mcp.types import Resource as Resource
    from mcp.types import ResourceTemplate as ResourceTemplate
    from mcp.types import ServerCapabilities as ServerCapabilities
    from mcp.types import Tool as Tool

#: Types of the official SDK that earlier versions exported, imported when asked for.
_OF_MCP = frozenset(
    {
        *("CallToolResult", "GetPromptResult", "Prompt", "ReadResourceResult", "Resource"),
        *("ResourceTemplate", "ServerCapabilities", "Tool"),
    }
)


def __getattr__(name: str) -> Any:
    if name not in _OF_MCP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lime_agents._mcp import generations  # noqa: PLC0415 - importing mcp is dear

    return getattr(generations.types(), name)
