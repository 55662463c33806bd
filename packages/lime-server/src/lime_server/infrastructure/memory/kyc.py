"""Cases and documents in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lime_server.core.errors import Conflict
from lime_server.foundation.kyc import Case, CaseState
from lime_server.infrastructure.memory.identities import MemoryIdentities


class MemoryKyc:
    """Keeps cases as long as the process lives."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Levels are those of the owners in `identities`."""
        self._identities = identities
        self.cases: dict[str, Case] = {}
        self.contents: dict[tuple[str, int], bytes] = {}
        self.callbacks: dict[tuple[str, str], datetime] = {}

    async def level(self, owner_id: str) -> int | None:
        """The owner's level."""
        owner = self._identities.owners.get(owner_id)
        return None if owner is None else owner.kyc_level

    async def set_level(self, owner_id: str, level: int) -> None:
        """Note how well this owner is known."""
        owners = self._identities.owners
        owners[owner_id] = replace(owners[owner_id], kyc_level=level)

    async def add(self, case: Case, contents: Sequence[bytes]) -> None:
        """Keep a case and its documents. Raises Conflict."""
        waiting = (one for one in self.cases.values() if one.owner_id == case.owner_id)
        if any(not one.is_final for one in waiting):
            raise Conflict("Another case waits for its decision.")
        self.cases[case.case_id] = case
        for document, content in zip(case.documents, contents, strict=True):
            self.contents[case.case_id, document.number] = content

    async def replace(self, old: Case, new: Case) -> bool:
        """Write `new` unless somebody was faster."""
        if self.cases[new.case_id].state is not old.state:
            return False
        self.cases[new.case_id] = new
        return True

    async def by_id(self, case_id: str) -> Case | None:
        """The case with this id."""
        case = self.cases.get(case_id)
        return None if case is None else self._kept(case)

    async def by_reference(self, provider: str, reference: str) -> Case | None:
        """The case that this provider calls so."""
        return next(
            (
                self._kept(case)
                for case in self.cases.values()
                if (case.provider, case.reference) == (provider, reference)
            ),
            None,
        )

    async def latest(self, owner_id: str) -> Case | None:
        """The owner's newest case."""
        mine = [case for case in self._newest_first() if case.owner_id == owner_id]
        return mine[0] if mine else None

    async def queue(self, state: CaseState, *, cursor: str | None, limit: int) -> Sequence[Case]:
        """At most `limit` cases in this state, newest first, older than `cursor`."""
        found = [case for case in self._newest_first() if case.state is state]
        return [case for case in found if cursor is None or case.case_id < cursor][:limit]

    async def content(self, case_id: str, number: int) -> bytes | None:
        """What a document holds, if it is still kept."""
        return self.contents.get((case_id, number))

    async def spend(self, provider: str, event_id: str, now: datetime) -> bool:
        """Note that this callback has come; False if it came before."""
        if (provider, event_id) in self.callbacks:
            return False
        self.callbacks[provider, event_id] = now
        return True

    async def due(self, now: datetime, *, limit: int) -> Sequence[Case]:
        """At most `limit` cases that are written as waiting and have expired."""
        waiting = (case for case in self._newest_first() if not case.is_final)
        due = [case for case in waiting if case.expires_at <= now]
        return sorted(due, key=lambda case: case.expires_at)[:limit]

    async def forget(self, *, decided_before: datetime, spent_before: datetime) -> int:
        """Delete old documents of decided cases, and old callbacks; returns how many."""
        old = [
            key
            for key in self.contents
            if (at := self.cases[key[0]].decided_at) is not None and at < decided_before
        ]
        spent = [key for key, came_at in self.callbacks.items() if came_at < spent_before]
        for document in old:
            del self.contents[document]
        for callback in spent:
            del self.callbacks[callback]
        return len(old) + len(spent)

    def _newest_first(self) -> list[Case]:
        return [self._kept(case) for _, case in sorted(self.cases.items(), reverse=True)]

    def _kept(self, case: Case) -> Case:
        kept = (one for one in case.documents if (case.case_id, one.number) in self.contents)
        return replace(case, documents=tuple(kept))
