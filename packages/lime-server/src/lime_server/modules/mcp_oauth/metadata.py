"""The authorization server's metadata (RFC 8414): only what works, and the same everywhere."""

from collections.abc import Sequence

from lime_server.core.urls import API_PATH, PublicUrl
from lime_server.modules.mcp_oauth.model import AuthMethod, GrantType

OAUTH = "/modules/oauth"
"""Where the endpoints are, relative to the API base; with the public URL before it, the issuer."""
JWKS = "/core/.well-known/jwks.json"
METADATA_PATHS = (
    f"{API_PATH}{OAUTH}/.well-known/oauth-authorization-server",
    # RFC 8414, section 3.1: the well-known part goes between host and path.
    f"/.well-known/oauth-authorization-server{API_PATH}{OAUTH}",
    # And where OpenID Connect discovery is looked for, in its two forms (section 5).
    f"/.well-known/openid-configuration{API_PATH}{OAUTH}",
    f"{API_PATH}{OAUTH}/.well-known/openid-configuration",
)
"""The four places of protocol section 8."""
_TOKEN, _REGISTER, _REVOKE, _INTROSPECT = (
    f"{API_PATH}{OAUTH}/{name}" for name in ("token", "register", "revoke", "introspect")
)
PLAIN_PATHS = frozenset({_TOKEN, _REGISTER, _REVOKE, _INTROSPECT})
"""Where refusals are RFC 6749's and not our envelope."""
CROSS_ORIGIN_PATHS = frozenset({_TOKEN, _REGISTER, _REVOKE, API_PATH + JWKS, *METADATA_PATHS})
"""What a client that runs in a browser calls, from whatever page it is on."""
SIGNING_ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""What client assertions may be signed with."""


def issuer_of(public_url: PublicUrl) -> str:
    """The OAuth issuer: what tokens carry, and what metadata says, to the byte."""
    return public_url.api_base + OAUTH


def token_endpoint_of(public_url: PublicUrl) -> str:
    """Where tokens come from; client assertions may name it as their audience."""
    return issuer_of(public_url) + "/token"


def metadata(public_url: PublicUrl, scopes: Sequence[str]) -> dict[str, object]:
    """The document."""
    issuer = issuer_of(public_url)
    confidential = [method.value for method in AuthMethod if method is not AuthMethod.NONE]
    every = [method.value for method in AuthMethod]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": token_endpoint_of(public_url),
        "registration_endpoint": f"{issuer}/register",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "jwks_uri": public_url.api_base + JWKS,
        "scopes_supported": list(scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [grant.value for grant in GrantType],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": every,
        "token_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": every,
        "revocation_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "client_id_metadata_document_supported": True,
        "authorization_response_iss_parameter_supported": True,
    }
