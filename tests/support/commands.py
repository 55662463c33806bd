"""`lime-server` commands as tests run them: the console script, and an environment without surprises."""

import os
import secrets
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

DEADLINE = 60.0
"""Seconds for one command: generous, because a loaded machine may also be compiling."""

_TOLERATED = ("LIME_TEST_DATABASE_URL", "LIME_TEST_REDIS_URL")


class ServerFailedError(AssertionError):
    """A server did not start, died, or did not stop; the message ends with what it had to say."""


def run_command(*arguments: str, settings: Mapping[str, str], folder: Path) -> str:
    """Run one `lime-server` command to its end.

    Returns:
        what it printed to standard output.

    Raises:
        ServerFailedError: if it failed; with both of its outputs.
    """
    done = subprocess.run(
        [str(server_script()), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(settings),
        cwd=folder,
        timeout=DEADLINE,
        check=False,
    )
    if done.returncode != 0:
        raise ServerFailedError(
            f"lime-server {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def server_script() -> Path:
    """The console script of the environment that runs the tests."""
    return Path(sysconfig.get_path("scripts")) / "lime-server"


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anything of LIME's, plus `settings`."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("LIME_") or key in _TOLERATED
    }
    return {**inherited, **settings}


def new_master_key() -> str:
    """A master key for one test server: 32 random bytes, hexadecimal."""
    return secrets.token_hex(32)
