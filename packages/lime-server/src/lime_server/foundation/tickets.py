"""Tickets: what may be used once, or a few times, within minutes.

The code in a mail, a sign-in that still lacks its second factor, a challenge for a passkey, a
puzzle that was spent. They differ in what they carry, and share how they end.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Something that is good until `expires_at`, or until its tries are used up."""

    key: bytes = field(repr=False)
    """Keyed hash of whatever names it: a secret in a cookie, an address, a challenge."""
    kind: str
    expires_at: datetime
    tries_left: int = 1
    owner_id: str | None = None
    email: str | None = None
    code_hash: bytes | None = field(default=None, repr=False)
    password_hash: str | None = field(default=None, repr=False)


class TicketStore(Protocol):
    """Where tickets are kept."""

    async def put(self, ticket: Ticket) -> None:
        """Keep a ticket in place of any with the same key: the newest wins."""
        ...

    async def put_new(self, ticket: Ticket) -> bool:
        """Keep a ticket; False if there is one with this key, spent or not."""
        ...

    async def attempt(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        """Use up one try; None if there is no such ticket, or no try left, or its time is over.

        Of many attempts at once, no more succeed than there are tries.
        """
        ...

    async def take(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        """Remove the ticket and return it, if it was still good: of many at once, one gets it."""
        ...

    async def sweep(self, now: datetime) -> int:
        """Forget what has expired; returns how many."""
        ...
