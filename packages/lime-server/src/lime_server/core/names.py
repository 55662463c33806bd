"""What people call things: short, printable, one line."""

import re
import unicodedata

from lime_server.core.errors import InvalidInput

MAX_NAME = 100
"""Characters in a display name: what still fits a line on a phone, twice."""
MAX_TEXT = 2000
"""Characters in a description or a URL."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")


def display_name(text: str) -> str:
    """`text` without surrounding space.

    Raises InvalidInput if nothing is left, it is longer than MAX_NAME, or holds a control character
    (a line break in a name would forge a line in somebody's log or terminal).
    """
    name = text.strip()
    if not name or len(name) > MAX_NAME or _has_control(name):
        raise InvalidInput(
            f"A display name has 1 to {MAX_NAME} printable characters.",
            detail={"field": "display_name"},
        )
    return name


def domain_name(text: str) -> str:
    """`text` as a DNS name in lower case, without a final dot.

    Raises InvalidInput for a scheme, a port, a path, an address or a single label.
    """
    name = text.strip().lower().removesuffix(".")
    if not _DOMAIN.fullmatch(name) or name.replace(".", "").isdigit():
        raise InvalidInput(
            "A domain is a host name such as shop.example.", detail={"field": "domain"}
        )
    return name


def optional_text(text: str | None, field: str) -> str | None:
    """`text` if it is at most MAX_TEXT characters long; empty is None. Raises InvalidInput."""
    if text is not None and len(text) > MAX_TEXT:
        raise InvalidInput(f"At most {MAX_TEXT} characters.", detail={"field": field})
    return text or None


def _has_control(text: str) -> bool:
    # Cc are control characters, Cf invisible ones such as the bidirectional overrides, Cs lone
    # surrogates, Zl and Zp the line and paragraph separators.
    return any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
