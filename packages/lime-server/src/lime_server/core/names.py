"""What people call things: short, printable, one line."""

import re
import unicodedata

from lime_server.core.errors import InvalidInput
from lime_server.core.urls import is_web_url

MAX_NAME = 100
"""Characters in a display name: what still fits a line on a phone, twice."""
MAX_TEXT = 2000
"""Characters in a description or an avatar's URL."""

MAX_REASON = 500
"""Characters in a reason: a few sentences, which lists show whole."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A last label that is a number makes browsers read the whole name as an IPv4 address, as in
# 0x7f.1 (URL Standard, "ends in a number"); no top-level domain begins with a digit.
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?=[a-z]){_LABEL}")


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


def reason(text: str) -> str:
    """Why something was done, without surrounding space.

    Raises InvalidInput if nothing is left, it is longer than MAX_REASON, or holds a control
    character.
    """
    why = text.strip()
    if not why or len(why) > MAX_REASON or _has_control(why):
        raise InvalidInput(
            f"A reason has 1 to {MAX_REASON} printable characters.", detail={"field": "reason"}
        )
    return why


def domain_name(text: str) -> str:
    """`text` as a DNS name in lower case, without a final dot.

    Raises InvalidInput for a scheme, a port, a path, an address or a single label.
    """
    name = text.strip().lower().removesuffix(".")
    if not _DOMAIN.fullmatch(name):
        raise InvalidInput(
            "A domain is a host name such as shop.example.", detail={"field": "domain"}
        )
    return name


def description(text: str | None) -> str | None:
    """`text`, which may have several lines, without surrounding space; empty is None.

    Raises InvalidInput if it is longer than MAX_TEXT or holds any other control character.
    """
    plain = (text or "").replace("\r\n", "\n").strip()
    if len(plain) > MAX_TEXT or _has_control(plain.replace("\n", "").replace("\t", "")):
        raise InvalidInput(
            f"A description has at most {MAX_TEXT} printable characters.",
            detail={"field": "description"},
        )
    return plain or None


def avatar_url(text: str | None) -> str | None:
    """`text` if it is an https URL; empty is None. It is never fetched by us.

    Raises InvalidInput for anything else: whoever shows it puts it into a page.
    """
    if not text:
        return None
    if len(text) > MAX_TEXT or not is_web_url(text):
        raise InvalidInput(
            f"An avatar is an https URL of at most {MAX_TEXT} printable ASCII characters, without "
            "a user name.",
            detail={"field": "avatar_url"},
        )
    return text


def _has_control(text: str) -> bool:
    # Cc are control characters, Cf invisible ones such as the bidirectional overrides, Cs lone
    # surrogates, Zl and Zp the line and paragraph separators.
    return any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
