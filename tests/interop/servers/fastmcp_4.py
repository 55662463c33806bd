"""A FastMCP server."""

from urllib.parse import urlsplit

from fastmcp import FastMCP
from fastmcp.server.dependencies import get_access_token
from serving import serve
from starlette.types import ASGIApp

from lime_sites.mcp import LimeTokenVerifier, remote_auth_provider


def create_app(public_url: str) -> ASGIApp:
    verifier = LimeTokenVerifier(
        resource=f"{public_url}/mcp", domain=str(urlsplit(public_url).hostname)
    )
    server = FastMCP("Notes", auth=remote_auth_provider(verifier))

    @server.tool
    def whoami() -> dict[str, str]:
        """Say which agent LIME knows the caller as."""
        token = get_access_token()
        return {
            "agent_id": token.claims["sub"],
            "client_id": token.client_id,
            "scope": " ".join(token.scopes),
        }

    return server.http_app(path="/mcp")


serve(create_app)
