"""What the owner's side of sites needs from outside."""

from datetime import datetime
from typing import Protocol

from lime_server.core.ports import Limit
from lime_server.foundation.sites import Site


class SiteRegistry(Protocol):
    """Where sites are kept, as their owners see them. May raise `core.errors.Unavailable`."""

    async def lock(self, owner_id: str, site_id: str) -> Site | None:
        """This owner's site, which nobody else changes until the transaction ends.

        None if it is somebody else's, deleted, or not there. `site_id` is a UUID.
        """
        ...

    async def page(self, owner_id: str, *, before: str | None, limit: int) -> list[Site]:
        """At most `limit` of this owner's sites, newest first, with ids below `before`."""
        ...

    async def count(self, owner_id: str) -> int:
        """How many sites this owner has; nobody else counts until the transaction ends."""
        ...

    async def change(self, site: Site) -> None:
        """Write what an owner may change: name, switch, domain, and whether that is proven."""
        ...

    async def set_redirect_uris(self, site_id: str, uris: tuple[str, ...]) -> None:
        """Replace the list."""
        ...

    async def bury(self, site_id: str, now: datetime) -> None:
        """Delete it: its tokens go, and it is switched off. Its id and its history stay taken."""
        ...


class ProofMissingError(Exception):
    """Where the proof should be is something else, or nothing; the message is for the owner."""


class ProofReader(Protocol):
    """Looks where only the holder of a domain can write.

    Each raises ProofMissingError with a sentence that says nothing about our network.
    """

    async def txt(self, name: str) -> list[str]:
        """The TXT records of a name, each as one text."""
        ...

    async def file(self, url: str) -> str:
        """The beginning of a small text file, fetched over https from a public address."""
        ...


class Slowing(Protocol):
    """Counts what costs others something."""

    async def take(self, key: str, limit: Limit) -> None:
        """Count one use of `key`. Raises `core.errors.RateLimited`."""
        ...
