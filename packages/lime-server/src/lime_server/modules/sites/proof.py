"""How the holder of a domain proves to be that: by what only they can write."""

from dataclasses import dataclass
from enum import StrEnum

from lime_server.core.ports import TokenHash
from lime_server.modules.sites.ports import ProofMissingError, ProofReader

PREFIX = "lime-site-verification="
DNS_LABEL = "_lime"
"""A name of its own below the domain: what stands there disturbs nobody (RFC 8552)."""
PATH = "/.well-known/lime-site"


class Method(StrEnum):
    """Where the proof was put."""

    DNS = "dns"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Proof:
    """What has to be where."""

    domain: str
    value: str

    @classmethod
    def of(cls, site_id: str, domain: str, secrets: TokenHash) -> "Proof":
        """The one for this site and this domain, always the same, and nobody else's.

        It is no secret: that it stands there is the proof. Nobody but us can say which it is, so
        a site cannot be bound to a record that somebody put there for another one.
        """
        digest = secrets.hash(f"{site_id}\n{domain}")
        return cls(domain, PREFIX + digest.hex())

    @property
    def dns_name(self) -> str:
        """Where a TXT record with the value goes."""
        return f"{DNS_LABEL}.{self.domain}"

    @property
    def url(self) -> str:
        """Where a file with the value goes."""
        return f"https://{self.domain}{PATH}"

    async def find(self, method: Method, reader: ProofReader) -> None:
        """Return if the proof is where it belongs. Raises ProofMissingError, with what is wrong."""
        if method is Method.DNS:
            if self.value not in [text.strip() for text in await reader.txt(self.dns_name)]:
                raise ProofMissingError(f"No TXT record of {self.dns_name} is the expected value.")
        elif (await reader.file(self.url)).strip() != self.value:
            raise ProofMissingError(f"{self.url} holds something else than the expected value.")
