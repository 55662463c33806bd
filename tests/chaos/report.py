"""A run in one line, as the table of `docs/reliability.md` has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.ledger import Verdict

HEAD = (
    "scenario", "faults", "approved", "handled", "lost", "double", "two winners", "repeats", "failed calls",
    "p50 ms", "p99 ms", "gap s",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One scenario's figures."""

    scenario: str
    faults: int
    verdict: Verdict

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `HEAD`."""
        found = self.verdict
        return (
            self.scenario,
            f"{self.faults}",
            f"{found.approved:,}",
            f"{found.handled:,}",
            f"{len(found.lost)}",
            f"{len(found.double)}",
            f"{len(found.two_winners)}",
            f"{found.repeats}",
            f"{found.failures.total()}",
            f"{1000 * found.p50:.0f}",
            f"{1000 * found.p99:,.0f}",
            f"{found.gap:.1f}",
        )

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        found = self.verdict
        cells = dict(zip(HEAD, self.cells, strict=True))
        return {
            **cells,
            "created": found.created,
            "unanswered": found.unanswered,
            "refused": found.refused,
            "broken": {name: len(found) for name, found in found.broken.items()},
            "failures": dict(found.failures),
        }


def as_table(rows: Sequence[Row]) -> Iterator[str]:
    """A Markdown table with a sum below."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + " --- |" * len(HEAD)
    for row in rows:
        yield "| " + " | ".join(row.cells) + " |"
    approved = sum(row.verdict.approved for row in rows)
    handled = sum(row.verdict.handled for row in rows)
    yield f"approved {approved:,}, handled {handled:,} in all"
