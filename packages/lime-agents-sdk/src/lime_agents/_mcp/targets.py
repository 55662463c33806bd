"""Which MCP server is meant: text from outside, read once into a value that cannot be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from lime_agents._errors import InvalidMcpTargetError

#: Characters of a target: what every proxy still takes as a URL.
MAX_TARGET = 2048

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# RFC 1123, section 2.1. A last label that begins with a digit is no top-level domain: resolvers
# read such a name as an IPv4 address, as in 0x7f.1 (URL Standard, "ends in a number").
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?=[a-z]){_LABEL}")

#: Names, and endings of names, that mean something else, or somewhere else, on every machine. LIME
#: issues no tokens for them (protocol section 8), and no stranger must send an agent there.
_PRIVATE = frozenset(
    {
        *("localhost", "local", "test", "invalid", "onion", "arpa", "alt", "internal"),
        *("intranet", "private", "corp", "home", "lan", "mail"),
        # Services that answer with whatever address is written into the name.
        *("nip.io", "sslip.io", "xip.io", "traefik.me", "localtest.me", "lvh.me"),
        # What containers call their own control plane.
        *("kubernetes", "metadata", "cluster.local", "default.svc"),
    }
)


@dataclass(frozen=True, slots=True)
class McpTarget:
    """An MCP server.

    Attributes:
        url: Where its requests go, with port and path.
        domain: Its host in lower case, without the port: what LIME issues tokens for.
        private: Is it on this machine, or in a private network?
    """

    url: str
    domain: str
    private: bool = False

    @classmethod
    def parse(cls, text: str, *, allow_private: bool = False) -> McpTarget:
        """Read a URL, or a host name, which means `https://{host}/mcp`.

        Slashes at the path's end go, as in the SDK's earlier versions; port, path and query stay.

        Args:
            text: What the application, or whoever it listens to, says.
            allow_private: Let in names that only this machine or a private network knows, loopback
                addresses, and plain http to them. For development.

        Raises:
            InvalidMcpTargetError: It is not the address of one server, has a user name, is an IP
                address in any spelling, is a special-use name, or is plain http.
        """
        # 1. Text that every parser of URLs reads alike.
        parts = _split(text)
        # 2. One host in the world.
        host = parts.hostname or ""
        public = _is_public(host)
        if not public and not (allow_private and _is_private(host)):
            raise InvalidMcpTargetError(
                "An MCP server has a name in the public DNS. For one on this machine, or in a "
                "private network, set allow_private=True."
            )
        # 3. Nobody on the way may read the token.
        if parts.scheme != "https" and public:
            raise InvalidMcpTargetError("Tokens are sent to MCP servers over https only.")
        return cls(parts.geturl(), host, private=not public)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what the token may be sent to."""
        return origin_of(self.url) or ""

    @property
    def path(self) -> str:
        """The path, `""` where there is none."""
        return urlsplit(self.url).path

    @property
    def named(self) -> bool:
        """Has it a name? The short form's tokens are for names only (protocol section 8)."""
        return bool(_NAME.fullmatch(self.domain))


def origin_of(url: str) -> str | None:
    """Return scheme, host and port of `url`, or `None` where there is no reading them."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    netloc, usual = parts.netloc.lower(), {"https": ":443", "http": ":80"}.get(parts.scheme, ":")
    return f"{parts.scheme}://{netloc.removesuffix(usual)}"


def extract_and_normalize_domain(target: str) -> str:
    """Return the host of `target` in lower case, without its port.

    Raises:
        InvalidMcpTargetError: As `list_tools` does; it is also a `ValueError`.
    """
    return McpTarget.parse(target).domain


def resolve_mcp_http_url(target: str) -> str:
    """Return the URL that requests for `target` go to.

    Raises:
        InvalidMcpTargetError: As `list_tools` does; it is also a `ValueError`.
    """
    return McpTarget.parse(target).url


def _split(text: str) -> SplitResult:
    found = text.strip(" \t\r\n")
    # urlsplit drops tabs and line breaks, and browsers take a backslash for a slash.
    if not 0 < len(found) <= MAX_TARGET or not all("!" <= char <= "~" for char in found):
        raise InvalidMcpTargetError("An MCP target is one word of ASCII, up to 2048 characters.")
    bare = "://" not in found
    try:
        parts = urlsplit(f"https://{found}" if bare else found)
        usable = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, usable = urlsplit(""), None
    # The target is not repeated in any message: what stands before an @ may be a password.
    if not usable or parts.scheme not in {"http", "https"} or parts.netloc.endswith(":"):
        raise InvalidMcpTargetError("An MCP target is a host name, or an absolute https URL.")
    if "@" in parts.netloc or "#" in found or "\\" in found:
        raise InvalidMcpTargetError("An MCP target has no user name, fragment or backslash.")
    path = "/mcp" if bare and not parts.path.strip("/") else parts.path
    # The path's slashes alone: a query's end is the server's business.
    return parts._replace(netloc=parts.netloc.lower(), path=path.rstrip("/"))


def _is_public(host: str) -> bool:
    if "." not in host or not _NAME.fullmatch(host):
        return False
    labels = host.split(".")
    return not any(".".join(labels[start:]) in _PRIVATE for start in range(len(labels)))


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return bool(_NAME.fullmatch(host))
