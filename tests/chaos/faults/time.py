"""Clocks that are wrong, keys that change, and an hour that passes in an instant."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.chaos.stage import Cast, Stage
from tools.debian_engines import apt

HOUR = 3600.0
BETWEEN_PARTIES = 25.0
"""Seconds by which a site's clock may differ from LIME's: verifiers allow 30 (protocol section 10)."""
ROTATION = 5.0
"""Seconds between two rotations. Real ones are published for ten minutes before they sign."""

ROTATING = Cast(settings={"LIME_KEY_PUBLISH_BEFORE": "3", "LIME_KEY_REFRESH_INTERVAL": "2"})


def step_a_server(stage: Stage) -> None:
    """A server's clock is an hour ahead or behind, for a while."""
    _give_clocks(stage)
    while stage.goes_on():
        stage.a_moment()
        name = stage.random.choice(list(stage.servers))
        _set(stage, name, stage.random.choice([HOUR, -HOUR]))
        stage.note("clock stepped")
        stage.a_moment(1.0, 6.0)
        _set(stage, name, 0.0)


def differ(stage: Stage) -> None:
    """The sites' clocks are up to 25 s ahead of LIME's or behind, and its servers' 10 s apart."""
    _give_clocks(stage)
    site_clock = stage.folder / "site-clock"
    while stage.goes_on():
        site_clock.write_text(f"{stage.random.choice([BETWEEN_PARTIES, -BETWEEN_PARTIES])} 0")
        for name in stage.servers:
            _set(stage, name, stage.random.uniform(-5.0, 5.0))
        stage.note("clocks moved apart")
        stage.a_moment(2.0, 4.0)
    site_clock.unlink()


def rotate_keys(stage: Stage) -> None:
    """A new signing key every 5 s, two hundred times as often as verifiers are prepared for."""
    while stage.goes_on():
        stage.command("keys", "rotate")
        stage.note("keys rotated")
        stage.let_pass(ROTATION)


def hide_keys(stage: Stage) -> None:
    """The signing keys cannot be had for an hour, which the sites live through in an instant."""
    # Each worker has to have seen the keys: who was never there cannot know them.
    stage.until(
        lambda: (
            len({line["by"] for line in stage.lines() if line["what"] == "opened"})
            >= len(stage.workers)
        ),
        within=120.0,
        what="every worker has verified a passport",
    )
    stage.ready()
    (stage.folder / "no-jwks").touch()
    hours = 0.0
    while stage.goes_on():
        # Four times: an hour in all, and not so long that keys are too old to be used.
        if hours < HOUR:
            hours += HOUR / 4
            (stage.folder / "site-clock").write_text(f"0 {hours}")
            stage.note("a quarter of an hour without keys")
        stage.a_moment()
    (stage.folder / "no-jwks").unlink()


def _give_clocks(stage: Stage) -> None:
    """Start the servers anew, each with a clock of its own that `_set` steps."""
    library = _faketime()
    for name, server in stage.servers.items():
        _set(stage, name, 0.0)
        server.environment |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(stage.folder / f"{name}.clock"),
            "FAKETIME_NO_CACHE": "1",
            # Nobody sets a monotonic clock.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        server.kill()
    stage.until_ready(*stage.servers.values())
    stage.ready()


def _set(stage: Stage, name: str, seconds: float) -> None:
    clock = stage.folder / f"{name}.clock"
    fresh = clock.with_suffix(".new")
    fresh.write_text(f"{seconds:+f}s\n")
    fresh.rename(clock)


def _faketime() -> Path:
    """Debian's libfaketime, which is installed where that can be done."""
    if (found := _installed_faketime()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        apt("update")
        apt("install", "--no-install-recommends", "libfaketime")
        found = _installed_faketime()
    if found is not None:
        return found
    reason = "no libfaketime, and only root on Debian can install it"
    return pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def _installed_faketime() -> Path | None:
    places = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return next(places, None)
