"""The document of the gates and their self-test name the same gates, and leave out no session."""

import re

from tests.docs.test_documents import ROOT
from tests.gates.table import GATES

PAGE = (ROOT / "docs" / "quality-gates.md").read_text()
SELF_TEST = "gates-smoke"
LEAST = 40
"""Gates that the project wants at least."""


def default_sessions():
    """What `nox` runs by itself."""
    noxfile = (ROOT / "noxfile.py").read_text()
    (listed,) = re.findall(
        r"^nox\.options\.sessions = \[(.*?)^\]", noxfile, re.MULTILINE | re.DOTALL
    )
    return set(re.findall(r'"([^"]+)"', listed))


def described():
    """Session, name and command of every row, and whether it is said to be of the long form."""
    session, rows = "", []
    for line in PAGE.splitlines():
        if heading := re.match(r"### `nox -s ([\w-]+)`", line):
            session = heading[1]
        elif line.startswith("| ") and session and not line.startswith(("| gate |", "| ---")):
            name, catches, command = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert catches.endswith("."), line
            long = name.endswith(" (long)")
            rows.append((session, name.removesuffix(" (long)"), command.strip("`"), long))
    return rows


def test_the_document_and_the_table_agree():
    rows = described()
    known = [(gate.session, gate.name, gate.command, gate.long) for gate in GATES]
    # As sets, for what is in one of them only; as lists, for what is there twice.
    assert set(rows) ^ set(known) == set()
    assert sorted(rows) == sorted(known)


def test_there_are_as_many_gates_as_were_asked_for():
    assert len(described()) >= LEAST


def test_every_session_that_runs_by_itself_has_a_gate():
    assert default_sessions() - {session for session, *_ in described()} == {SELF_TEST}


def test_every_gate_is_in_a_session_that_runs_by_itself():
    assert {session for session, *_ in described()} - default_sessions() == set()
