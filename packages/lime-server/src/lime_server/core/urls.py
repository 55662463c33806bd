"""The one address under which the outside world knows this server."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_NETLOC = re.compile(r"[^\[\]]*|\[[^\[\]]*\](?::[0-9]*)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
API_PATH = "/api/v1"
"""Where every route of the API lives under the public URL (protocol section 1)."""


def unambiguous(text: str) -> SplitResult:
    """The parts of a URL. Raises ValueError for one that cannot be read, or in two ways.

    Of `https://shop.example[::1]/` the standard library gives `::1` as the host, and some versions
    of it do not mind; others take the whole for a name.
    """
    parts = urlsplit(text)
    if not _NETLOC.fullmatch(parts.netloc):
        raise ValueError("brackets stand around the whole host, or not at all")
    return parts


def is_web_url(text: str, *, loopback_too: bool = False) -> bool:
    """Whether `text` is an absolute https URL that everyone reads alike.

    With `loopback_too` also http, to this machine alone. False for user names in it, for white
    space, control characters and backslashes, which browsers read in ways of their own, and for
    anything beyond ASCII.
    """
    if not re.fullmatch(r"[!-\[\]-~]+", text):
        return False
    try:
        parts = unambiguous(text)
        host, port = parts.hostname or "", parts.port
        named = str(PublicUrl(parts.scheme, _host(host), port))
    except ValueError:
        return False
    secure = parts.scheme == "https" or (
        loopback_too and parts.scheme == "http" and PublicUrl.parse(named).is_loopback
    )
    return secure and "@" not in parts.netloc


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """Scheme, host and port, and nothing else: what is signed and advertised starts with it.

    It is configured, never taken from a request: a `Host` header belongs to the caller
    (protocol section 1).
    """

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "PublicUrl":
        """Read `https://lime.example` or `http://127.0.0.1:8080`.

        Scheme and host become lower case, and the scheme's own port is dropped, so that one address
        has one spelling. Raises ValueError, with a sentence for the operator, for anything more or
        less.
        """
        if not text.isascii() or not text.isprintable():
            # The parser below drops line breaks and tabs in silence.
            raise ValueError("the public URL holds characters that no URL can hold")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"the public URL cannot be read: {error}") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("the public URL must start with https:// (or http:// for development)")
        if parts.path or "?" in text or "#" in text:
            raise ValueError("the public URL ends after host and port: no slash, path or query")
        if "@" in parts.netloc:
            raise ValueError("the public URL must not hold a user name or password")
        host = _host(parts.hostname or "")
        return cls(parts.scheme, host, None if port == _DEFAULT_PORTS[parts.scheme] else port)

    def __str__(self) -> str:
        """The URL as it is signed: `iss` is exactly this text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")

    @property
    def api_base(self) -> str:
        """Where the API lives; every path of the protocol is relative to it."""
        return str(self) + API_PATH

    @property
    def is_secure(self) -> bool:
        """Whether what travels there is encrypted."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if not _NAME.fullmatch(text):
        raise ValueError(
            "the public URL needs a host name (ASCII, punycode if need be) or an IP address"
        )
    return text
