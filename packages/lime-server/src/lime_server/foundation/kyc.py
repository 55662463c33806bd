"""How well we know an owner: levels 0 to 3, and the cases that raise them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from lime_server.core.ids import new_id, parse_id
from lime_server.core.names import display_name
from lime_server.core.names import reason as clean_reason
from lime_server.core.origin import asking_network
from lime_server.core.pages import Page, page, parse_cursor
from lime_server.core.ports import Limit, RateLimiter, Transactions
from lime_server.foundation.audit import Actor, Audit, Target

HIGHEST_LEVEL = 3
MOST_DOCUMENTS = 4
"""Two sides of a card, a proof of address, an extract from a register."""
LARGEST_DOCUMENT = 5 * 1024 * 1024
"""Bytes of one document: a page that was scanned at 300 dpi."""
LARGEST_CASE = 10 * 1024 * 1024
"""Bytes of all documents of a case: they travel in one request."""
PER_NETWORK = Limit(rate=1 / 3600, burst=10)
"""Cases opened from one network: ten colleagues at once, then one an hour. Whoever makes owners by
the hundred fills at most a quarter of a gigabyte a day, and for `CASE_LIFETIME` at most."""
CASE_LIFETIME = timedelta(days=30)
"""How long a case waits for its decision."""
DOCUMENTS_KEPT = timedelta(days=30)
"""How long documents are kept after the decision, for an owner who objects to it."""
CALLBACK_AGE = timedelta(minutes=5)
"""How old, or how far ahead, a callback may be; a clock that is further off is wrong."""
BATCH = 100
"""Cases expired in one go."""

_SIGNATURES: Mapping[str, tuple[bytes, ...]] = {
    "application/pdf": (b"%PDF-",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
}
"""The types that are taken, and how a file of each begins. None of them can run in a browser."""


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "OPEN"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


_FINAL: frozenset[CaseState] = frozenset()
_NEXT: Mapping[CaseState, frozenset[CaseState]] = {
    # A provider's callbacks may overtake each other, so a decision can come before the submission.
    CaseState.OPEN: frozenset(
        {CaseState.SUBMITTED, CaseState.APPROVED, CaseState.REJECTED, CaseState.EXPIRED}
    ),
    CaseState.SUBMITTED: frozenset({CaseState.APPROVED, CaseState.REJECTED, CaseState.EXPIRED}),
    CaseState.APPROVED: _FINAL,
    CaseState.REJECTED: _FINAL,
    CaseState.EXPIRED: _FINAL,
}


@dataclass(frozen=True, slots=True)
class Document:
    """What an owner sent, without its content."""

    number: int
    """1 for the first of its case."""
    name: str
    content_type: str
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A document on its way to be kept. Its content does not show in its repr."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An owner's wish to be known better."""

    case_id: str
    owner_id: str
    provider: str
    reference: str | None
    """What the provider calls it; None if it needs no name there."""
    target_level: int
    state: CaseState
    created_at: datetime
    expires_at: datetime
    documents: tuple[Document, ...] = ()
    """Those that are still kept."""
    decided_at: datetime | None = None
    decided_by: str | None = None
    """The operator who decided; None if the provider did, or nobody."""
    level: int | None = None
    """What was granted."""
    reason: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not _NEXT[self.state]

    def at(self, now: datetime) -> "Case":
        """This case as it stands at `now`: one that waited too long expires by itself."""
        if self.is_final or now < self.expires_at:
            return self
        return self._moved(CaseState.EXPIRED, decided_at=self.expires_at)

    def submitted(self) -> "Case":
        """Everything that is needed was handed in. Raises Conflict."""
        return self._moved(CaseState.SUBMITTED)

    def approved(self, level: int, now: datetime, *, by: str | None, reason: str | None) -> "Case":
        """The owner is known at `level`. Raises Conflict, and InvalidInput for a level too high."""
        if not 1 <= level <= self.target_level:
            raise InvalidInput(
                f"This case is about levels 1 to {self.target_level}.", detail={"field": "level"}
            )
        return self._moved(
            CaseState.APPROVED, decided_at=now, decided_by=by, level=level, reason=reason
        )

    def rejected(self, now: datetime, *, by: str | None, reason: str | None) -> "Case":
        """Nothing was proven. Raises Conflict."""
        return self._moved(CaseState.REJECTED, decided_at=now, decided_by=by, reason=reason)

    def expired(self, now: datetime) -> "Case":
        """The provider gave up. Raises Conflict."""
        return self._moved(CaseState.EXPIRED, decided_at=now)

    def _moved(self, state: CaseState, **changes: object) -> "Case":
        if state not in _NEXT[self.state]:
            raise Conflict(f"This case is {self.state}.")
        return replace(self, state=state, **changes)  # type: ignore[arg-type]  # fields of a Case


@dataclass(frozen=True, slots=True)
class Begun:
    """How a provider took up a case."""

    state: CaseState
    reference: str | None = None


Outcome = Literal["submitted", "approved", "rejected", "expired"]


@dataclass(frozen=True, slots=True)
class Callback:
    """What a provider told us, proven to be from them."""

    event_id: str
    reference: str
    outcome: Outcome
    level: int | None
    reason: str | None


class KycProvider(Protocol):
    """Somebody who finds out who an owner is."""

    @property
    def name(self) -> str:
        """As it is called in paths and in the log."""
        ...

    @property
    def takes_documents(self) -> bool:
        """Whether documents are handed in with us."""
        ...

    async def begin(self, case_id: str, target_level: int) -> Begun:
        """Take up a case. Raises `core.errors.Unavailable`."""
        ...

    def read(self, unverified_signature: str, unverified_body: bytes, now: datetime) -> Callback:
        """The callback in a webhook's body.

        Raises Unauthenticated unless it was signed by the provider within CALLBACK_AGE, NotFound if
        this provider calls nobody, InvalidInput for what it cannot mean.
        """
        ...


class Reviewers(Protocol):
    """Says who may decide."""

    async def operators(self) -> set[str]:
        """Those who are operators and not suspended, kept so until this transaction ends."""
        ...


class KycStore(Protocol):
    """Where cases and their documents are kept."""

    async def level(self, owner_id: str) -> int | None:
        """The owner's level, kept until this transaction ends; None if there is no such owner."""
        ...

    async def set_level(self, owner_id: str, level: int) -> None:
        """Note how well this owner is known."""
        ...

    async def add(self, case: Case, contents: Sequence[bytes]) -> None:
        """Keep a case and the content of each of its documents, sealed.

        Raises Conflict if the owner has another one that is not final.
        """
        ...

    async def replace(self, old: Case, new: Case) -> bool:
        """Write `new` unless somebody was faster: then False."""
        ...

    async def by_id(self, case_id: str) -> Case | None:
        """The case with this id."""
        ...

    async def by_reference(self, provider: str, reference: str) -> Case | None:
        """The case that this provider calls so."""
        ...

    async def latest(self, owner_id: str) -> Case | None:
        """The owner's newest case."""
        ...

    async def queue(self, state: CaseState, *, cursor: str | None, limit: int) -> Sequence[Case]:
        """At most `limit` cases in this state, newest first, older than `cursor`."""
        ...

    async def content(self, case_id: str, number: int) -> bytes | None:
        """What a document holds, if it is still kept."""
        ...

    async def spend(self, provider: str, event_id: str, now: datetime) -> bool:
        """Note that this callback has come; False if it came before."""
        ...

    async def due(self, now: datetime, *, limit: int) -> Sequence[Case]:
        """At most `limit` cases that are written as waiting and have expired."""
        ...

    async def forget(self, *, decided_before: datetime, spent_before: datetime) -> int:
        """Delete old documents of decided cases, and old callbacks; returns how many."""
        ...


class Kyc:
    """Opens cases, and raises levels when they are decided."""

    def __init__(
        self,
        store: KycStore,
        provider: KycProvider,
        *,
        reviewers: Reviewers,
        transactions: Transactions,
        audit: Audit,
        clock: Clock,
        limiter: RateLimiter,
    ) -> None:
        """New cases go to `provider`; what it leaves to operators is decided by `reviewers`."""
        self._store = store
        self._provider = provider
        self._reviewers = reviewers
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._limiter = limiter

    @property
    def takes_documents(self) -> bool:
        """Whether a new case needs documents."""
        return self._provider.takes_documents

    async def latest(self, owner_id: str) -> Case | None:
        """The owner's newest case, as it stands now."""
        case = await self._store.latest(owner_id)
        return None if case is None else case.at(self._clock.now())

    async def open(self, owner_id: str, target_level: int, uploads: Sequence[Upload]) -> Case:
        """Open a case.

        Raises InvalidInput for a level or documents that cannot be, Conflict while another case
        waits for its decision, RateLimited for too many from one network.
        """
        # 1. What was sent, without asking anyone.
        documents = self._documents(uploads)
        # 2. What had to be decided by now was not, and is in nobody's way.
        latest = await self._store.latest(owner_id)
        await self._expire(latest)
        # 3. May there be another case? Asked before the provider is, whose work may cost something.
        if latest is not None and not latest.at(self._clock.now()).is_final:
            raise Conflict("Another case waits for its decision.")
        level = await self._store.level(owner_id)
        if level is None:
            raise NotFound
        if not level < target_level <= HIGHEST_LEVEL:
            raise InvalidInput(
                f"The level is {level}; ask for a higher one, {HIGHEST_LEVEL} at most.",
                detail={"field": "target_level"},
            )
        # 4. Not too many: each is kept until it is decided, and costs whoever decides.
        await self._limiter.take(f"kyc:from:{asking_network()}", PER_NETWORK)
        # 5. Let the provider begin.
        now = self._clock.now()
        case_id = new_id(now)
        begun = await self._provider.begin(case_id, target_level)
        case = Case(
            case_id=case_id,
            owner_id=owner_id,
            provider=self._provider.name,
            reference=begun.reference,
            target_level=target_level,
            state=begun.state,
            created_at=now,
            expires_at=now + CASE_LIFETIME,
            documents=documents,
        )
        # 6. Keep it; of two that are opened at once, the store takes one.
        async with self._transactions.transaction():
            await self._store.add(case, [upload.content for upload in uploads])
            await self._record(
                "kyc.case.opened",
                case,
                Actor("owner", owner_id),
                {"target_level": target_level, "documents": len(documents)},
            )
        return case

    async def queue(self, state: CaseState, *, cursor: str | None, limit: int) -> Page[Case]:
        """A page of cases in this state, newest first."""
        after = parse_cursor(cursor)
        rows = await self._store.queue(state, cursor=after, limit=limit + 1)
        return page(rows, limit, lambda case: case.case_id)

    async def case(self, case_id: str) -> Case:
        """A case as it stands now. Raises NotFound."""
        parsed = parse_id(case_id)
        case = None if parsed is None else await self._store.by_id(parsed)
        if case is None:
            raise NotFound
        return case.at(self._clock.now())

    async def document(self, operator_id: str, case_id: str, number: int) -> tuple[Document, bytes]:
        """A document for an operator to read, which both chains tell of.

        Raises NotFound, and Forbidden for who is no operator any more.
        """
        case = await self.case(case_id)
        document = next((one for one in case.documents if one.number == number), None)
        content = None if document is None else await self._store.content(case.case_id, number)
        if document is None or content is None:
            raise NotFound
        # Before it is shown: what cannot be written down must not happen.
        async with self._transactions.transaction():
            await self._require_reviewer(operator_id)
            await self._record(
                "kyc.document.read",
                case,
                Actor("operator", operator_id),
                {"number": number, "name": document.name},
                also=operator_id,
            )
        return document, content

    async def approve(self, operator_id: str, case_id: str, level: int, reason: str) -> Case:
        """Grant `level`, as an operator; see `_decided`."""
        why, now = clean_reason(reason), self._clock.now()
        old = await self._reviewed(operator_id, case_id)
        new = old.approved(level, now, by=operator_id, reason=why)
        return await self._decided(old, new, Actor("operator", operator_id))

    async def reject(self, operator_id: str, case_id: str, reason: str) -> Case:
        """Grant nothing, as an operator; see `_decided`."""
        why, now = clean_reason(reason), self._clock.now()
        old = await self._reviewed(operator_id, case_id)
        new = old.rejected(now, by=operator_id, reason=why)
        return await self._decided(old, new, Actor("operator", operator_id))

    async def called_back(
        self, provider: str, unverified_signature: str, unverified_body: bytes
    ) -> Case:
        """Do what the provider's webhook says, once.

        Raises NotFound for another provider or a case that is not theirs, Conflict for a callback
        that has come before or comes too late, and what `KycProvider.read` raises.
        """
        now = self._clock.now()
        # 1. Is it from them?
        if provider != self._provider.name:
            raise NotFound
        callback = self._provider.read(unverified_signature, unverified_body, now)
        async with self._transactions.transaction():
            # 2. For the first time? What fails below is undone, and may be sent again.
            if not await self._store.spend(provider, callback.event_id, now):
                raise Conflict("This callback has come before.")
            # 3. About which case, and what does it change?
            old = await self._store.by_reference(provider, callback.reference)
            if old is None:
                raise NotFound
            old = old.at(now)
            return await self._decided(
                old, _told(old, callback, now), Actor("system", f"kyc:{provider}")
            )

    async def sweep(self) -> int:
        """Expire what waited too long, delete documents that are no longer needed."""
        now = self._clock.now()
        due = await self._store.due(now, limit=BATCH)
        for case in due:
            await self._expire(case)
        forgotten = await self._store.forget(
            decided_before=now - DOCUMENTS_KEPT,
            # Older ones are refused for their age.
            spent_before=now - 4 * CALLBACK_AGE,
        )
        return len(due) + forgotten

    async def _reviewed(self, operator_id: str, case_id: str) -> Case:
        case = await self.case(case_id)
        if case.owner_id == operator_id:
            raise Forbidden("Nobody decides about themselves.")
        if case.state is CaseState.OPEN:
            raise Conflict("The owner has not handed in everything yet.")
        return case

    async def _require_reviewer(self, operator_id: str) -> None:
        """Return if this is an operator in good standing, now that nobody can change it."""
        if operator_id not in await self._reviewers.operators():
            raise Forbidden

    async def _decided(self, old: Case, new: Case, actor: Actor) -> Case:
        """Write the decision, the level that comes of it, and what the log says of both.

        Raises Conflict if somebody was faster, and Forbidden if whoever decided was suspended or
        dismissed since they asked.
        """
        also = new.decided_by
        async with self._transactions.transaction():
            # 1. Still an operator? Asked first, as everywhere: whoever locks operators and owners
            #    in this order never waits for somebody who waits for them.
            if new.decided_by is not None:
                await self._require_reviewer(new.decided_by)
            # 2. The owner's level, before which nobody else gets.
            before = await self._store.level(old.owner_id)
            # 3. The case, if nobody was faster.
            if not await self._store.replace(old, new):
                raise Conflict
            detail: dict[str, object] = {} if new.reason is None else {"reason": new.reason}
            await self._record(f"kyc.case.{new.state.lower()}", new, actor, detail, also=also)
            # 4. The level. A case only ever raises it.
            if new.level is not None and before is not None and new.level > before:
                await self._store.set_level(new.owner_id, new.level)
                levels = {"from": before, "to": new.level}
                await self._record("kyc.level.changed", new, actor, levels, also=also)
        return new

    async def _expire(self, case: Case | None) -> None:
        expired = None if case is None else case.at(self._clock.now())
        if case is None or expired is None or expired is case:
            return
        async with self._transactions.transaction():
            # Another server may have been faster, and has told of it.
            if await self._store.replace(case, expired):
                await self._record("kyc.case.expired", case, Actor("system", "lime-server"))

    async def _record(
        self,
        action: str,
        case: Case,
        actor: Actor,
        detail: Mapping[str, object] | None = None,
        *,
        also: str | None = None,
    ) -> None:
        await self._audit.record(
            action,
            owner_id=case.owner_id,
            actor=actor,
            target=Target("kyc-case", case.case_id),
            detail=detail or {},
            also=[] if also is None else [also],
        )

    def _documents(self, uploads: Sequence[Upload]) -> tuple[Document, ...]:
        fewest, most = (1, MOST_DOCUMENTS) if self._provider.takes_documents else (0, 0)
        if not fewest <= len(uploads) <= most:
            raise InvalidInput(f"{fewest} to {most} documents.", detail={"field": "documents"})
        if sum(len(upload.content) for upload in uploads) > LARGEST_CASE:
            raise InvalidInput(
                f"At most {LARGEST_CASE} bytes in all.", detail={"field": "documents"}
            )
        return tuple(_document(number, one) for number, one in enumerate(uploads, start=1))


def _document(number: int, upload: Upload) -> Document:
    place = {"field": f"documents.{number - 1}"}
    if len(upload.content) > LARGEST_DOCUMENT:
        raise InvalidInput(f"A document has at most {LARGEST_DOCUMENT} bytes.", detail=place)
    beginnings = _SIGNATURES.get(upload.content_type)
    if beginnings is None or not upload.content.startswith(beginnings):
        raise InvalidInput("A document is a PDF, JPEG or PNG file.", detail=place)
    return Document(number, display_name(upload.name), upload.content_type, len(upload.content))


def _told(case: Case, callback: Callback, now: datetime) -> Case:
    match callback.outcome:
        case "submitted":
            return case.submitted()
        case "approved":
            level = case.target_level if callback.level is None else callback.level
            return case.approved(level, now, by=None, reason=callback.reason)
        case "rejected":
            return case.rejected(now, by=None, reason=callback.reason)
        case _:  # "expired"
            return case.expired(now)
