"""LIME as the authorization server of a FastMCP server."""

from importlib import import_module
from typing import Any

from lime_sdk_core import ConfigurationError
from lime_sites.mcp._verifier import LimeTokenVerifier


def remote_auth_provider(
    verifier: LimeTokenVerifier,
    *,
    mcp_path: str = "/mcp",
    name: str | None = None,
    documentation: str | None = None,
) -> Any:
    """Return `auth=` for a `FastMCP` server: a `fastmcp.server.auth.RemoteAuthProvider`.

    Args:
        verifier: was given the resource, which is the URL of the MCP endpoint.
        mcp_path: the path that FastMCP serves it at, with which the resource ends. FastMCP puts
            the two together again, and they must give what clients ask tokens for.
        name: this server's, for humans.
        documentation: a URL for developers.

    Raises:
        ConfigurationError: FastMCP is not installed, or the resource does not end in `mcp_path`.
    """
    if not mcp_path.startswith("/") or not verifier.resource.endswith(mcp_path):
        raise ConfigurationError(
            f"the resource does not end in {mcp_path}: pass mcp_path= with the path that FastMCP "
            "serves it at"
        )
    try:
        auth = import_module("fastmcp.server.auth")
    except ImportError:
        raise ConfigurationError("FastMCP is not installed: pip install fastmcp") from None
    options = {"resource_name": name, "resource_documentation": documentation}
    return auth.RemoteAuthProvider(
        token_verifier=_bridge(auth, verifier),
        authorization_servers=[verifier.issuer],
        base_url=verifier.resource.removesuffix(mcp_path),
        **{key: value for key, value in options.items() if value is not None},
    )


def _bridge(auth: Any, verifier: LimeTokenVerifier) -> Any:
    """Return `verifier` as FastMCP wants one: of its own class, answering with its own class."""

    class Bridge(auth.TokenVerifier):  # type: ignore[misc]  # a base class for type checkers: none
        async def verify_token(self, token: str) -> Any:
            found = await verifier.verify_token(token)
            return None if found is None else auth.AccessToken(**found.model_dump())

    return Bridge(required_scopes=list(verifier.required_scopes))
