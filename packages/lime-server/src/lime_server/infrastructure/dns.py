"""Questions to the domain name system."""

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.rdatatype
from dns.asyncresolver import Resolver
from dns.nameserver import Do53Nameserver

from lime_server.infrastructure.addresses import Address

TIMEOUT = 5.0
"""Seconds for one question, retries included."""
MOST_RECORDS = 50
"""Records read of one answer; whoever needs more is not asked by us."""


class DnsError(Exception):
    """There is no such name, or nobody could say; the message is fit for a stranger."""


def resolvers(servers: Iterable[tuple[str, int]]) -> Callable[[], Resolver]:
    """What makes resolvers that ask `servers`, each an IP address and a port.

    Without any, the ones that the machine is configured with.
    """
    chosen = [Do53Nameserver(address, port) for address, port in servers]

    def make() -> Resolver:
        made = Resolver(configure=False)
        made.nameservers = chosen
        return made

    return make if chosen else Resolver


class Dns:
    """Asks name servers; they may be lying, so what they say about addresses is not trusted."""

    def __init__(self, make_resolver: Callable[[], Resolver] = Resolver) -> None:
        """`make_resolver` is called for each question: the machine's configuration may change."""
        self._make_resolver = make_resolver

    async def txt(self, name: str) -> list[str]:
        """The TXT records of `name`, each as one text. Raises DnsError; none at all is one too."""
        found = await self._ask(name, dns.rdatatype.TXT)
        # Read as bytes: what is not ASCII is certainly not what we look for.
        return [b"".join(record.strings).decode("ascii", "replace") for record in found]

    async def addresses(self, name: str) -> list[Address]:
        """The addresses of `name`, IPv4 first. Raises DnsError; none at all is one too."""
        kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
        answers = await asyncio.gather(
            *(self._ask(name, kind) for kind in kinds), return_exceptions=True
        )
        found = [x for answer in answers if not isinstance(answer, BaseException) for x in answer]
        if not found:
            raise DnsError(f"{name} has no address.")
        return [ip_address(record.address) for record in found]

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> list[Any]:
        try:
            # With a final dot: the machine's search domains are none of the caller's business.
            answer = await self._make_resolver().resolve(f"{name}.", kind, lifetime=TIMEOUT)
        except (dns.exception.DNSException, OSError):
            raise DnsError(
                f"No {dns.rdatatype.to_text(kind)} record of {name} was found."
            ) from None
        return list(answer)[:MOST_RECORDS]
