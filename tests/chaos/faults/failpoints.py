"""The nastiest instants: every failpoint, hit again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lime_server.core.failpoints import POINTS
from tests.chaos.stage import Cast, Stage
from tests.support.commands import ServerFailedError

MILDER = ("error", "sleep", "stall")
"""What can happen at a point beside the end of the process; each a quarter as often."""
KILLED = 137
"""What the test build ends with."""
SHARE = 0.2
"""How often a process that comes by a point ends there: between two ends, it gets something done."""
UNTOLD = 120.0
"""Seconds in which a site hears that nobody came."""
PATIENCE = 180.0
"""Seconds in which a point must be hit once more: a server starts, its callers are spread, and some of
them come by. A loaded machine takes a minute for that."""

LOGIN_POINTS = {
    point: what
    for point, what in POINTS.items()
    if point.partition(".")[0] not in {"keys", "migrate", "expire"}
}
KEY_POINTS = [point for point in POINTS if point.startswith("keys.")]
MIGRATION_POINTS = [point for point in POINTS if point.startswith("migrate.")]


def hit(point: str) -> Callable[[Stage], None]:
    """One server, with something wrong at one point: it ends there, fails, or is held up."""

    def act(stage: Stage) -> None:
        if point == "events.after_lease":
            stage.part()
        _arm(stage, f"{point}:exit:{SHARE}", stage.hits)
        for action in MILDER:
            _arm(stage, f"{point}:{action}:{SHARE}", _quarter(stage.hits))
        _disarm(stage)
        stage.balance(*stage.cast.servers)

    return act


def everywhere(stage: Stage) -> None:
    """One server that ends, fails or is held up at any point at all, now and then."""
    for action in ("exit", *MILDER):
        _arm(stage, ",".join(f"{point}:{action}:0.03" for point in LOGIN_POINTS), stage.hits)
    _disarm(stage)


def expire(stage: Stage) -> None:
    """It ends where requests have expired, and nobody was woken: the site hears that nobody came."""
    _arm(stage, "expire.after_commit:exit", stage.hits)
    for action in MILDER:
        _arm(stage, f"expire.after_commit:{action}", _quarter(stage.hits))
    _disarm(stage)
    now = time.monotonic()
    stage.until(
        lambda: not _untold(stage, now), within=UNTOLD, what="the sites know who did not come"
    )


HASTY = Cast(
    # A rotation is due again a second later, and no server is faster than the one that dies.
    settings={"LIME_KEY_PUBLISH_BEFORE": "1", "LIME_KEY_REFRESH_INTERVAL": "60"}
)


def rotate_and_die(stage: Stage) -> None:
    """A rotation of keys that ends in its middle: there is one active key at any time."""
    for point in KEY_POINTS:
        while stage.faults[point] < stage.hits:
            # One that has nothing to promote does not come by, and makes what the next promotes.
            if _dies_at(stage, point, "keys", "rotate"):
                stage.note(point)
            keys = json.loads(stage.command("keys", "list", "--json"))
            assert [key["state"] for key in keys].count("active") == 1
            stage.let_pass(1.0)


def migrate_and_die(stage: Stage) -> None:
    """Migrations that end in their middle: what comes out is what an undisturbed one makes."""
    done = 0
    clean = _migrated(stage, "clean", points=())
    while done < stage.hits * len(MIGRATION_POINTS):
        name = f"disturbed_{done}"
        assert _migrated(stage, name, points=MIGRATION_POINTS) == clean
        done = stage.faults["migrate.before_commit"] + stage.faults["migrate.between"]


def _migrated(stage: Stage, database: str, *, points: Sequence[str]) -> str:
    """The schema of a new database after migrations that died at every point they came by."""
    stage.primary.ask(f"CREATE DATABASE {database}")
    url = {"LIME_DATABASE_URL": stage.primary.url(database)}
    for point in points:
        # Each attempt gets one step further, or is undone: half of the steps for each point.
        for _ in range(4):
            assert _dies_at(stage, point, "migrate", **url), f"nothing came by {point}"
            stage.note(point)
            stage.let_pass(0.0)
    stage.command("migrate", **url)
    assert "up to date" in stage.command("migrate", **url)
    return stage.primary.schema(database)


def _untold(stage: Stage, before: float) -> set[str]:
    """Requests from `before` whose site knows neither that somebody came nor that nobody did."""
    seen = {kind: set[str]() for kind in ("created", "opened", "nobody", "asking")}
    for line in stage.lines():
        if line["what"] != "created" or line["at"] < before:
            seen.get(line["what"], set()).add(line["request"])
    return seen["created"] - seen["opened"] - seen["nobody"] - seen["asking"]


def _dies_at(stage: Stage, point: str, *command: str, **settings: str) -> bool:
    """Run a command that dies at `point`; False if it did not come by."""
    try:
        stage.command(*command, **settings, LIME_TEST_FAILPOINT=f"{point}:exit")
    except ServerFailedError as error:
        if f"ended with {KILLED}" not in str(error):
            raise
        return True
    return False


def _quarter(hits: int) -> int:
    return max(1, hits // 4)


def _arm(stage: Stage, plan: str, hits: int) -> None:
    """Let the first server live with `plan` until something happened so often."""
    name = next(iter(stage.servers))
    log = stage.folder / "hits.log"
    server = stage.servers[name]
    server.environment |= {"LIME_TEST_FAILPOINT": plan, "LIME_TEST_FAILPOINT_LOG": str(log)}
    before = _hits(log)
    server.kill()
    spread = (0, 0)

    def was_hit(times: int) -> bool:
        nonlocal spread
        now = (server.lives, _hits(log))
        if spread != now and server.is_ready:
            # Whoever it hurt went to the other server, and connections last.
            spread = now
            stage.spread()
        return now[1] - before >= times

    for times in range(1, hits + 1):
        stage.until(partial(was_hit, times), within=PATIENCE, what=f"{plan} was hit {times} times")
    stage.faults["failpoint hit"] += _hits(log) - before


def _disarm(stage: Stage) -> None:
    server = next(iter(stage.servers.values()))
    for name in ("LIME_TEST_FAILPOINT", "LIME_TEST_FAILPOINT_LOG"):
        del server.environment[name]
    server.kill()


def _hits(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0
