"""Nothing is lost, and nobody is let in twice or without right, whatever is done to the machines."""

from __future__ import annotations

import pytest
from _pytest.mark import ParameterSet

from tests.chaos.ledger import judge
from tests.chaos.report import Row
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import TABLE
from tests.chaos.theatre import Theatre


def as_case(scenario: Scenario) -> ParameterSet:
    marks = [pytest.mark.chaos, *([pytest.mark.telling] if scenario.telling else [])]
    return pytest.param(scenario, id=scenario.name, marks=marks)


# Those that can share their servers, one after the other.
IN_ORDER = sorted(TABLE, key=lambda scenario: not scenario.shares)


# However loaded the machine is: every wait in it has an end of its own.
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scenario", [as_case(scenario) for scenario in IN_ORDER])
def test_every_approval_that_was_answered_is_handled_once(
    scenario: Scenario, theatre: Theatre, rows: list[Row]
) -> None:
    with theatre.stage_for(scenario) as stage:
        stage.begin()
        scenario.act(stage)
        stage.heal()
        stage.settle()
        verdict = judge(stage.lines(), excused=stage.excused)
        rows.append(Row.of(scenario.name, stage.faults.total(), verdict))
        assert verdict.broken == {}
        assert not scenario.unnoticed or verdict.failures == {}
