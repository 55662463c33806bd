"""The OpenAPI document says what the server does: schemathesis reads it and tries to prove it wrong, with every check it has."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.schema import configuration
from tests.schema.callers import Callers
from tests.support.server import ServeServer

ROOT = Path(__file__).parents[2]
PATIENCE = 540
"""Seconds, for a machine that is busy with something else as well."""

pytestmark = pytest.mark.timeout(PATIENCE + 60)


def run(server: ServeServer, config: Path, *arguments: str) -> None:
    """Run schemathesis; what it found fails the test, and says how to see it again."""
    program = Path(sys.executable).with_name("st")
    document = f"{server.public_url}/openapi.json"
    done = subprocess.run(
        [program, "--config-file", config, "run", document, "--checks", "all", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        cwd=config.parent,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0


def test_the_server_does_what_its_document_says(
    server: ServeServer, callers: Callers, tmp_path: Path
) -> None:
    run(server, configuration.write_main(tmp_path, callers))


def test_so_do_the_operations_that_end_sessions(
    server: ServeServer, callers: Callers, tmp_path: Path
) -> None:
    names = [f"--include-name={name}" for name in configuration.ENDS_SESSIONS]
    # Not one after another, which would sign out before the next one is tried.
    run(
        server,
        configuration.write_endings(tmp_path, callers),
        *names,
        "--phases=coverage,fuzzing",
    )


def test_every_exception_is_about_an_operation_that_there_is(server: ServeServer) -> None:
    document = httpx.get(f"{server.public_url}/openapi.json", trust_env=False).json()
    operations = {
        f"{method.upper()} {path}" for path, one in document["paths"].items() for method in one
    }
    assert {*configuration.REFUSED_FOR_ITS_MEANING, *configuration.ENDS_SESSIONS} <= operations
