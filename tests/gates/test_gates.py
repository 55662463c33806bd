"""Every gate bites: each is shown a violation of its own."""

import pytest

from tests.gates.scratch import Scratch
from tests.gates.selftest import SelfTest
from tests.gates.table import GATES, Gate

LONG = 1500
"""Seconds, for what installs environments first."""
QUICK = {"lint", "types", "stubs", "rooms", "licences", "deploy"}
"""Sessions that only read files: a second or two for each gate."""


def marked(gate: Gate):
    """Gates of a session stay in one process, whose copy has the caches that they share."""
    marks = [pytest.mark.xdist_group(gate.session)]
    if gate.session not in QUICK:
        marks.append(pytest.mark.slow)
    if gate.long:
        marks += [pytest.mark.long, pytest.mark.timeout(LONG)]
    return pytest.param(gate, id=f"{gate.session}: {gate.name}", marks=marks)


@pytest.fixture(scope="session")
def selftest(scratch: Scratch) -> SelfTest:
    return SelfTest(scratch)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("gate", [marked(gate) for gate in GATES])
def test_the_gate_bites(selftest: SelfTest, gate: Gate) -> None:
    selftest.prove(gate)
