"""The audit log: who did what to which thing, when, from where, under which request id.

Each owner has a chain of entries. Every entry holds the hash of the one before, so that none can be
changed, taken out or put elsewhere without all that follow showing it; the head says how long the
chain is, so that its end is missed when it is cut off, and carries a seal that only the server can
make, so that it cannot be written anew. A head of the past has its seal, too: only what was
exported shows that a chain was longer than it says.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal, Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import InvalidInput
from lime_server.core.ids import new_id
from lime_server.core.origin import current_origin
from lime_server.core.ports import TokenHash, Transactions

ActorKind = Literal["owner", "operator", "site", "agent", "system"]

BEGINNING = bytes(32)
"""What the first entry of a chain holds as the hash of the one before."""
_UNSEEN: frozenset[ActorKind] = frozenset({"operator", "site"})
"""Whose address an owner does not learn."""
_ACTION = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    kind: ActorKind
    id: str


SYSTEM = Actor("system", "lime-server")
"""The server itself, or whoever may run commands on its machine."""


@dataclass(frozen=True, slots=True)
class Target:
    """What it was done to, for example `agent` and its id."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of somebody's chain."""

    entry_id: str
    owner_id: str
    sequence: int
    """1 for the first of the chain, and so on without a gap."""
    at: datetime
    actor: Actor
    action: str
    target: Target | None
    request_id: str | None
    address: str | None
    detail: Mapping[str, object]
    previous: bytes
    hash: bytes = b""
    """Of everything above; see `digest`."""

    def digest(self) -> bytes:
        """SHA-256 over the canonical JSON of everything but `hash`."""
        return hashlib.sha256(canonical(self.facts() | {"previous": self.previous.hex()})).digest()

    def facts(self) -> dict[str, object]:
        """Everything it says, as JSON values."""
        return {
            "entry_id": self.entry_id,
            "owner_id": self.owner_id,
            "sequence": self.sequence,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": {"kind": self.actor.kind, "id": self.actor.id},
            "action": self.action,
            "target": self.target and {"kind": self.target.kind, "id": self.target.id},
            "request_id": self.request_id,
            "address": self.address,
            "detail": dict(self.detail),
        }


def canonical(value: object) -> bytes:
    """JSON with one spelling: sorted members, no spaces, ASCII. Raises TypeError, ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def export_line(entry: Entry) -> bytes:
    """An entry as a line of JSON, with both hashes: whoever has all lines can check the chain."""
    hashes = {"previous": entry.previous.hex(), "hash": entry.hash.hex()}
    return canonical(entry.facts() | hashes) + b"\n"


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain has come."""

    owner_id: str
    sequence: int
    hash: bytes
    seal: bytes = b""


def _exported_head(line: bytes) -> Head | None:
    """How far the chain had come with this line; None if it is not as it was exported."""
    try:
        said = json.loads(line)
        digest = bytes.fromhex(said.pop("hash"))
        head = Head(str(said["owner_id"]), int(said["sequence"]), digest)
        fits = hashlib.sha256(canonical(said)).digest() == digest
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None
    return head if fits else None


def exported_heads(lines: Iterable[bytes]) -> dict[str, Head]:
    """How far each chain had come when `lines` were exported, by owner.

    Of one owner's lines the last counts, which holds what came before by its hash. Raises
    InvalidInput for a line that is not as `export_line` writes it.
    """
    heads: dict[str, Head] = {}
    for number, line in enumerate(lines, start=1):
        head = _exported_head(line)
        if head is None:
            raise InvalidInput(f"Line {number} is not as it was exported.")
        if head.sequence >= heads.get(head.owner_id, head).sequence:
            heads[head.owner_id] = head
    return heads


class AuditStore(Protocol):
    """Where chains are kept. What was appended is never changed or deleted."""

    async def head(self, owner_id: str) -> Head:
        """The head, kept for this transaction alone until it ends; a new chain's is at 0."""
        ...

    async def append(self, entry: Entry, head: Head) -> None:
        """Keep an entry, and `head` as the chain's."""
        ...

    async def heads(self) -> list[Head]:
        """All of them, and one at 0 for every chain that has entries and no head; by owner."""
        ...

    async def page(self, owner_id: str, *, before: int | None, limit: int) -> list[Entry]:
        """At most `limit` entries, newest first, whose sequence is below `before`."""
        ...

    async def forward(self, owner_id: str, *, after: int, limit: int) -> list[Entry]:
        """At most `limit` entries, oldest first, whose sequence is above `after`."""
        ...


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where a chain is not what was written."""

    owner_id: str
    sequence: int
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at every chain found."""

    chains: int
    entries: int
    flaws: list[Flaw] = field(default_factory=list)


BATCH = 500
"""Entries read at once when a whole chain is read."""


class Audit:
    """Writes and reads the log."""

    def __init__(
        self,
        store: AuditStore,
        *,
        transactions: Transactions,
        seals: TokenHash,
        clock: Clock,
    ) -> None:
        """`seals` has a key of its own: whoever can only write to the store cannot make one."""
        self._store = store
        self._transactions = transactions
        self._seals = seals
        self._clock = clock

    async def record(
        self,
        action: str,
        *,
        owner_id: str,
        actor: Actor,
        target: Target | None = None,
        detail: Mapping[str, object] = MappingProxyType({}),
        also: Collection[str] = (),
    ) -> None:
        """Add an entry to this owner's chain, and the same to those of the owners in `also`.

        Call it within the transaction of the change it tells of, and last: chains are locked until
        that ends. `action` is like `agent.token.rotated`. `detail` takes JSON values, and never a
        secret: it is shown and exported. Which request it was, and from where, is known already.
        """
        if not _ACTION.fullmatch(action):
            raise ValueError(f"not the name of an action: {action}")
        async with self._transactions.transaction():
            # Always in the same order, so that two transactions never wait for each other.
            for chain in sorted({owner_id, *also}):
                await self._append(chain, action, actor, target, detail)

    async def _append(
        self,
        owner_id: str,
        action: str,
        actor: Actor,
        target: Target | None,
        detail: Mapping[str, object],
    ) -> None:
        # 1. The head, and with it the right to be the next.
        head = await self._store.head(owner_id)
        # 2. The entry, told apart by everything it says and by what came before.
        now, origin = self._clock.now(), current_origin()
        unhashed = Entry(
            entry_id=new_id(now),
            owner_id=owner_id,
            sequence=head.sequence + 1,
            at=now,
            actor=actor,
            action=action,
            target=target,
            request_id=origin.request_id,
            # Where an operator sits is nobody's business but the office's, and where a site does
            # is the site's: it may be behind a shield that its address would lead around.
            address=None if actor.kind in _UNSEEN and actor.id != owner_id else origin.address,
            # Through JSON and back: it must be read as it was hashed.
            detail=json.loads(canonical(dict(detail))),
            previous=head.hash,
        )
        entry = replace(unhashed, hash=unhashed.digest())
        # 3. Both, or neither.
        seal = self._seal(owner_id, entry.sequence, entry.hash)
        await self._store.append(entry, Head(owner_id, entry.sequence, entry.hash, seal))

    async def page(self, owner_id: str, *, before: int | None = None, limit: int) -> list[Entry]:
        """At most `limit` entries of this owner's chain, newest first, older than `before`."""
        return await self._store.page(owner_id, before=before, limit=limit)

    async def entries(self, owner_id: str) -> AsyncIterator[Entry]:
        """This owner's whole chain, oldest first."""
        after = 0
        while batch := await self._store.forward(owner_id, after=after, limit=BATCH):
            for entry in batch:
                yield entry
            after = batch[-1].sequence

    async def owners(self) -> list[str]:
        """Everyone who has a chain."""
        return [head.owner_id for head in await self._store.heads()]

    async def verify(self, exported: Mapping[str, Head] = MappingProxyType({})) -> Verified:
        """Read every chain and say where one is not what was written, or what was `exported`.

        Each chain's first flaw is named: after it nothing can be said. What is written meanwhile is
        no flaw, and is left for the next time.
        """
        heads = await self._store.heads()
        entries, flaws = 0, []
        beyond: dict[str, int] = {}
        for head in heads:
            known = exported.get(head.owner_id, Head(head.owner_id, 0, BEGINNING))
            read, flaw = await self._verify(head, known, beyond)
            entries += read
            if flaw is not None:
                flaws.append(flaw)
        flaws += [
            Flaw(owner_id, 1, "missing with its whole chain, which was exported")
            for owner_id in exported.keys() - {head.owner_id for head in heads}
        ]
        # What came after a head was read is no flaw if the head has moved on by now: an entry and
        # its head are written at once. Otherwise somebody put it there.
        now = {head.owner_id: head for head in await self._store.heads()} if beyond else {}
        flaws += [
            Flaw(owner_id, now[owner_id].sequence + 1, "more than the chain's head says")
            for owner_id, sequence in beyond.items()
            if sequence > now[owner_id].sequence
        ]
        return Verified(len(heads), entries, flaws)

    async def _verify(
        self, head: Head, known: Head, beyond: dict[str, int]
    ) -> tuple[int, Flaw | None]:
        previous, expected = BEGINNING, 1
        async for entry in self.entries(head.owner_id):
            if expected > head.sequence > 0:
                beyond[head.owner_id] = entry.sequence
                break  # Written after the head was read; see `verify`.
            if (what := _what_is_wrong(entry, expected, previous)) is not None:
                return expected - 1, Flaw(head.owner_id, expected, what)
            if expected == known.sequence and entry.hash != known.hash:
                return expected - 1, Flaw(head.owner_id, expected, "not what was exported")
            previous, expected = entry.hash, expected + 1
        read = expected - 1
        if read < head.sequence:
            return read, Flaw(head.owner_id, expected, "missing at the end of the chain")
        if (head.sequence, head.hash) != (read, previous):
            return read, Flaw(head.owner_id, read, "not what the chain's head says")
        if head.seal != self._seal(head.owner_id, head.sequence, head.hash):
            return read, Flaw(head.owner_id, read, "the chain's head was not sealed by this server")
        if read < known.sequence:
            what = "missing at the end of the chain, and was exported"
            return read, Flaw(head.owner_id, expected, what)
        return read, None

    def _seal(self, owner_id: str, sequence: int, digest: bytes) -> bytes:
        return self._seals.hash(f"{owner_id}\n{sequence}\n{digest.hex()}")


def _what_is_wrong(entry: Entry, expected: int, previous: bytes) -> str | None:
    if entry.sequence != expected:
        return "missing"
    if entry.previous != previous:
        return "does not follow the one before: reordered, or that one was changed"
    if entry.hash != entry.digest():
        return "changed"
    return None
