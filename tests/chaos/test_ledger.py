"""The comparison at the end of a run finds what it is there to find: each promise is broken here once."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.ledger import Ledger, Line, Reader, judge
from tests.chaos.report import Row, as_table

AGENT, OTHER, SITE = "agent-a", "agent-b", "site-a"


def line(at: float, what: str, by: str, **more: object) -> Line:
    return {"at": at, "what": what, "request": "r", "by": by, **more}


def opened(
    at: float, *, by: str = "worker-1", site: str = SITE, agent: str = AGENT, jti: str = "r"
) -> Line:
    return line(at, "opened", by, site=site, agent=agent, jti=jti)


CREATED = line(0.0, "created", "worker-1", site=SITE)
ASKING = line(1.0, "asking", "agent", agent=AGENT)
APPROVED = line(2.0, "approved", "agent", agent=AGENT)
GOOD = [CREATED, ASKING, APPROVED, opened(2.5)]


def test_a_login_that_was_approved_and_handled_breaks_nothing():
    verdict = judge(GOOD)
    assert verdict.broken == {}
    assert (verdict.approved, verdict.handled, verdict.p50) == (1, 1, 0.5)


def test_an_approval_that_nobody_was_told_of_may_be_handled():
    verdict = judge([CREATED, ASKING, opened(2.5)])
    assert verdict.broken == {}
    assert (verdict.approved, verdict.unanswered) == (0, 1)


def test_a_call_without_an_answer_promises_nothing():
    assert judge([CREATED, ASKING]).broken == {}


BROKEN = {
    "lost": [CREATED, ASKING, APPROVED],
    "handled twice": [*GOOD, opened(3.0, by="worker-2")],
    "won by two agents": [
        *GOOD,
        line(1.0, "asking", "agent-2", agent=OTHER),
        line(2.0, "approved", "agent-2", agent=OTHER),
    ],
    "let in without right": [CREATED, opened(2.5)],
    "handled twice by one process": [
        *GOOD,
        line(3.0, "repeated", "worker-1", site=SITE, agent=AGENT, jti="r"),
    ],
}


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_is_found(promise: str):
    assert judge(BROKEN[promise]).broken[promise] == ["r"]


@pytest.mark.parametrize(
    "handled",
    [opened(2.5, site="site-b"), opened(2.5, agent=OTHER)],
    ids=["at another site", "for another agent"],
)
def test_who_is_let_in_must_be_who_approved_and_where_they_were_asked(handled: Line):
    others = line(1.0, "asking", "agent-2", agent=OTHER)
    verdict = judge([CREATED, ASKING, others, APPROVED, handled])
    assert verdict.broken == {"let in without right": ["r"]}


def test_a_repeated_event_must_carry_the_same_passport_id():
    repeated = line(3.0, "repeated", "worker-2", site=SITE, agent=AGENT, jti="another")
    assert judge([*GOOD, repeated]).broken == {"let in without right": ["r"]}


def test_what_the_documents_excuse_is_not_lost():
    assert judge([CREATED, ASKING, APPROVED], excused=["r"]).broken == {}


def test_a_line_is_in_the_file_as_soon_as_it_was_written(tmp_path: Path):
    ledger = Ledger(tmp_path / "agent-0001.jsonl")
    ledger.write("asking", "r", agent=AGENT)
    (found,) = Reader(tmp_path).lines()
    assert (found["what"], found["request"], found["by"]) == ("asking", "r", "agent-0001")


def test_two_lives_never_share_a_ledger(tmp_path: Path):
    Ledger(tmp_path / "agent-0001.jsonl")
    with pytest.raises(FileExistsError):
        Ledger(tmp_path / "agent-0001.jsonl")


def test_half_a_line_is_left_for_the_next_look(tmp_path: Path):
    path, reader = tmp_path / "agent-0001.jsonl", Reader(tmp_path)
    path.write_text('{"what": "asking", "request": "a"}\n{"what": "ask')
    assert [line["request"] for line in reader.lines()] == ["a"]
    with path.open("a") as file:
        file.write('ing", "request": "b"}\n')
    assert [line["request"] for line in reader.lines()] == ["a", "b"]


def test_a_new_run_hears_nothing_more_of_the_last_one(tmp_path: Path):
    ledger, reader = Ledger(tmp_path / "agent-0001.jsonl"), Reader(tmp_path)
    ledger.write("asking", "old")
    reader.begin()
    ledger.write("approved", "old")
    ledger.write("asking", "new")
    assert [line["request"] for line in reader.lines()] == ["new"]


def test_reports_are_added_up_and_keep_the_worst_times():
    row = Row.of("kill", 2, judge(GOOD))
    both = row + replace(row, p99=3.0, lost=1)
    assert (both.scenario, both.runs, both.faults, both.approved) == ("kill", 2, 4, 2)
    assert (both.p50, both.p99, both.lost) == (0.5, 3.0, 1)
    assert list(as_table([row, row]))[-1].startswith("| **all** | 4 | 2 | 2 | 0 | 0 | 0 |")
