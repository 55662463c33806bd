"""Runs programs written for the published SDKs in the environment where those are installed."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.commands import clean_environment
from tests.support.deployment import Deployment, Engines
from tests.support.engines import Databases
from tests.support.server import LimeServer

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = "LIME_WILD_PYTHON"


class Program:
    """A running program; `facts` is its next line."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        self._name = name
        self._environment = environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [os.environ[PYTHON], str(PROGRAMS / f"{self._name}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate()
        if error is None:
            assert self._process.returncode == 0

    def tell(self, line: str) -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def facts(self) -> dict[str, Any]:
        """What it says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self._name}.py ended without a word; its errors are above"
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture(scope="session")
def wild_python() -> str:
    """The interpreter that has the published SDKs."""
    if PYTHON not in os.environ:
        pytest.skip(
            f"{PYTHON} names no interpreter with the published SDKs; `nox -s wild-clients` makes one"
        )
    return os.environ[PYTHON]


@pytest.fixture
def deployment(
    wild_python: str, tmp_path: Path, postgres_url: str, redis_url: str, databases: Databases
) -> Deployment:
    """A database and a Redis of this test's own."""
    return Deployment(tmp_path, Engines(postgres_url, redis_url), databases)


def environment(
    server: LimeServer, agent_token: str, site_token: str, **more: str
) -> dict[str, str]:
    """What the author of such a program sets, and nothing besides."""
    variables = {
        "LIME_API_BASE": server.api_base,
        "LIME_AGENT_TOKEN": agent_token,
        "LIME_SITE_TOKEN": site_token,
        **more,
    }
    # Nothing of our own environment: the other interpreter must not find our packages.
    return {
        key: value
        for key, value in clean_environment(variables).items()
        if not key.startswith(("PYTHON", "VIRTUAL_ENV", "COV"))
    }
