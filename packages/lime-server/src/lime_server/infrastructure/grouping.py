"""Questions that are asked at about the same time are put to an engine together.

A statement for sixteen rows costs an engine, and us, little more than one for a single row. Nobody
waits for company, though: a question that finds nothing under way is asked at once, and whatever
arrives while an answer travels makes up the next group. So groups grow with the load by themselves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

from lime_server.core.errors import Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

MOST = 64
"""Questions in one group: beyond some dozens a larger one saves nothing more, and everyone in it
waits for the last."""


_Asked: TypeAlias = tuple[int, Q, "asyncio.Future[A]"]
"""A question, numbered in the order of arrival, and where its answer is awaited."""


class Grouped(Generic[Q, A]):
    """One way of asking, which groups."""

    def __init__(
        self,
        ask: Callable[[list[Q]], Awaitable[Sequence[A]]],
        *,
        at_once: int = 1,
        most: int = MOST,
    ) -> None:
        """`ask` answers a list of questions in their order; at most `at_once` groups travel.

        A question joins only a group that is asked after it: the answer is never older than it.
        """
        self._ask = ask
        self._at_once = at_once
        self._most = most
        self._waiting: list[_Asked[Q, A]] = []
        self._count = 0
        self._askers: set[asyncio.Task[None] | None] = set()

    async def __call__(self, question: Q) -> A:
        """The answer to `question`. Raises what `ask` raises for it.

        Whoever is cancelled before the question is on its way has not asked. Whoever was in line
        when a group left that got no answer is told the same: otherwise a line behind an engine
        that says nothing would be told so one group after the other, for minutes.
        """
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._count += 1
        self._waiting.append((self._count, question, answer))
        if len(self._askers) < self._at_once:
            # A task of its own, of which the first step comes after whatever is ready now: all of
            # that can join. It belongs to no request, so it starts from nobody's context.
            asker = asyncio.get_running_loop().create_task(self._ask_all(), context=Context())
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)
        return await answer

    async def _ask_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            group = [each for each in group if not each[-1].done()]
            if group:
                await self._answer(group, in_line=self._count)
        # Here rather than when the task is seen to be done: who asks in between needs another one.
        self._askers.discard(asyncio.current_task())

    async def _answer(self, group: "list[_Asked[Q, A]]", *, in_line: int) -> None:
        """Ask for `group`; `in_line` is the number of the last question that waited behind it."""
        try:
            answers = await self._ask([question for _, question, _ in group])
        except Unavailable as error:
            for _, _, answer in (*group, *self._behind(in_line)):
                _settle(answer, error)
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            if len(group) == 1:
                _settle(group[0][-1], error)
                return
            # Somebody's question is at fault. Asked alone, it harms nobody else.
            for each in group:
                await self._answer([each], in_line=in_line)
        except asyncio.CancelledError:
            # The loop ends; nobody must wait for what does not come.
            _cancel(group)
            raise
        else:
            for (_, _, waiting), found in zip(group, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(found)

    def _behind(self, in_line: int) -> "list[_Asked[Q, A]]":
        """Take those out of the line who stood in it already when `in_line` did."""
        behind = [each for each in self._waiting if each[0] <= in_line]
        del self._waiting[: len(behind)]
        return behind


def _cancel(group: "list[_Asked[Q, A]]") -> None:
    for _, _, answer in group:
        answer.cancel()


def _settle(answer: "asyncio.Future[A]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
