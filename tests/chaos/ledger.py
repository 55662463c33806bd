"""What every process wrote down about what it was told, and what follows from all of it together.

A line is written before a call and after its answer, straight to the kernel: a process that is
killed in the next instant leaves everything that it knew. One file belongs to one life of one
process.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Ledger:
    """An append-only file of JSON lines, each written whole."""

    def __init__(self, path: Path) -> None:
        """Begin a new file; raises FileExistsError if somebody wrote there before."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(path, flags, 0o644)

    def write(self, what: str, request: str, **more: object) -> None:
        """Write a line. When this returns, `kill -9` cannot take it back."""
        line = {"at": time.monotonic(), "what": what, "request": request, **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Reader:
    """Reads the ledgers of one folder while others write them, each line once."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder
        self._offsets: Counter[Path] = Counter()
        self._lines: list[Line] = []
        self._earlier: set[str] = set()

    def lines(self) -> list[Line]:
        """Every line since the last `begin`, with the file's name as `by`.

        Those about requests of an earlier run are left out.
        """
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets[path])
                # The last one may be half written.
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offsets[path] += len(whole + newline)
            read = ({**json.loads(text), "by": path.stem} for text in whole.splitlines())
            self._lines += (line for line in read if line["request"] not in self._earlier)
        return self._lines

    def begin(self) -> None:
        """Forget what was read: a new run begins, in which no request of the last one counts."""
        self._earlier |= {line["request"] for line in self.lines()} - {""}
        self._lines = []


@dataclass
class Story:
    """Everything that is known of one login request."""

    created_at: float | None = None
    site: str = ""
    """Which site made it."""
    asked: set[str] = field(default_factory=set)
    """Agents that were told to log in."""
    approved: dict[str, float] = field(default_factory=dict)
    """Agents that were answered 200, and when."""
    opened: list[tuple[float, str, str]] = field(default_factory=list)
    """When, at which site and for which agent the application let somebody in."""
    repeats: int = 0
    """How often the application saw it again."""
    ids: set[str] = field(default_factory=set)
    """The `jti` of every passport that came for it."""

    @property
    def handled_at(self) -> float | None:
        """When the application let the agent in."""
        return min((at for at, _, _ in self.opened), default=None)


@dataclass(frozen=True)
class Verdict:
    """What one run has shown. The promises are those of `broken`; the rest is for the report."""

    created: int
    asked: int
    approved: int
    handled: int
    unanswered: int
    """Logins that were handled, though no agent heard that they were approved."""
    repeats: int
    """Deliveries that the application recognised by their request id."""
    lost: list[str]
    double: list[str]
    two_winners: list[str]
    wrong: list[str]
    """Handled for another agent than the one that approved, at another site, or for nobody."""
    same_process: list[str]
    """Handled twice by one process, which the SDK promises not to do."""
    failures: Counter[str]
    """Calls of the SDKs that failed, by who called and what they were told."""
    refused: int
    """Passports that the SDK did not believe."""
    p50: float
    p99: float
    """Seconds from the agent's 200 to the site's handler."""
    gap: float
    """Longest stretch of seconds in which no login was handled."""

    @property
    def broken(self) -> dict[str, list[str]]:
        """The promises that were broken, each with the requests that show it."""
        promises = {
            "lost": self.lost,
            "handled twice": self.double,
            "won by two agents": self.two_winners,
            "let in without right": self.wrong,
            "handled twice by one process": self.same_process,
        }
        return {name: found for name, found in promises.items() if found}


def stories(lines: Iterable[Line]) -> dict[str, Story]:
    """The lines, told by login request."""
    told: defaultdict[str, Story] = defaultdict(Story)
    for line in lines:
        story = told[line["request"]]
        match line["what"]:
            case "created":
                story.created_at, story.site = line["at"], line["site"]
            case "asking":
                story.asked.add(line["agent"])
            case "approved":
                story.approved[line["agent"]] = line["at"]
            case "opened":
                story.opened.append((line["at"], line["site"], line["agent"]))
                story.ids.add(line["jti"])
            case "repeated":
                story.repeats += 1
                story.ids.add(line["jti"])
    told.pop("", None)
    return dict(told)


def missing(lines: Iterable[Line]) -> list[str]:
    """Requests whose approval was answered 200, and that nobody handled (yet)."""
    return sorted(
        request for request, story in stories(lines).items() if story.approved and not story.opened
    )


def judge(lines: Iterable[Line], *, excused: Iterable[str] = ()) -> Verdict:
    """Compare what was answered with what was handled.

    `excused` are the requests that `docs/limitations.md` gives no promise for, which a scenario
    must name one by one.
    """
    lines = list(lines)
    told = stories(lines)
    handled = {request: story for request, story in told.items() if story.opened}
    delays = sorted(
        max(0.0, story.handled_at - min(story.approved.values()))
        for story in handled.values()
        if story.approved and story.handled_at is not None
    )
    return Verdict(
        created=sum(story.created_at is not None for story in told.values()),
        asked=sum(len(story.asked) for story in told.values()),
        approved=sum(bool(story.approved) for story in told.values()),
        handled=len(handled),
        unanswered=sum(not story.approved for story in handled.values()),
        repeats=sum(story.repeats for story in told.values()),
        lost=[request for request in missing(lines) if request not in set(excused)],
        double=sorted(request for request, story in told.items() if len(story.opened) > 1),
        two_winners=sorted(request for request, story in told.items() if len(story.approved) > 1),
        wrong=sorted(request for request, story in handled.items() if _is_wrong(story)),
        same_process=sorted(_handled_twice_by_one(lines)),
        failures=Counter(f"{line['who']}: {line['error']}" for line in _of(lines, "failed")),
        refused=len(list(_of(lines, "refused"))),
        p50=_share(delays, 0.50),
        p99=_share(delays, 0.99),
        gap=_longest_gap(
            sorted(story.handled_at for story in handled.values() if story.handled_at is not None)
        ),
    )


def _is_wrong(story: Story) -> bool:
    who = {agent for _, _, agent in story.opened}
    where = {site for _, site, _ in story.opened}
    winners = set(story.approved)
    # A winner who was never told so was at least asked.
    return (
        (bool(story.site) and where != {story.site})
        or not who <= story.asked
        or (bool(winners) and who != winners)
        # The event's id is the passport's, however often it is sent.
        or len(story.ids) > 1
    )


def _handled_twice_by_one(lines: Iterable[Line]) -> Iterator[str]:
    done = Counter(
        (line["by"], line["request"]) for line in lines if line["what"] in {"opened", "repeated"}
    )
    return (request for (_, request), times in done.items() if times > 1)


def _of(lines: Iterable[Line], what: str) -> Iterator[Line]:
    return (line for line in lines if line["what"] == what)


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _longest_gap(moments: list[float]) -> float:
    return max((b - a for a, b in itertools.pairwise(moments)), default=0.0)
