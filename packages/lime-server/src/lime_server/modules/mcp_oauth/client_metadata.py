"""What a client says of itself (RFC 7591, section 2), from a registration or its own document.

What we do not know is ignored, and so is everything that only decorates: pictures and links are
never fetched, and never shown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lime_server.core import names
from lime_server.core.errors import InvalidInput
from lime_server.modules.mcp_oauth.agent_keys import MAX_KEYS
from lime_server.modules.mcp_oauth.errors import InvalidClientMetadata, InvalidRedirectUri
from lime_server.modules.mcp_oauth.model import AuthMethod, GrantType, Jwk
from lime_server.modules.mcp_oauth.ports import PublicKeys
from lime_server.modules.mcp_oauth.redirects import (
    MAX_REDIRECT_URIS,
    RedirectUri,
    parse_redirect_uri,
)

MAX_VALUES = 32
"""Members of a list of grant or response types: all that are registered at IANA."""
_GRANTS = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN})
"""What a client can use that is no agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """What of a client's metadata is accepted."""

    name: str
    redirect_uris: tuple[RedirectUri, ...]
    auth_method: AuthMethod
    grant_types: frozenset[str]
    jwks: tuple[Jwk, ...] = ()
    jwks_uri: str | None = None
    """Not read yet; never set together with `jwks`."""


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, with every member once. Raises InvalidClientMetadata."""
    try:
        document = json.loads(body.decode(), object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise InvalidClientMetadata("The metadata is not JSON in UTF-8.") from None
    if not isinstance(document, dict):
        raise InvalidClientMetadata("The metadata is not a JSON object.")
    return document


def read_metadata(
    document: Mapping[str, Any],
    *,
    keys: PublicKeys,
    default_method: AuthMethod,
    private_schemes: bool = False,
) -> ClientMetadata:
    """The metadata in `document`. A client that names no authentication has `default_method`.

    Raises InvalidRedirectUri or InvalidClientMetadata, with a sentence for its developer.
    """
    # 1. Where codes may go: without one there is nothing that this client could do.
    uris = _redirect_uris(document, private_schemes=private_schemes)
    # 2. What it uses. We take out what we do not have, and say so in the answer (section 2).
    grant_types = _GRANTS & set(
        _texts(document, "grant_types", default=(GrantType.AUTHORIZATION_CODE,))
    )
    if GrantType.AUTHORIZATION_CODE not in grant_types:
        raise InvalidClientMetadata("grant_types has to include authorization_code.")
    if "code" not in _texts(document, "response_types", default=("code",)):
        # It goes with authorization_code (section 2.1).
        raise InvalidClientMetadata("response_types has to include code.")
    # 3. How it proves itself, and with what.
    method = _method(document, default_method)
    jwks, jwks_uri = _keys(document, method, keys)
    # 4. What it calls itself: shown to people, as its own claim.
    name = _name(document, otherwise=uris[0].host)
    return ClientMetadata(
        name=name,
        redirect_uris=uris,
        auth_method=method,
        grant_types=grant_types,
        jwks=jwks,
        jwks_uri=jwks_uri,
    )


def read_jwks(document: object, keys: PublicKeys) -> tuple[Jwk, ...]:
    """The public keys of a JWK Set (RFC 7517, section 5). Raises InvalidClientMetadata."""
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list) or not 0 < len(found) <= MAX_KEYS:
        raise InvalidClientMetadata(f"jwks is an object with keys, 1 to {MAX_KEYS} of them.")
    if not all(isinstance(jwk, dict) for jwk in found):
        raise InvalidClientMetadata("A key in jwks is not an object.")
    try:
        jwks = tuple(keys.clean(jwk) for jwk in found)
    except InvalidInput as error:
        raise InvalidClientMetadata(error.message) from None
    if len({jwk["kid"] for jwk in jwks}) < len(jwks):
        raise InvalidClientMetadata("Two keys in jwks have one kid.")
    return jwks


def _redirect_uris(
    document: Mapping[str, Any], *, private_schemes: bool
) -> tuple[RedirectUri, ...]:
    found = document.get("redirect_uris")
    if not isinstance(found, list) or not 0 < len(found) <= MAX_REDIRECT_URIS:
        raise InvalidRedirectUri(f"redirect_uris is a list of 1 to {MAX_REDIRECT_URIS} URIs.")
    if not all(isinstance(text, str) for text in found):
        raise InvalidRedirectUri("A redirect URI is not text.")
    return tuple(
        parse_redirect_uri(text, private_schemes=private_schemes) for text in dict.fromkeys(found)
    )


def _method(document: Mapping[str, Any], default: AuthMethod) -> AuthMethod:
    found = document.get("token_endpoint_auth_method")
    if found is None:
        return default
    if not isinstance(found, str) or found not in set(AuthMethod):
        raise InvalidClientMetadata(
            f"token_endpoint_auth_method is one of {', '.join(AuthMethod)}."
        )
    return AuthMethod(found)


def _keys(
    document: Mapping[str, Any], method: AuthMethod, keys: PublicKeys
) -> tuple[tuple[Jwk, ...], str | None]:
    if method is not AuthMethod.PRIVATE_KEY_JWT:
        # Whatever they are for (signed requests, encrypted answers): we do neither.
        return (), None
    jwks, jwks_uri = document.get("jwks"), document.get("jwks_uri")
    if (jwks is None) == (jwks_uri is None):
        # Section 2: never both.
        raise InvalidClientMetadata("private_key_jwt needs either jwks or jwks_uri.")
    if jwks is not None:
        return read_jwks(jwks, keys), None
    if not isinstance(jwks_uri, str):
        raise InvalidClientMetadata("jwks_uri is not text.")
    return (), jwks_uri


def _name(document: Mapping[str, Any], *, otherwise: str) -> str:
    found = document.get("client_name")
    if found is None:
        return otherwise[: names.MAX_NAME]
    try:
        return names.display_name(found if isinstance(found, str) else "")
    except InvalidInput:
        raise InvalidClientMetadata(
            f"client_name has 1 to {names.MAX_NAME} printable characters."
        ) from None


def _texts(document: Mapping[str, Any], name: str, *, default: Sequence[str]) -> Sequence[str]:
    found = document.get(name)
    if found is None:
        return default
    if not isinstance(found, list) or len(found) > MAX_VALUES:
        raise InvalidClientMetadata(f"{name} is a list of at most {MAX_VALUES} texts.")
    return [one for one in found if isinstance(one, str)]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate member")
    return found
