"""Whose request is it, as far as counting goes."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

from lime_server.core.urls import API_PATH
from lime_server.infrastructure.web.asgi import all_headers

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_LOGIN = re.compile(re.escape(API_PATH) + r"/(?:auth|modules/agent-login)/requests/([^/]{1,64})")


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """The address that requests are counted under.

    An IPv6 host owns at least a /64, so that is what counts. Without an address (a Unix socket)
    everyone counts as one.
    """
    address = whole_address(scope, trusted)
    if address is None:
        return "local"
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)


def whole_address(scope: Scope, trusted: Sequence[Network]) -> Address | None:
    """The client's address, as records keep it; None if it has none (a Unix socket).

    `X-Forwarded-For` is read from its end, as long as the one who wrote the entry is in `trusted`:
    what stands further left was written by somebody else.
    """
    peer = scope.get("client")
    address = _parse(peer[0]) if peer else None
    if address is None or not trusted:
        return address
    hops = ",".join(all_headers(scope, b"x-forwarded-for")).split(",")
    while hops and any(address in network for network in trusted):
        before = _parse(hops.pop().strip())
        if before is None:
            break
        address = before
    return address


def brought_by(scope: Scope, trusted: Sequence[Network]) -> str | None:
    """The address of the proxy that brought this request; None if the client came by itself."""
    peer = scope.get("client")
    sender = _parse(peer[0]) if peer else None
    return None if sender == whole_address(scope, trusted) else str(sender)


def is_certainly_within(
    scope: Scope, networks: Sequence[Network], trusted: Sequence[Network]
) -> bool:
    """Whether the client is in one of `networks`; over a Unix socket, it is on this machine.

    False for what was forwarded by somebody who is not in `trusted`: whose request that is, nobody
    knows.
    """
    peer = scope.get("client")
    sender = _parse(peer[0]) if peer else None
    believed = sender is not None and any(sender in network for network in trusted)
    if _forwarded(scope) and not believed:
        return False
    address = whole_address(scope, trusted)
    return address is None or any(address in network for network in networks)


def _forwarded(scope: Scope) -> bool:
    return any(name in {b"x-forwarded-for", b"forwarded"} for name, _ in scope["headers"])


def login_request_id(scope: Scope) -> str | None:
    """The login request that the path names, if it names one.

    In lower case: an id has many spellings, and they must not be counted apart.
    """
    match = _LOGIN.match(scope["path"])
    return match[1].lower() if match else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d.
    return getattr(address, "ipv4_mapped", None) or address
