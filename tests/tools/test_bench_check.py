"""The check of the benchmarks bites, and only where it should."""

import pytest

from benchmarks import check, table
from benchmarks.check import Floors, FloorsError, checked, lacking


def ratio(value):
    return {"value": 1.0, "unit": "ms", "ratio": value}


FLOORS = Floors("login", ("short",), ("long",), {"login.vs_plain": 3.0}, {"login.workers": 1.5})


def test_a_ratio_at_its_floor_passes():
    assert lacking({"login.vs_plain": ratio(3.0), "login.workers": ratio(1.5)}, FLOORS) == []


def test_a_floor_above_what_was_reached_fails_and_says_both():
    (sentence,) = lacking({"login.vs_plain": ratio(2.99)}, FLOORS)
    assert sentence == "  login.vs_plain is 2.99 times its peer; the floor is 3"


def test_a_ratio_that_is_no_number_fails():
    assert len(lacking({"login.vs_plain": ratio(float("nan"))}, FLOORS)) == 1


@pytest.mark.parametrize("found", [{}, {"login.vs_plain": ratio(None)}])
def test_what_must_be_measured_and_was_not_fails(found):
    assert lacking(found, FLOORS) == ["  login.vs_plain was not measured"]


def test_what_some_machines_cannot_do_counts_only_where_it_was_measured():
    fine = {"login.vs_plain": ratio(4.0)}
    assert lacking(fine, FLOORS) == []
    assert len(lacking(fine | {"login.workers": ratio(1.2)}, FLOORS)) == 1


def runs(*ratios):
    """A benchmark that reaches these, one after the other; and how it was run."""
    asked, left = [], list(ratios)

    def run(name, arguments):
        asked.append((name, *arguments))
        return {"login.vs_plain": ratio(left.pop(0))}

    return run, asked


def test_a_good_first_run_is_enough():
    run, asked = runs(3.5)
    assert checked(FLOORS, run) == []
    assert asked == [("login", "short")]


def test_a_bad_run_is_repeated_for_longer_and_forgotten_if_that_one_is_good():
    run, asked = runs(2.0, 3.5)
    assert checked(FLOORS, run) == []
    assert asked == [("login", "short"), ("login", "long")]


def test_two_bad_runs_fail():
    run, _ = runs(2.0, 2.5)
    assert checked(FLOORS, run) == ["  login.vs_plain is 2.50 times its peer; the floor is 3"]


def test_the_committed_floors_are_understood_and_positive():
    found = check.read(check.FLOORS)
    assert found
    assert all(
        least > 0 for each in found for least in {**each.always, **each.where_measured}.values()
    )


@pytest.mark.parametrize(
    "text",
    [
        '[login]\nrun = []\nagain = []\nalways = { "a" = 1 }\nalwyas = { "b" = 1 }',
        '[logon]\nrun = []\nagain = []\nalways = { "a" = 1 }',
        "[login]\nrun = []\nagain = []",
    ],
    ids=["a misspelt key", "an unknown benchmark", "no floor"],
)
def test_floors_that_would_check_nothing_are_refused(tmp_path, text):
    file = tmp_path / "floors.toml"
    file.write_text(text)
    with pytest.raises(FloorsError):
        check.read(file)


def test_the_check_ends_with_one_when_a_ratio_is_too_low(tmp_path, monkeypatch, capsys):
    file = tmp_path / "floors.toml"
    file.write_text('[login]\nrun = []\nagain = []\nalways = { "login.vs_plain" = 1000 }')
    monkeypatch.setattr(table, "run", lambda _name, _extra: {"login.vs_plain": ratio(4.0)})
    monkeypatch.setattr("sys.argv", ["check.py", "--floors", str(file)])
    assert check.main() == 1
    assert "login.vs_plain is 4.00 times its peer; the floor is 1000" in capsys.readouterr().out
    file.write_text('[login]\nrun = []\nagain = []\nalways = { "login.vs_plain" = 3 }')
    assert check.main() == 0


def test_a_goal_is_met_by_ratio_or_by_value():
    assert table.at_least(3).met({"ratio": 3.0})
    assert not table.at_least(3).met({"ratio": 2.9})
    assert table.below(25, "ms").met({"value": 24.0, "ratio": 0.1})
    assert not table.below(25, "ms").met({"value": 26.0, "ratio": 9.0})


def test_every_figure_has_a_line_also_one_that_nobody_described():
    found = {"login.vs_plain": ratio(3.2), "login.new": ratio(None)}
    described, other = table.cells(found)
    assert described[0] == "complete logins"
    assert described[-1] == "≥ 3 times, met"
    assert other[0] == "login.new"
