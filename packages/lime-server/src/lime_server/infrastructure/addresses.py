"""Which addresses are on the public internet, whatever spelling they come in."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# What the standard library calls global, and is not somebody's server on the internet.
_NOT_V4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments (RFC 6890)
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is assigned (IANA, IPv6 global unicast)
_NOT_V6 = (
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4: holds an IPv4 address
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)


def is_public(address: Address) -> bool:
    """Whether `address` is a host on the public internet.

    An IPv6 address that holds an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is not: a
    gateway would turn it into whatever it holds.
    """
    if isinstance(address, IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not any(address in network for network in _NOT_V4)
        )
    return (
        address.scope_id is None
        and address in _GLOBAL_V6
        and address.is_global
        and not any(address in network for network in _NOT_V6)
    )


def is_address(text: str) -> bool:
    """Whether `text` is an IP address rather than a name."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
