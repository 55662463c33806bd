"""What an OAuth endpoint answers when it refuses.

::

    OAuthError
    ├── InvalidRequest        400  invalid_request
    ├── InvalidClient         401  invalid_client
    ├── InvalidGrant          400  invalid_grant
    ├── UnauthorizedClient    400  unauthorized_client
    ├── UnsupportedGrantType  400  unsupported_grant_type
    ├── InvalidScope          400  invalid_scope
    ├── InvalidTarget         400  invalid_target
    ├── AccessDenied          403  access_denied
    ├── InvalidRedirectUri    400  invalid_redirect_uri
    └── InvalidClientMetadata 400  invalid_client_metadata

Codes are those of RFC 6749 (sections 4.1.2.1 and 5.2), RFC 7591 (section 3.2.2) and RFC 8707
(section 2). On the wire there is no envelope: `{"error", "error_description"}`. A description helps
the developer of an honest client, and never says which of several secrets was wrong.
"""

# ruff: noqa: N818 - they are named like their codes on the wire, not like Python's own exceptions

from lime_server.core.errors import DomainError


class OAuthError(DomainError):
    """A refusal in the form of RFC 6749; `code` is its `error`."""

    code = "invalid_request"


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated, or not what it should be."""

    default_message = "The request is not valid."


class InvalidClient(OAuthError):
    """The client is unknown, or did not prove to be itself."""

    code = "invalid_client"
    status = 401
    default_message = "The client is unknown, or could not be authenticated."

    def __init__(self, message: str | None = None, *, basic: bool = False) -> None:
        """With `basic` the client used HTTP Basic, and is told so (RFC 6749, section 5.2)."""
        super().__init__(message)
        self.basic = basic


class InvalidGrant(OAuthError):
    """A code or refresh token is unknown, spent, too old, revoked, or another client's."""

    code = "invalid_grant"
    default_message = "The code or refresh token cannot be used (any more)."


class UnauthorizedClient(OAuthError):
    """This client may not use this grant."""

    code = "unauthorized_client"
    default_message = "This client may not use this grant."


class UnsupportedGrantType(OAuthError):
    """There is no such grant here."""

    code = "unsupported_grant_type"
    default_message = "There is no such grant_type here."


class InvalidScope(OAuthError):
    """More than was granted, or not a scope."""

    code = "invalid_scope"
    default_message = "The scope is not one."


class InvalidTarget(OAuthError):
    """The resource is not one, or another than was granted (RFC 8707, section 2)."""

    code = "invalid_target"
    default_message = "The resource is not an address that tokens can be issued for."


class AccessDenied(OAuthError):
    """We know who is asking, and the answer is no."""

    code = "access_denied"
    status = 403
    default_message = "This is not allowed."


class InvalidRedirectUri(OAuthError):
    """A redirect URI that cannot be registered (RFC 7591, section 3.2.2)."""

    code = "invalid_redirect_uri"
    default_message = "A redirect URI cannot be registered."


class InvalidClientMetadata(OAuthError):
    """Something else about a client that cannot be registered (RFC 7591, section 3.2.2)."""

    code = "invalid_client_metadata"
    default_message = "The client's metadata cannot be registered."
