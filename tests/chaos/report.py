"""A run in one line, as the table of `docs/reliability.md` has it.

python -m tests.chaos.report build/chaos/*.json     adds up what `--report` wrote
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

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
    approved: int
    handled: int
    lost: int
    double: int
    two_winners: int
    repeats: int
    failed: int
    """Calls of the SDKs."""
    p50: float
    p99: float
    gap: float
    broken: int
    """Promises of any kind."""
    runs: int = 1

    @classmethod
    def of(cls, scenario: str, faults: int, verdict: Verdict) -> Row:
        """The figures of one run."""
        return cls(
            scenario=scenario,
            faults=faults,
            approved=verdict.approved,
            handled=verdict.handled,
            lost=len(verdict.lost),
            double=len(verdict.double),
            two_winners=len(verdict.two_winners),
            repeats=verdict.repeats,
            failed=verdict.failures.total(),
            p50=verdict.p50,
            p99=verdict.p99,
            gap=verdict.gap,
            broken=len(verdict.broken),
        )

    def __add__(self, other: Row) -> Row:
        """Both runs: counts are added up, and of times the worst is kept."""
        mine, theirs = asdict(self), asdict(other)
        worst = {name: max(mine[name], theirs[name]) for name in ("p50", "p99", "gap")}
        sums = {
            name: mine[name] + theirs[name] for name in mine if name not in {"scenario", *worst}
        }
        return Row(scenario=self.scenario, **sums, **worst)

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `HEAD`."""
        counts = (
            self.faults, self.approved, self.handled, self.lost, self.double, self.two_winners,
            self.repeats, self.failed,
        )  # fmt: skip
        times = (f"{1000 * self.p50:,.0f}", f"{1000 * self.p99:,.0f}", f"{self.gap:.1f}")
        return (self.scenario, *(f"{count:,}" for count in counts), *times)


def as_table(rows: Iterable[Row]) -> Iterator[str]:
    """A Markdown table, with the sum of its counts as the last row."""
    rows = list(rows)
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + " --- |" * len(HEAD)
    for row in rows:
        yield "| " + " | ".join(row.cells) + " |"
    total = rows[0]
    for row in rows[1:]:
        total += row
    yield "| **all** | " + " | ".join(total.cells[1:9]) + " | | | |"


def added_up(paths: Iterable[Path]) -> list[Row]:
    """The rows of many reports, one for each scenario."""
    found: dict[str, Row] = {}
    for path in paths:
        for values in json.loads(path.read_text()):
            row = Row(**values)
            found[row.scenario] = found[row.scenario] + row if row.scenario in found else row
    return list(found.values())


if __name__ == "__main__":
    for text in as_table(added_up(map(Path, sys.argv[1:]))):
        print(text)  # noqa: T201
