"""Where a browser may be sent with a code: what can be registered, and what fits it.

Exactly what was registered, to the letter (OAuth 2.1, section 2.3.1). The one exception is the port
of a program on the user's own machine, which it cannot choose in advance (RFC 8252, section 7.3).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit

from lime_server.core.urls import is_web_url
from lime_server.modules.mcp_oauth.errors import InvalidRedirectUri

MAX_REDIRECT_URI = 2048
"""Characters: what every browser and proxy still takes as a URL."""
MAX_REDIRECT_URIS = 20
"""Of one client: one for each place where the largest web client runs, several times over."""
# The characters of a URI (RFC 3986, section 2) without `#`: browsers mend anything else in ways of
# their own, and a fragment would swallow the answer (OAuth 2.1, section 2.3).
_URI = re.compile(rf"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]{{1,{MAX_REDIRECT_URI}}}")
# `localhost` is not in RFC 8252, section 8.3, for its sake; MCP's authorization names it, and its
# clients use it.
_LOOPBACK = re.compile(
    r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::([0-9]{1,5}))?((?:[/?].*)?)"
)
# A name that its owner has in the DNS, in reverse, so that two apps do not choose the same (RFC
# 8252, section 7.1). Schemes that browsers act on (`javascript`, `data`, `file`) have no dot.
_PRIVATE_USE = re.compile(r"([a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+):(/[^@]*)")
_ANSWERS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})


class RedirectKind(StrEnum):
    """Who receives a browser."""

    WEB = "web"
    """A server, by https."""
    LOOPBACK = "loopback"
    """A program that listens on the user's own machine."""
    PRIVATE_USE = "private_use"
    """An app that claimed a scheme on the user's own machine."""


@dataclass(frozen=True, slots=True)
class RedirectUri:
    """A URI that may be registered."""

    text: str
    kind: RedirectKind
    host: str
    """What a person is shown: host and port, or the scheme of an app."""


def parse_redirect_uri(text: str, *, private_schemes: bool = False) -> RedirectUri:
    """`text` as a redirect URI; with `private_schemes` also that of an app.

    Raises InvalidRedirectUri, with a sentence for the client's developer.
    """
    # 1. Nothing that anybody reads differently.
    if not _URI.fullmatch(text):
        raise InvalidRedirectUri(
            f"A redirect URI has at most {MAX_REDIRECT_URI} characters, those of RFC 3986 only, "
            "and no fragment."
        )
    # 2. One of three kinds, by its first letters. Everything else, such as javascript:, is none.
    uri = _known(text, private_schemes=private_schemes)
    if uri is None:
        raise InvalidRedirectUri(
            "A redirect URI is https, without a user name, or http on 127.0.0.1, [::1] or "
            "localhost."
        )
    # 3. No answer in it before we answer: the client could take the wrong one of two.
    query = text.partition("?")[2]
    if _ANSWERS & {name for name, _ in parse_qsl(query, keep_blank_values=True)}:
        raise InvalidRedirectUri("A redirect URI holds no parameter of an authorization response.")
    return uri


def find_redirect(
    registered: Sequence[str], asked: str, *, private_schemes: bool = False
) -> RedirectUri | None:
    """`asked` if it is one of `registered`, or the same program on another port; else None."""
    try:
        uri = parse_redirect_uri(asked, private_schemes=private_schemes)
    except InvalidRedirectUri:
        return None
    if asked in registered:
        return uri
    portless = _portless(asked)
    if portless is not None and portless in map(_portless, registered):
        return uri
    return None


def going_back(redirect_uri: str, **answer: str | None) -> str:
    """The redirect URI with an answer added to whatever query it has; None is left out."""
    joint = "&" if "?" in redirect_uri else "?"
    sent = {name: value for name, value in answer.items() if value is not None}
    return redirect_uri + joint + urlencode(sent)


def _known(text: str, *, private_schemes: bool) -> RedirectUri | None:
    if text.startswith("https://"):
        if not is_web_url(text):
            return None
        return RedirectUri(text, RedirectKind.WEB, urlsplit(text).netloc.lower())
    if loopback := _LOOPBACK.fullmatch(text):
        port = loopback[2]
        if port is not None and not 0 < int(port) < 65536:
            return None
        host = loopback[1].removeprefix("http://") + ("" if port is None else f":{port}")
        return RedirectUri(text, RedirectKind.LOOPBACK, host)
    private = _PRIVATE_USE.fullmatch(text) if private_schemes else None
    return private and RedirectUri(text, RedirectKind.PRIVATE_USE, private[1])


def _portless(text: str) -> tuple[str, str] | None:
    """Host and rest of a loopback URI; None for any other."""
    loopback = _LOOPBACK.fullmatch(text)
    return None if loopback is None else (loopback[1], loopback[3])
