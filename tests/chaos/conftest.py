"""Options of a run, and its table at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.chaos.report import Row, as_table
from tests.chaos.stage import Effort
from tests.chaos.theatre import Theatre

_ROWS: pytest.StashKey[list[Row]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long and how hard."""
    group = parser.getgroup("chaos")
    group.addoption("--seconds", type=float, default=6.0, help="of faults, for each scenario")
    group.addoption("--rate", type=float, default=20.0, help="logins asked for per second")
    group.addoption("--hits", type=int, default=3, help="how often each failpoint is hit")
    group.addoption("--seed", type=int, default=1, help="for everything that is left to chance")
    group.addoption("--report", type=Path, default=None, help="file for the rows, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing has run yet."""
    config.addinivalue_line("markers", "chaos: a fault, for as long as --seconds says")
    config.addinivalue_line("markers", "telling: one that the short form has as well")
    config.stash[_ROWS] = []


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """Where a test puts what it measured; the report is written after each."""
    found = request.config.stash[_ROWS]
    yield found
    if path := request.config.getoption("--report"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")


@pytest.fixture(scope="session")
def theatre(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    """Where scenarios take place."""
    option = request.config.getoption
    effort = Effort(option("--seconds"), option("--rate"), option("--hits"), option("--seed"))
    made = Theatre(tmp_path_factory.mktemp("chaos"), effort)
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table."""
    if rows := terminalreporter.config.stash[_ROWS]:
        terminalreporter.section("what was promised, and what happened")
        for line in as_table(rows):
            terminalreporter.write_line(line)
