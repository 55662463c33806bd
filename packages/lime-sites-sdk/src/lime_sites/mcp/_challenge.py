"""The `Authorization` and `WWW-Authenticate` headers of bearer tokens (RFC 6750, RFC 9728)."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

INVALID_REQUEST: Final = "invalid_request"
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105 - an error code
INSUFFICIENT_SCOPE: Final = "insufficient_scope"

MAX_HEADER: Final = 16 * 1024 + 64
"""Characters of an `Authorization` value: the longest token (protocol section 6) and its scheme."""

_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"bearer(?: |$)", re.IGNORECASE | re.ASCII)

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # scope-token, RFC 6749, appendix A.4
_ERROR = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")  # error and its description, RFC 6750, 3


class BadAuthorizationError(ValueError):
    """The request means to carry a bearer token, and does not carry exactly one."""


def bearer_token(authorization: Iterable[str]) -> str | None:
    """Return the unverified token of a request, or None if it carries none.

    Args:
        authorization: the values of all `Authorization` headers of the request.

    Raises:
        BadAuthorizationError: there are several, or the one is not what RFC 6750, section 2.1,
            describes. Neither may be guessed at: a proxy might have looked at the other one.
    """
    values = list(authorization)
    if not any(_SCHEME.match(value) for value in values):
        return None
    if len(values) > 1:
        raise BadAuthorizationError("more than one Authorization header")
    found = _BEARER.fullmatch(values[0]) if len(values[0]) <= MAX_HEADER else None
    if found is None:
        raise BadAuthorizationError("not a bearer token")
    return found[1]


def www_authenticate(
    resource_metadata: str | None = None,
    *,
    error: str | None = None,
    description: str | None = None,
    scopes: Sequence[str] = (),
) -> str:
    """Return a `WWW-Authenticate` value that tells a client how to come by a token.

    Args:
        resource_metadata: the URL of this server's metadata (RFC 9728, section 5.1).
        error: `invalid_token` with status 401, `insufficient_scope` with 403, `invalid_request`
            with 400; none if the request carried no token (RFC 6750, section 3.1).
        description: one sentence for the developer of the client.
        scopes: what a token needs here.

    Raises:
        ValueError: something that cannot stand in the header, a line break for example.
    """
    for text, form in ((error, _ERROR), (description, _ERROR), (resource_metadata, _SCOPE)):
        if text is not None and not form.fullmatch(text):
            raise ValueError("not a value of a WWW-Authenticate parameter")
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise ValueError("not a scope")
    parameters = {
        "error": error,
        "error_description": description,
        "scope": " ".join(scopes) or None,
        "resource_metadata": resource_metadata,
    }
    # Nothing that is let through needs a backslash in a quoted string (RFC 9110, section 5.6.4).
    said = ", ".join(f'{name}="{text}"' for name, text in parameters.items() if text is not None)
    return f"Bearer {said}".strip()
