"""Looks for proofs of a domain, in the DNS and over https."""

from lime_server.infrastructure.dns import Dns, DnsError
from lime_server.infrastructure.fetcher import Fetcher, FetchError
from lime_server.modules.sites.ports import ProofMissingError


class Proofs:
    """What the check of a domain looks at."""

    def __init__(self, dns: Dns, fetcher: Fetcher) -> None:
        """Ask `dns`, and fetch with `fetcher`."""
        self._dns = dns
        self._fetcher = fetcher

    async def txt(self, name: str) -> list[str]:
        """The TXT records of a name, each as one text. Raises ProofMissingError."""
        try:
            return await self._dns.txt(name)
        except DnsError as error:
            raise ProofMissingError(str(error)) from None

    async def file(self, url: str) -> str:
        """A small text file. Raises ProofMissingError."""
        try:
            return (await self._fetcher.get(url)).decode("ascii", "replace")
        except FetchError as error:
            raise ProofMissingError(str(error)) from None
