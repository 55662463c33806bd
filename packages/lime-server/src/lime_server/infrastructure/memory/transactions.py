"""Transactions over stores that live in memory."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

_holder: ContextVar["asyncio.Task[object] | None"] = ContextVar("lime_memory_txn", default=None)


class MemoryTransactions:
    """One at a time; an exception puts back what was there.

    Changes that other tasks make meanwhile, without a transaction, are undone as well: a twin for
    tests need not be cleverer.
    """

    def __init__(self, *states: object) -> None:
        """Cover the dicts, lists and sets that are attributes of `states`.

        Their members must be values that are replaced and never changed.
        """
        self._states = states
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Keep everything that is done within the block, or nothing of it."""
        task = asyncio.current_task()
        if _holder.get() is task:
            with_lock = False
        else:
            with_lock = True
            await self._lock.acquire()
        token = _holder.set(task)
        before = [(held, copy.copy(held)) for state in self._states for held in _held(state)]
        try:
            yield
        except BaseException:
            for held, old in before:
                _restore(held, old)
            raise
        finally:
            _holder.reset(token)
            if with_lock:
                self._lock.release()


_Held = dict[object, object] | list[object] | set[object]


def _held(state: object) -> list[_Held]:
    return [held for held in vars(state).values() if isinstance(held, dict | list | set)]


def _restore(held: _Held, old: _Held) -> None:
    held.clear()
    if isinstance(held, list):
        held.extend(old)
    else:
        held.update(old)  # type: ignore[arg-type]  # a dict from a dict, a set from a set
