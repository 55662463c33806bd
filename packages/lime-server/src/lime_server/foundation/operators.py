"""Operators: owners who run this office, and may suspend others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, Protocol

from lime_server.core.errors import Conflict, Forbidden, NotFound
from lime_server.core.ids import parse_id
from lime_server.core.names import reason as clean_reason
from lime_server.core.pages import Page, page, parse_cursor
from lime_server.core.ports import Transactions
from lime_server.foundation.audit import SYSTEM, Actor, Audit, Target
from lime_server.foundation.owners import Owner, Owners

LONGEST_QUERY = 254
"""Characters of a search: an e-mail address has no more (RFC 5321 section 4.5.3.1)."""


class Kind(StrEnum):
    """What can be suspended; the value is its name in a path."""

    OWNER = "owners"
    AGENT = "agents"
    SITE = "sites"

    @property
    def target(self) -> Literal["owner", "agent", "site"]:
        """Its name in the audit log."""
        return _TARGETS[self]


_TARGETS: Mapping[Kind, Literal["owner", "agent", "site"]] = {
    Kind.OWNER: "owner",
    Kind.AGENT: "agent",
    Kind.SITE: "site",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether something is suspended itself, and who answers for it."""

    kind: Kind
    id: str
    owner_id: str
    suspended: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """An agent or a site of an owner, as an operator sees it."""

    kind: Kind
    id: str
    display_name: str
    active: bool
    suspended: bool


class OperatorStore(Protocol):
    """What operators see and change."""

    async def operators(self) -> set[str]:
        """Those who are operators and not suspended.

        Kept as they are until this transaction ends: nobody else can appoint, dismiss or suspend.
        """
        ...

    async def search(self, text: str, *, cursor: str | None, limit: int) -> Sequence[Owner]:
        """At most `limit` owners, newest first, whose address holds `text` or whose id it is."""
        ...

    async def owner(self, owner_id: str) -> Owner | None:
        """The owner with this id."""
        ...

    async def holdings(self, owner_id: str, *, limit: int) -> Sequence[Holding]:
        """At most `limit` agents and as many sites of this owner, newest first, none deleted."""
        ...

    async def standing(self, kind: Kind, ident: str) -> Standing | None:
        """How it stands itself, whatever its owner does; kept until this transaction ends."""
        ...

    async def suspend(self, kind: Kind, ident: str, *, suspended: bool) -> None:
        """Suspend it, or lift that."""
        ...

    async def appoint(self, owner_id: str, *, operator: bool) -> None:
        """Make this owner an operator, or no longer one."""
        ...


class Operators:
    """What operators do, each with a reason and an entry in the log."""

    def __init__(
        self, store: OperatorStore, *, owners: Owners, transactions: Transactions, audit: Audit
    ) -> None:
        """Keep standings in `store`."""
        self._store = store
        self._owners = owners
        self._transactions = transactions
        self._audit = audit

    async def search(self, text: str, *, cursor: str | None, limit: int) -> Page[Owner]:
        """A page of owners, newest first, whose address holds `text` or whose id it is."""
        after = parse_cursor(cursor)
        rows = await self._store.search(text.strip().lower(), cursor=after, limit=limit + 1)
        return page(rows, limit, lambda owner: owner.owner_id)

    async def look(self, owner_id: str, *, limit: int) -> tuple[Owner, Sequence[Holding]]:
        """An owner, and the newest agents and sites they answer for. Raises NotFound."""
        parsed = parse_id(owner_id)
        owner = None if parsed is None else await self._store.owner(parsed)
        if owner is None:
            raise NotFound
        return owner, await self._store.holdings(owner.owner_id, limit=limit)

    async def suspend(self, operator_id: str, kind: Kind, ident: str, reason: str) -> Standing:
        """Stop it from the next request on; see `_set`."""
        return await self._set(operator_id, kind, ident, reason, suspended=True)

    async def restore(self, operator_id: str, kind: Kind, ident: str, reason: str) -> Standing:
        """Lift a suspension; see `_set`."""
        return await self._set(operator_id, kind, ident, reason, suspended=False)

    async def _set(
        self, operator_id: str, kind: Kind, ident: str, reason: str, *, suspended: bool
    ) -> Standing:
        """Suspend or restore it; what is so already stays so, without an entry in the log.

        Raises InvalidInput for a reason that is none, NotFound if there is no such thing, Forbidden
        if the operator answers for it themselves, or is no operator any more.
        """
        why = clean_reason(reason)
        parsed = parse_id(ident)
        if parsed is None:
            raise NotFound
        async with self._transactions.transaction():
            # 1. Still an operator, now that nobody can change it: of two who suspend each other at
            #    once, one comes too late. So one is always left.
            if operator_id not in await self._store.operators():
                raise Forbidden
            # 2. How does it stand?
            old = await self._store.standing(kind, parsed)
            if old is None:
                raise NotFound
            # 3. Nobody judges themselves, or what they answer for: another operator's suspension
            #    would last only until the one it is meant for lifts it.
            if old.owner_id == operator_id:
                raise Forbidden("Another operator has to suspend or restore what is your own.")
            if old.suspended == suspended:
                return old
            # 4. Change it, and say so to the owner and to the operator.
            await self._store.suspend(kind, parsed, suspended=suspended)
            await self._audit.record(
                f"{kind.target}.{'suspended' if suspended else 'restored'}",
                owner_id=old.owner_id,
                actor=Actor("operator", operator_id),
                target=Target(kind.target, parsed),
                detail={"reason": why},
                also=[operator_id],
            )
        return Standing(kind, parsed, old.owner_id, suspended)

    async def create(self, email: str) -> Owner:
        """Make an owner who is an operator, from the server's own command line.

        Raises InvalidInput if `email` is no address and Conflict if someone has it already.
        """
        async with self._transactions.transaction():
            made = await self._owners.create(email, operator=True, email_verified=True)
            await self._record("operator.appointed", made)
        return made

    async def appoint(self, email: str) -> Owner:
        """Make an owner an operator, from the server's own command line. Raises NotFound."""
        async with self._transactions.transaction():
            await self._store.operators()
            owner = await self._named(email)
            if owner.operator:
                return owner
            await self._store.appoint(owner.owner_id, operator=True)
            await self._record("operator.appointed", owner)
        return replace(owner, operator=True)

    async def dismiss(self, email: str) -> Owner:
        """Make an operator an owner like others, from the server's own command line.

        Raises NotFound, and Conflict for the last operator in good standing: nobody could restore
        anything any more.
        """
        async with self._transactions.transaction():
            operators = await self._store.operators()
            owner = await self._named(email)
            if not owner.operator:
                return owner
            if operators == {owner.owner_id}:
                raise Conflict("This is the last operator. Appoint another one first.")
            await self._store.appoint(owner.owner_id, operator=False)
            await self._record("operator.dismissed", owner)
        return replace(owner, operator=False)

    async def _named(self, email: str) -> Owner:
        owner = await self._owners.find(email)
        if owner is None:
            raise NotFound(f"There is no owner {email}.")
        return owner

    async def _record(self, action: str, owner: Owner) -> None:
        target = Target("owner", owner.owner_id)
        await self._audit.record(action, owner_id=owner.owner_id, actor=SYSTEM, target=target)
