"""Commands, called in this process and in processes of their own."""

import contextlib
import gc
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import lime_server.cli
from lime_server import logging


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """This process's environment, without anything of ours: returns what may be passed on."""
    for name in list(os.environ):
        if name.startswith("LIME_") and not name.startswith("LIME_TEST_"):
            monkeypatch.delenv(name)
    # Wide enough that no sentence is broken.
    monkeypatch.setenv("COLUMNS", "200")
    # Every line is measured in this process; measuring the others would only slow their start.
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


@pytest.fixture(autouse=True)
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """How logging was configured; it stays as it is, because it is the whole process's."""
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(logging, "configure", lambda **how: calls.append(how))
    return calls


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """A command ends with its process, and need not collect its garbage; these tests go on."""
    threshold = gc.get_threshold()
    yield
    assert gc.isenabled()
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.fixture
def settings(migrated_postgres_url: str, redis_url: str) -> dict[str, str]:
    """The variables of a server on a database of its own."""
    return {
        "LIME_PUBLIC_URL": "http://127.0.0.1:8080",
        "LIME_DATABASE_URL": migrated_postgres_url,
        "LIME_REDIS_URL": redis_url,
        "LIME_MASTER_KEY": secrets.token_hex(32),
    }


@pytest.fixture
def lime_server_command(settings: dict[str, str]) -> Callable[..., Result]:
    """Runs a command in this process, with these settings."""

    def run(*arguments: object, **changes: str | None) -> Result:
        env: dict[str, str | None] = {**settings, **changes}
        return CliRunner().invoke(lime_server.cli.app, [*map(str, arguments)], env=env)

    return run


@pytest.fixture
def spawn(environment: dict[str, str]) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `lime-server` in a process of its own, which does not outlive the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, **settings: str) -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [sys.executable, "-m", "lime_server", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**environment, **settings},
            )
            stack.callback(_finish, process)
            return process

        yield start


def _finish(process: Any) -> None:
    process.kill()
    process.wait()
    process.stdout.close()
