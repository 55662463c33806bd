"""Owners: the people and companies who answer for agents and sites."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import InvalidInput
from lime_server.core.ids import new_id

_ATOM = r"[^\s@\"(),.:;<>\[\]\\]+"
"""What needs no quotes in a mail's header (RFC 5322 section 3.2.3): what does could read there as
another address, or as several."""
_NOT_ENCODED = r"(?!.*=\?)"
"""Not with an encoded word in it (RFC 2047 section 2), for the same reason."""
_LENGTHS = r"(?=.{3,254}\Z)(?=[^@]{1,64}@)"
"""RFC 5321 section 4.5.3.1: 64 before the sign, and a path of 256 with its two brackets."""
_EMAIL = re.compile(rf"{_LENGTHS}{_NOT_ENCODED}{_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})*")


@dataclass(frozen=True, slots=True)
class Owner:
    """Someone who answers for agents and sites. `kyc_level` says how well we know them (0 to 3)."""

    owner_id: str
    email: str
    kyc_level: int
    suspended: bool
    created_at: datetime
    operator: bool = False
    """Whether they run this office, and may suspend others and review who they are."""
    email_verified: bool = False
    """Whether somebody has read a mail that we sent to the address."""


class OwnerStore(Protocol):
    """Where owners are kept."""

    async def add(self, owner: Owner) -> None:
        """Keep a new owner. Raises `core.errors.Conflict` if the address is taken."""
        ...

    async def by_email(self, email: str) -> Owner | None:
        """The owner with this address, in lower case."""
        ...

    async def by_id(self, owner_id: str) -> Owner | None:
        """The owner with this id."""
        ...


class Owners:
    """Makes owners."""

    def __init__(self, store: OwnerStore, clock: Clock) -> None:
        """Keep owners in `store`."""
        self._store = store
        self._clock = clock

    async def create(
        self, email: str, *, operator: bool = False, email_verified: bool = False
    ) -> Owner:
        """Make an owner.

        Raises InvalidInput if `email` is no address and Conflict if someone has it already.
        """
        now = self._clock.now()
        owner = Owner(
            new_id(now),
            email_address(email),
            kyc_level=0,
            suspended=False,
            created_at=now,
            operator=operator,
            email_verified=email_verified,
        )
        await self._store.add(owner)
        return owner

    async def find(self, email: str) -> Owner | None:
        """The owner with this address, if there is one."""
        return await self._store.by_email(email.strip().lower())


def email_address(text: str) -> str:
    """`text` as an address is stored: without surrounding space, in lower case.

    Raises InvalidInput if it is no address.
    """
    address = text.strip().lower()
    if not _EMAIL.fullmatch(address) or not address.isprintable():
        raise InvalidInput("This is not an e-mail address.", detail={"field": "email"})
    return address
