"""Who makes us work: what those are counted under who need no account to ask."""

from ipaddress import IPv6Network, ip_address

from lime_server.core.origin import current_origin


def asking_network() -> str:
    """Where the request comes from; an IPv6 host owns at least a /64, so that is what counts."""
    text = current_origin().address
    if text is None:
        return "local"
    address = ip_address(text)
    return str(IPv6Network((address, 64), strict=False)) if address.version == 6 else text
