"""What makes a `lime-server` a test build: this folder on its path. It is in no wheel.

* `LIME_TEST_FAILPOINT=approve.after_commit:exit,ack.before_commit:sleep:0.1`: what happens at which
  point of `lime_server.core.failpoints`, and with which probability (1 if none is given).
  `exit` ends the process as `kill -9` would, `sleep` holds this one call up for a second, `stall`
  the whole process, and `error` fails like a defect.
* `LIME_TEST_FAILPOINT_LOG=FILE`: a line for each time that something happened.
* `LIME_TEST_MIGRATION=FILE`: one more migration, as a newer version would bring it. Its name,
  `9000_name.sql`, says its number.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lime_server.infrastructure.postgres import migrator

PAUSE = 1.0
"""Seconds."""
KILLED = 137
"""What a shell reports of a process that was killed."""


class FailpointError(Exception):
    """A defect that was wanted."""


@dataclass(frozen=True)
class Plan:
    """What happens at one point."""

    action: str
    probability: float


def arm(environ: Mapping[str, str], points: Mapping[str, str]) -> Callable[[str], Awaitable[None]]:
    """Obey the test variables; what is returned is called at every point with its name."""
    if (path := environ.get("LIME_TEST_MIGRATION")) is not None:
        _add_migration(Path(path))
    plans = read_plans(environ.get("LIME_TEST_FAILPOINT", ""), points)
    log = environ.get("LIME_TEST_FAILPOINT_LOG")

    async def act(point: str) -> None:
        plan = plans.get(point)
        if plan is None or random.random() >= plan.probability:
            return
        if log is not None:
            _note(Path(log), point)
        await _ACTIONS[plan.action]()

    return act


def read_plans(text: str, points: Mapping[str, str]) -> dict[str, Plan]:
    """The plans that `text` names. Raises ValueError, saying what it is that cannot be obeyed."""
    plans = {}
    for part in filter(None, text.split(",")):
        point, _, rest = part.partition(":")
        action, _, probability = rest.partition(":")
        if point not in points:
            raise ValueError(f"there is no point {point!r}")
        if action not in _ACTIONS:
            raise ValueError(f"{point} can {', '.join(_ACTIONS)}, and not {action!r}")
        plans[point] = Plan(action, float(probability or "1"))
    return plans


def _note(log: Path, point: str) -> None:
    with log.open("a") as file:
        file.write(f"{point}\n")


async def _exit() -> None:
    os._exit(KILLED)


async def _sleep() -> None:
    await asyncio.sleep(PAUSE)


async def _stall() -> None:
    time.sleep(PAUSE)  # noqa: ASYNC251 - that is the fault


async def _error() -> None:
    raise FailpointError("wanted by a test")


_ACTIONS = {"exit": _exit, "sleep": _sleep, "stall": _stall, "error": _error}


def _add_migration(path: Path) -> None:
    known = migrator.migrations
    number, _, _ = path.name.partition("_")
    new = migrator.Migration(int(number), path.stem, path.read_text())
    migrator.migrations = lambda: [*known(), new]
