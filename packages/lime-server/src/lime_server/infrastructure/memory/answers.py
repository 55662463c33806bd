"""First answers in memory: the rules of the real store, for one process."""

from dataclasses import dataclass
from datetime import datetime

from lime_server.infrastructure.web.idempotency import Answer, Record


@dataclass(slots=True)
class _Row:
    fingerprint: bytes
    owner: str
    locked_until: datetime
    expires_at: datetime
    answer: Answer | None = None


class MemoryAnswers:
    """Keeps answers as long as the process lives."""

    def __init__(self) -> None:
        """Empty."""
        self._rows: dict[bytes, _Row] = {}

    async def begin(
        self, scope: bytes, fingerprint: bytes, *, owner: str, now: datetime, until: datetime
    ) -> Record | None:
        """Take `scope`, or say what is known of it."""
        row = self._rows.get(scope)
        if row is None or row.expires_at <= now or (not row.answer and row.locked_until <= now):
            self._rows[scope] = _Row(fingerprint, owner, locked_until=until, expires_at=until)
            return None
        return Record(row.fingerprint, row.answer)

    async def finish(
        self, scope: bytes, answer: Answer, *, owner: str, expires_at: datetime
    ) -> None:
        """Keep the answer, if `owner` still has `scope`."""
        row = self._rows.get(scope)
        if row is not None and row.owner == owner:
            row.answer = answer
            row.expires_at = expires_at

    async def abandon(self, scope: bytes, *, owner: str) -> None:
        """Free `scope`, if `owner` still has it."""
        row = self._rows.get(scope)
        if row is not None and row.owner == owner and row.answer is None:
            del self._rows[scope]

    async def sweep(self, now: datetime) -> int:
        """Forget what has expired; returns how many."""
        dead = [scope for scope, row in self._rows.items() if row.expires_at <= now]
        for scope in dead:
            del self._rows[scope]
        return len(dead)
