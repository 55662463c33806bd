"""The self-test itself bites: a gate that is silent, blind or out of date fails it."""

import subprocess

import pytest

from tests.gates.scratch import Plant, Scratch, StalePlantError
from tests.gates.selftest import SelfTest, SilentGateError
from tests.gates.table import GATES, Gate


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_text("good\n")
    return tmp_path


@pytest.fixture
def prove(folder):
    selftest = SelfTest(Scratch(folder))

    def prove(command, *plants, says=""):
        selftest.prove(Gate("a gate", "lint", command, says, plants))

    return prove


BAD = Plant("file", "bad\n")
SAYS_SO = "! grep bad file"


def test_a_gate_that_fails_for_its_plant_and_only_then_is_proven(prove, folder):
    prove(SAYS_SO, BAD, says="bad")
    assert (folder / "file").read_text() == "good\n"


def test_a_gate_that_lets_its_plant_pass_is_silent(prove):
    with pytest.raises(SilentGateError, match="lets its plant pass"):
        prove("grep good file", BAD)


def test_a_gate_that_fails_anyway_proves_nothing(prove):
    with pytest.raises(SilentGateError, match="fails without a plant"):
        prove("false", BAD)


def test_a_gate_that_fails_for_another_reason_proves_nothing(prove):
    with pytest.raises(SilentGateError, match="does not say 'worse'"):
        prove(SAYS_SO, BAD, says="worse")


@pytest.mark.parametrize("old", ["gone", "o"], ids=["gone", "there twice"])
def test_a_plant_that_fits_no_more_is_stale_and_nothing_stays_changed(prove, folder, old):
    with pytest.raises(StalePlantError, match="times"):
        prove(SAYS_SO, BAD, Plant("file", "new", old=old))
    assert (folder / "file").read_text() == "good\n"


def test_a_file_that_was_planted_is_gone_afterwards(prove, folder):
    prove("! test -e new/file", Plant("new/file", "x"))
    assert not (folder / "new" / "file").exists()


def test_a_command_that_does_not_end_is_ended(folder):
    # Were it not, leaving the block would wait for it, longer than this test may take.
    with pytest.raises(subprocess.TimeoutExpired):
        Scratch(folder).run("sleep 600; true", patience=0.1)


def test_the_copy_has_what_git_has_and_its_packages_come_first(scratch):
    assert (scratch.folder / "noxfile.py").exists()
    found = scratch.run("python -c 'import lime_sdk_core; print(lime_sdk_core.__file__)'").output
    assert found.startswith(str(scratch.folder))


def test_every_gate_has_a_plant_a_reason_and_a_name_of_its_own():
    names = [(gate.session, gate.name) for gate in GATES]
    assert len(names) == len(set(names))
    assert [gate.name for gate in GATES if not gate.plants or not gate.says] == []
