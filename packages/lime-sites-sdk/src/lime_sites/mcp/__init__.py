"""MCP servers that agents open with a token from LIME.

With the official SDK, version 2 or 1.12 and newer:

    verifier = LimeTokenVerifier(resource="https://mcp.example.com/mcp")
    server = MCPServer("Reports", token_verifier=verifier, auth=verifier.auth_settings())
    app = ChallengeScopes(server.streamable_http_app(), verifier)

With FastMCP, `FastMCP("Reports", auth=remote_auth_provider(verifier))`; on plain Starlette or
FastAPI, `RequireToken(verifier)` and `metadata_route(verifier)`.

Needs the extra: `pip install lime-sites-sdk[mcp]`.
"""

from lime_sites.mcp._access import AgentAccess
from lime_sites.mcp._challenge import BadAuthorizationError, bearer_token, www_authenticate
from lime_sites.mcp._fastmcp import remote_auth_provider
from lime_sites.mcp._metadata import metadata_path, metadata_url, protected_resource_metadata
from lime_sites.mcp._pin import UnpinnedVerifierError
from lime_sites.mcp._starlette import ChallengeScopes, RequireToken, metadata_route
from lime_sites.mcp._verifier import LimeTokenVerifier, LimeTokenVerifierSync

__all__ = [
    "AgentAccess",
    "BadAuthorizationError",
    "ChallengeScopes",
    "LimeTokenVerifier",
    "LimeTokenVerifierSync",
    "RequireToken",
    "UnpinnedVerifierError",
    "bearer_token",
    "metadata_path",
    "metadata_route",
    "metadata_url",
    "protected_resource_metadata",
    "remote_auth_provider",
    "www_authenticate",
]
