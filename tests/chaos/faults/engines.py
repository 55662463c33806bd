"""PostgreSQL and Redis that are away, forgetful, full, or somebody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from tests.chaos.engines import Postgres
from tests.chaos.stage import Cast, Stage

DISK = 256 << 20
"""Bytes of the small disk: PostgreSQL's own beginnings take half of it."""
FAILOVER_PATIENCE = 120.0
"""Seconds in which a copy of the primary follows it."""


# Redis

NO_REDIS = Cast(redis=False)

COUNTING = Cast(
    settings={
        # So high that nobody meets them, so that every request is counted in Redis.
        "LIME_RATE_PER_TOKEN": "100000:100000",
        "LIME_RATE_PER_ADDRESS": "100000:100000",
        "LIME_RATE_PER_REQUEST": "100000:100000",
    }
)


def without_redis(stage: Stage) -> None:
    """Redis is stopped, for the whole run."""
    stage.note("Redis stopped")
    while stage.goes_on():
        stage.a_moment()


def flush_redis(stage: Stage) -> None:
    """Redis forgets everything it was told, every second or two."""
    with stage.valkey.client() as client:
        while stage.goes_on():
            stage.a_moment()
            client.flushall()
            client.script_flush()
            stage.note("Redis flushed")


def fill_redis(stage: Stage) -> None:
    """Redis is full, and takes nothing more."""
    with stage.valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1500000")
        with contextlib.suppress(redis.ResponseError):
            for number in range(10_000):
                client.set(f"ballast:{number}", b"x" * 4096)
        stage.note("Redis filled")
        while stage.goes_on():
            stage.a_moment()
        client.config_set("maxmemory", "0")


# PostgreSQL

STANDBY = Cast(standby=True)


def restart_postgres(stage: Stage) -> None:
    """PostgreSQL is stopped in an orderly way, and started again."""
    while stage.goes_on():
        stage.a_moment(2.0, 4.0)
        stage.primary.stop()
        stage.note("PostgreSQL stopped")
        stage.a_moment(0.2, 2.0)
        stage.primary.start()
        stage.until(lambda: stage.primary.is_ready, within=60.0, what="PostgreSQL is ready")


def fail_over(stage: Stage) -> None:
    """The primary dies, the standby takes over, and a new standby is made of the dead one."""
    _confirm_by_both(stage)
    stage.ready()
    while stage.goes_on():
        stage.a_moment(3.0, 6.0)
        old, new = stage.postgres
        old.kill()
        stage.note("primary killed")
        new.promote()
        # Whoever looks for the primary must not find one that does not know that it was one.
        stage.postgres.reverse()
        stage.a_moment(1.0, 3.0)
        old.follow(new)
        _confirm_by_both(stage)


def take_all_connections(stage: Stage) -> None:
    """Somebody else takes every connection that PostgreSQL has, and the servers' are ended."""
    while stage.goes_on():
        stage.a_moment()
        asyncio.run(_hog(stage.primary, stage.random.uniform(1.0, 4.0)))
        stage.note("out of connections")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk in memory. Only root can make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = folder / "small-disk"
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


SMALL_DISK = Cast(data=small_disk)


def fill_disk(stage: Stage) -> None:
    """PostgreSQL's disk is full, again and again, until somebody makes room."""
    ballast = stage.primary.folder / "ballast"
    while stage.goes_on():
        stage.a_moment()
        _fill(ballast)
        stage.note("disk filled")
        # A new segment of its log is what it cannot do without.
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            stage.primary.ask("SELECT pg_switch_wal()")
        stage.a_moment(1.0, 4.0)
        ballast.unlink()
        if not stage.primary.is_alive:
            stage.note("PostgreSQL gave up")
            stage.primary.start()
        stage.until(lambda: stage.primary.is_ready, within=60.0, what="PostgreSQL is ready")


def _fill(ballast: Path) -> None:
    piece = b"\0" * (1 << 20)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            # A whole piece first, then what is left.
            if file.write(piece) < len(piece):
                break


def _confirm_by_both(stage: Stage) -> None:
    """Let a commit be confirmed only when both have it, and wait until that is so."""
    standby = stage.postgres[1]
    stage.until(lambda: standby.is_ready, within=FAILOVER_PATIENCE, what="the standby is ready")
    stage.primary.set_up({"synchronous_standby_names": "*"})
    state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    stage.until(
        lambda: stage.primary.ask(state), within=FAILOVER_PATIENCE, what="the standby follows"
    )


async def _hog(primary: Postgres, seconds: float) -> None:
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        taken.append(await asyncpg.connect(primary.url("postgres")))
        await taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'lime-server'"
        )
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            try:
                taken.append(await asyncpg.connect(primary.url("postgres")))
            except asyncpg.TooManyConnectionsError:
                await asyncio.sleep(0.05)
    finally:
        await asyncio.gather(*(each.close() for each in taken))
