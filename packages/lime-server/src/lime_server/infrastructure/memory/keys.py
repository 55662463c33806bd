"""Signing keys in memory: the rules of the real store, for one process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lime_server.core.keys import Key, KeyState


class MemoryKeys:
    """Keeps keys as long as the process lives."""

    def __init__(self) -> None:
        """Empty."""
        self._keys: dict[str, Key] = {}
        self._lock = asyncio.Lock()

    async def published(self) -> Sequence[Key]:
        """Keys that are not gone, oldest first."""
        return [key for key in self._keys.values() if key.is_published]

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator["_Transaction"]:
        """One transaction at a time; all of it happens or nothing."""
        async with self._lock:
            transaction = _Transaction(dict(self._keys))
            yield transaction
            self._keys = transaction.keys


class _Transaction:
    def __init__(self, keys: dict[str, Key]) -> None:
        self.keys = keys

    async def all(self) -> Sequence[Key]:
        return list(self.keys.values())

    async def put(self, key: Key) -> None:
        others = [other.state for other in self.keys.values() if other.kid != key.kid]
        if key.state in (KeyState.STANDBY, KeyState.ACTIVE) and key.state in others:
            # What a unique index does in the real store: a bug, not a situation.
            raise RuntimeError(f"there is another {key.state} key")
        self.keys[key.kid] = key
