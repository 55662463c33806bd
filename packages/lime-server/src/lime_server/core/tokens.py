"""Opaque credentials: what they look like, and how they are made (protocol section 2)."""

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum


class TokenKind(StrEnum):
    """Whose token it is; the value is its prefix."""

    AGENT = "at_"
    SITE = "st_"
    SESSION = "os_"
    """An owner's session, in a cookie."""
    TICKET = "tk_"
    """A step of a sign-in or registration that is not complete."""
    BINDING_CODE = "bc_"
    """A binding that its human approved, on its way to the site."""
    # These three travel in URLs, forms and HTTP Basic: clients disagree on what to quote there, and
    # none of their characters has to be.
    AUTHORIZATION_CODE = "ac_"
    """An owner's consent, on its way to an OAuth client."""
    REFRESH_TOKEN = "rt_"  # noqa: S105 - a name
    """What an OAuth client exchanges for its next access token."""
    CLIENT_SECRET = "cs_"  # noqa: S105 - a name
    """What a registered OAuth client proves itself with."""


_SECRET_BYTES = 32  # 256 bits (protocol section 2), 43 characters of base64url
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token in clear, on its way to its holder or to be hashed. Its repr keeps the secret."""

    kind: TokenKind
    text: str = field(repr=False)

    @classmethod
    def new(cls, kind: TokenKind) -> "Token":
        """A fresh token of `kind`."""
        return cls(kind, kind + secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parse(cls, kind: TokenKind, unverified_token: str) -> "Token | None":
        """A token of `kind` with the right shape, or None for anything else.

        A JWT, the other kind's token and a truncated one end here, before any look-up.
        """
        secret = unverified_token.removeprefix(kind)
        if secret == unverified_token or not _SECRET.fullmatch(secret):
            return None
        return cls(kind, unverified_token)
