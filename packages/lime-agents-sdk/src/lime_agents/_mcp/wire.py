"""What LIME and MCP servers send about access tokens. Unknown fields are ignored."""

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

from lime_agents._wire import Wire


class TokenAnswer(Wire):
    """RFC 6749, section 5.1. Only what can stand in a header is a token (RFC 6750, section 2.1)."""

    access_token: Annotated[
        StrictStr, Field(max_length=16384, pattern=r"^[A-Za-z0-9._~+/-]+=*$", repr=False)
    ]
    token_type: Annotated[StrictStr, Field(pattern=r"^[Bb][Ee][Aa][Rr][Ee][Rr]$")]
    # A day: no LIME says more, and whoever does would make an agent keep a dead token for ever.
    expires_in: Annotated[StrictInt, Field(gt=0, le=86_400)]


class ServerMetadata(Wire):
    """RFC 8414, section 2: all that is needed of it."""

    issuer: Annotated[StrictStr, Field(min_length=1, max_length=2048)]


class ResourceMetadata(Wire):
    """RFC 9728, section 2: all that is needed of it."""

    resource: str
    authorization_servers: tuple[str, ...] = ()
