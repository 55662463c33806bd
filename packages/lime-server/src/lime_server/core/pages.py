"""Long lists, a page at a time.

Rows are walked by their ids, newest first: ids begin with the time they were made at, so what is
added meanwhile never shifts a page. The cursor is the last id of the page before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lime_server.core.errors import InvalidInput
from lime_server.core.ids import parse_id

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
"""Rows of one page: what a person can look through, and one answer can hold."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, and where the next page begins; `next_cursor` is None on the last one."""

    items: list[T]
    next_cursor: str | None


def page(rows: Sequence[T], limit: int, ident: Callable[[T], str]) -> Page[T]:
    """The page of at most `limit` that begins `rows`, which were read with one more than that."""
    items = list(rows[:limit])
    return Page(items, ident(items[-1]) if len(rows) > limit else None)


def parse_cursor(unverified: str | None) -> str | None:
    """A cursor as an id; None begins at the beginning. Raises InvalidInput for anything else."""
    if unverified is None:
        return None
    cursor = parse_id(unverified)
    if cursor is None:
        raise InvalidInput("This cursor did not come from us.", detail={"field": "cursor"})
    return cursor
