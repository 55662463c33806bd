"""Nothing is lost, and nobody is let in twice or without right, whatever is done to the machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.chaos.ledger import judge
from tests.chaos.report import Row
from tests.chaos.scenarios import TABLE, Scenario
from tests.chaos.stage import opened


def rows_of_the_table() -> Iterator[ParameterSet]:
    for scenario in TABLE:
        marks = [pytest.mark.chaos, *([pytest.mark.telling] if scenario.telling else [])]
        yield pytest.param(scenario, id=scenario.name, marks=marks)


# However loaded the machine is: every wait in it has an end of its own.
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scenario", rows_of_the_table())
def test_every_approval_that_was_answered_is_handled_once(
    scenario: Scenario, tmp_path: Path, request: pytest.FixtureRequest, rows: list[Row]
) -> None:
    option = request.config.getoption
    with opened(
        tmp_path,
        scenario.cast,
        rate=option("--rate"),
        seconds=option("--seconds"),
        seed=option("--seed"),
    ) as stage:
        scenario.act(stage)
        stage.heal()
        stage.settle()
        verdict = judge(stage.lines(), excused=stage.excused)
        rows.append(Row(scenario.name, stage.faults.total(), verdict))
        assert verdict.broken == {}
        # A run in which nobody got in shows nothing.
        assert verdict.handled > 0
