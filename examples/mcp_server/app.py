"""An MCP server that knows which agent calls it, and keeps notes for each.

`LIME_API_BASE` says whose agents may come in, `PUBLIC_URL` under which address they know this
server.
"""

import os
from collections import defaultdict
from urllib.parse import urlsplit

import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from lime_sites.mcp import ChallengeScopes, LimeTokenVerifier

MAX_NOTES = 100
"""Notes of one agent. They are kept in memory, which must not be an agent's to fill."""

MAX_NOTE = 1000
"""Characters of one note, for the same reason."""


def create_app(public_url: str) -> ASGIApp:
    """Return the server; its MCP endpoint is `/mcp` below `public_url`."""
    verifier = LimeTokenVerifier(
        resource=f"{public_url}/mcp",
        # Also for agents that ask for tokens by host name alone.
        domain=None if _is_address(public_url) else urlsplit(public_url).hostname,
    )
    server = MCPServer(
        "Notes",
        token_verifier=verifier,
        auth=verifier.auth_settings(),
        # Closes its connections when the server ends.
        lifespan=lambda _: verifier,
    )
    notes: dict[str, list[str]] = defaultdict(list)

    @server.tool()
    def whoami() -> dict[str, str]:
        """Say which agent LIME knows the caller as."""
        token = get_access_token()
        # Nobody gets here without a token, and a proven one has an agent.
        assert token is not None
        assert token.subject is not None
        return {
            "agent_id": token.subject,
            "client_id": token.client_id,
            "scope": " ".join(token.scopes),
        }

    @server.tool()
    def note(text: str) -> list[str]:
        """Keep a note, and return all notes that this agent has kept."""
        if len(text) > MAX_NOTE:
            raise ValueError(f"a note has at most {MAX_NOTE} characters")
        mine = notes[whoami()["agent_id"]]
        mine.append(text)
        del mine[:-MAX_NOTES]
        return mine

    # A page in a browser on this machine must not reach a server that only listens here.
    host = urlsplit(public_url).netloc
    guard = TransportSecuritySettings(allowed_hosts=[host], allowed_origins=[public_url])
    return ChallengeScopes(server.streamable_http_app(transport_security=guard), verifier)


def _is_address(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return ":" in host or host.rpartition(".")[2].isdigit()


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8004"))
    public = os.environ.get("PUBLIC_URL", f"http://127.0.0.1:{port}")
    uvicorn.run(create_app(public.rstrip("/")), host="127.0.0.1", port=port)
