"""Protected resource metadata: how a client learns whose tokens a server accepts (RFC 9728)."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


def metadata_path(resource: str) -> str:
    """Return the path of the metadata of `resource`: before its own path (RFC 9728, 3.1)."""
    path = urlsplit(resource).path
    return WELL_KNOWN + ("" if path == "/" else path)


def metadata_url(resource: str) -> str:
    """Return the URL of the metadata of `resource`, for the challenge."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{metadata_path(resource)}"


def protected_resource_metadata(
    resource: str,
    issuer: str,
    *,
    scopes: Sequence[str] = (),
    name: str | None = None,
    documentation: str | None = None,
) -> dict[str, object]:
    """Return the metadata of `resource` (RFC 9728, section 2).

    Args:
        resource: the URL of the server, to the letter: clients compare it and ask for tokens by it.
        issuer: the authorization server, to the letter as its own metadata names it.
        scopes: what tokens may be asked for.
        name: for humans.
        documentation: a URL for developers.
    """
    document: dict[str, object] = {
        "resource": resource,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    }
    if scopes:
        document["scopes_supported"] = list(scopes)
    if name is not None:
        document["resource_name"] = name
    if documentation is not None:
        document["resource_documentation"] = documentation
    return document
