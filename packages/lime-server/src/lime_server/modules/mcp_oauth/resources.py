"""Which server a token is for: a resource (RFC 8707) or, in the short form, a host name."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from lime_server.core.urls import is_web_url
from lime_server.modules.mcp_oauth.errors import InvalidRequest, InvalidTarget

MAX_RESOURCE = 2048
"""Characters of a resource: what every proxy still takes as a URL."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A last label that is a number makes resolvers read the whole name as an IPv4 address, as in
# 0x7f.1 (URL Standard, "ends in a number"); no top-level domain begins with a digit.
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?=[a-z]){_LABEL}")  # RFC 1123, section 2.1
_PRIVATE = frozenset(
    {
        # RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, and what ICANN set aside in 2024.
        # `example` is not among them: it is what manuals are written with.
        *("localhost", "local", "test", "invalid", "onion", "arpa", "alt", "internal"),
        # Never delegated, because so many networks use them inside (RFC 6762, appendix G; ICANN
        # resolution 2018.02.04.12).
        *("intranet", "private", "corp", "home", "lan", "mail"),
        # Services that answer with whatever address is written into the name.
        *("nip.io", "sslip.io", "xip.io", "traefik.me", "localtest.me", "lvh.me"),
        # What containers call their own control plane.
        *("kubernetes", "metadata", "cluster.local", "default.svc"),
    }
)
"""Names, and endings of names, that mean something else, or somewhere else, on every machine."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A server that a token is for."""

    text: str
    """As the client wrote it: it becomes the audience byte for byte, and is compared as such."""
    host: str
    """In lower case, without a port."""


def parse_resource(text: str, *, private_too: bool = False) -> Resource:
    """`text` as the address of a resource server.

    https alone, and a name that the public DNS can know. With `private_too`, for development, also
    private names, and http where it does not leave this machine. Raises InvalidTarget.
    """
    # 1. An absolute URL that everyone reads alike, without user name (RFC 8707, section 2).
    if len(text) > MAX_RESOURCE or not is_web_url(text, loopback_too=private_too):
        raise InvalidTarget("resource is an absolute https URL of at most 2048 characters.")
    if "#" in text:
        raise InvalidTarget("resource has no fragment.")
    # 2. At a host of which there is one in the world.
    host = urlsplit(text).hostname or ""
    if not (_is_public(host) or (private_too and _is_private(host))):
        raise InvalidTarget("resource names a host in the public DNS, not an address.")
    return Resource(text, host)


def parse_domain(text: str, *, private_too: bool = False) -> str:
    """`text` as the host of a token in the short form, in lower case (protocol section 8).

    Raises InvalidRequest for a scheme, port or path, an IP address in any spelling, and a name that
    means something else on every machine; `private_too` lets the last ones in.
    """
    host = text.lower() if text.isascii() else ""
    if not (_is_public(host) or (private_too and _NAME.fullmatch(host))):
        raise InvalidRequest(
            "domain is a DNS host name such as mcp.example.com: no scheme, port, path, IP address "
            "or special-use name."
        )
    return host


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
