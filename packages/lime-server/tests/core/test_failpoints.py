"""Failpoints: nothing without a test build, and nothing but what was asked for with one."""

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib.metadata import files
from pathlib import Path
from types import ModuleType

import pytest

import lime_server
from lime_server.core import failpoints
from tests.support.commands import clean_environment, server_script

TEST_BUILD = Path(__file__).parents[4] / "tests" / "test_build"
ARMED = {"LIME_TEST_FAILPOINT": "approve.after_commit:error"}


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints._act = None


@pytest.fixture
def test_build(monkeypatch: pytest.MonkeyPatch, disarmed: None) -> ModuleType:
    """A test build that notes where a server came by, or refuses."""
    build = ModuleType(failpoints.TEST_BUILD)
    build.passed = []

    def arm(
        environ: Mapping[str, str], points: Mapping[str, str]
    ) -> Callable[[str], Awaitable[None]]:
        if "refused" in environ["LIME_TEST_FAILPOINT"]:
            raise ValueError("there is no point 'refused'")

        async def act(point: str) -> None:
            build.passed.append(point)

        return act

    build.arm = arm
    monkeypatch.setitem(sys.modules, failpoints.TEST_BUILD, build)
    return build


async def test_an_unarmed_point_does_nothing():
    await failpoints.reach("approve.after_commit")


def test_without_the_variables_nothing_is_even_looked_for(disarmed: None):
    failpoints.arm({"LIME_TEST_DATABASE_URL": "postgresql:///"})
    assert failpoints._act is None


async def test_a_test_build_is_told_of_every_point_that_is_reached(test_build: ModuleType):
    failpoints.arm(ARMED)
    await failpoints.reach("approve.after_commit")
    await failpoints.reach("ack.before_commit")
    assert test_build.passed == ["approve.after_commit", "ack.before_commit"]


@pytest.mark.parametrize("variable", failpoints.VARIABLES)
def test_what_was_installed_is_no_test_build_and_refuses(variable: str, disarmed: None):
    with pytest.raises(failpoints.NotATestBuildError, match=f"{variable} is for test builds"):
        failpoints.arm({variable: "approve.after_commit:exit"})
    assert failpoints._act is None


def test_what_cannot_be_obeyed_is_refused(test_build: ModuleType):
    with pytest.raises(failpoints.NotATestBuildError, match="there is no point 'refused'"):
        failpoints.arm({"LIME_TEST_FAILPOINT": "refused:exit"})


def run(*, path: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment({**variables, "PYTHONPATH": path})
    return subprocess.run(
        [str(server_script()), "migrate"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_a_command_of_the_wheel_ends_with_one_sentence():
    done = run(**ARMED)
    assert done.returncode == 1
    assert done.stderr == "lime-server: LIME_TEST_FAILPOINT is for test builds, and this is none\n"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nowhere:exit", "there is no point 'nowhere'"),
        ("approve.after_commit:explode", "can exit, sleep, stall, error, and not 'explode'"),
        ("approve.after_commit", "and not ''"),
        ("approve.after_commit:exit:often", "could not convert"),
    ],
)
def test_a_test_build_says_what_it_cannot_obey(asked: str, said: str):
    done = run(path=str(TEST_BUILD), LIME_TEST_FAILPOINT=asked)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_test_build_gets_past_that():
    done = run(path=str(TEST_BUILD), **ARMED)
    assert "LIME_PUBLIC_URL: must be set" in done.stderr


def test_the_wheel_does_not_make_itself_a_test_build():
    assert not [file for file in files("lime-server") or () if failpoints.TEST_BUILD in str(file)]


def test_every_point_is_somewhere_and_every_call_is_in_the_table():
    package = Path(lime_server.__file__).parent
    sources = "".join(path.read_text() for path in package.rglob("*.py"))
    called = set(re.findall(r'reach\(\s*"([^"]+)"', sources))
    assert called == set(failpoints.POINTS)


def test_this_process_is_not_armed():
    assert not set(failpoints.VARIABLES) & set(os.environ)
