"""What an MCP server says of itself (RFC 9728), and how much of it is believed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lime_agents._errors import McpAuthenticationError
from lime_agents._mcp.targets import McpTarget, origin_of
from lime_sdk_core._late import Late

if TYPE_CHECKING:
    from lime_agents._mcp import wire
else:
    wire = Late("lime_agents._mcp.wire")

#: Bytes of a metadata document, or of what a server says of a failure: real ones have some hundred.
MAX_DOCUMENT = 65_536

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
# A parameter of a challenge, quoted or not (RFC 9110, section 11.2).
_PARAMETER = r'(?:^|[\s,]){}\s*=\s*(?:"([^"\\]*)"|([^\s",]+))'


def places(target: McpTarget, challenge: str) -> list[str]:
    """Return where the metadata of `target` may be, the best place first.

    Args:
        target: The server that refused a token.
        challenge: Its `WWW-Authenticate`, or `""`.

    Raises:
        McpAuthenticationError: It sends the agent to another host.
    """
    # RFC 9728, section 5.1.
    if (named := _parameter(challenge, "resource_metadata")) is not None:
        # RFC 9728, section 3.1, puts it on the same host, and following a stranger elsewhere would
        # let it choose what an agent inside a network requests.
        if origin_of(named) != target.origin:
            raise McpAuthenticationError(
                f"{target.domain} keeps its resource metadata on another host."
            )
        return [named]
    # The specification of MCP: below the well-known path, then at its root.
    rooted = f"{target.origin}{_WELL_KNOWN}"
    path = target.path.rstrip("/")
    return [rooted + path, rooted] if path else [rooted]


def read(body: bytes) -> wire.ResourceMetadata | None:
    """Return the document in `body`, or `None` if it is none."""
    try:
        return wire.ResourceMetadata.model_validate(json.loads(body))
    except (ValueError, RecursionError):
        return None


def resource_of(found: wire.ResourceMetadata, target: McpTarget, issuer: str) -> str:
    """Return the resource that `target` is, if LIME may issue tokens for it.

    Raises:
        McpAuthenticationError: The document is about another server, or names other issuers.
    """
    # 1. About this server: RFC 9728, section 3.3. Otherwise one server could ask for a token that
    #    opens another. A resource above the URL is the same server, as official SDKs see it.
    if not _covers(found.resource, target):
        raise McpAuthenticationError(f"{target.domain} says that it is another resource.")
    # 2. It takes tokens of this LIME. Compared as text (RFC 8414, section 3.3).
    if issuer not in found.authorization_servers:
        raise McpAuthenticationError(
            f"{target.domain} does not name this agent's LIME as an authorization server."
        )
    return found.resource


def _covers(resource: str, target: McpTarget) -> bool:
    if origin_of(resource) != target.origin or "#" in resource:
        return False
    parts, wanted = urlsplit(resource), urlsplit(target.url)
    if parts.query and parts.query != wanted.query:
        return False
    return f"{wanted.path.rstrip('/')}/".startswith(f"{parts.path.rstrip('/')}/")


def lack_of_scope(response: Any, target: McpTarget) -> McpAuthenticationError | None:
    """Return the error for an httpx response that refuses for scopes (RFC 6750, section 3.1)."""
    challenge = challenge_of(response)
    if response.status_code != 403 or _parameter(challenge, "error") != "insufficient_scope":
        return None
    # Whatever a server writes there is shown to people: letters of scopes (RFC 6749, section 3.3).
    named = re.sub(r"[^ -~]", "?", _parameter(challenge, "scope") or "")[:200]
    wanted = f": {named}" if named else ""
    return McpAuthenticationError(
        f"{target.domain} wants a scope that this agent's access token has not{wanted}.",
        code="insufficient_scope",
        http_status=403,
    )


def _parameter(challenge: str, name: str) -> str | None:
    found = re.search(_PARAMETER.format(name), challenge, re.IGNORECASE)
    return None if found is None else found[1] or found[2] or ""


def challenge_of(response: Any) -> str:
    """Return the challenges of an httpx response as one text."""
    return ", ".join(response.headers.get_list("www-authenticate"))
