"""A server with version 1 of the official SDK."""

from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.fastmcp import FastMCP
from mcp.server.transport_security import TransportSecuritySettings
from serving import serve
from starlette.types import ASGIApp

from lime_sites.mcp import ChallengeScopes, LimeTokenVerifier


def create_app(public_url: str) -> ASGIApp:
    verifier = LimeTokenVerifier(
        resource=f"{public_url}/mcp", domain=str(urlsplit(public_url).hostname)
    )
    server = FastMCP(
        "Notes",
        token_verifier=verifier,
        auth=verifier.auth_settings(),
        transport_security=TransportSecuritySettings(allowed_hosts=[urlsplit(public_url).netloc]),
    )

    @server.tool()
    async def whoami() -> dict[str, str]:
        """Say which agent LIME knows the caller as."""
        token = get_access_token()
        access = await verifier.verify(token.token)
        # The first releases do not keep whose token it is.
        assert getattr(token, "subject", access.agent_id) == access.agent_id
        return {
            "agent_id": access.agent_id,
            "client_id": token.client_id,
            "scope": " ".join(token.scopes),
        }

    return ChallengeScopes(server.streamable_http_app(), verifier)


serve(create_app)
