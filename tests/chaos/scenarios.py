"""The faults, one table row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.chaos.engines import Valkey
from tests.chaos.stage import Cast, Stage
from tests.chaos.workers import Program

BOTH = 0.2
"""How often a server is killed although the other one is not there."""


@dataclass(frozen=True)
class Scenario:
    """What is done while logins happen."""

    name: str
    act: Callable[[Stage], None]
    """Does its worst until `stage.goes_on()` says no. What it leaves broken is mended afterwards."""
    cast: Cast = field(default_factory=Cast)
    telling: bool = False
    """Whether the short form has it as well."""

    @property
    def about(self) -> str:
        """One sentence."""
        return (self.act.__doc__ or "").strip().splitlines()[0].removesuffix(".")


def nothing(stage: Stage) -> None:
    """No fault at all: what the others are compared with."""
    while stage.goes_on():
        stage.a_moment()


def kill_servers(stage: Stage) -> None:
    """kill -9 of one of the two servers, at random, and now and then of both."""
    while stage.goes_on():
        stage.a_moment()
        _kill_a_server(stage)


def kill_workers(stage: Stage) -> None:
    """kill -9 of a site's worker, at random."""
    while stage.goes_on():
        stage.a_moment()
        stage.random.choice(stage.workers).kill()
        stage.note("site worker killed")


def kill_agents(stage: Stage) -> None:
    """kill -9 of an agent, at random."""
    while stage.goes_on():
        stage.a_moment()
        stage.random.choice(stage.agents).kill()
        stage.note("agent killed")


def kill_redis(stage: Stage) -> None:
    """kill -9 of Redis, at random."""
    while stage.goes_on():
        stage.a_moment()
        stage.valkey.kill()
        stage.note("Redis killed")
        stage.a_moment(0.2, 1.0)
        stage.valkey.start()


def kill_postgres(stage: Stage) -> None:
    """kill -9 of PostgreSQL, at random."""
    while stage.goes_on():
        stage.a_moment(2.0, 4.0)
        _kill_postgres(stage)


def kill_everything(stage: Stage) -> None:
    """kill -9 of anything at all, at random."""

    def one(of: Sequence[Program | Valkey]) -> None:
        victim = stage.random.choice(of)
        if victim.is_alive:
            victim.kill()
            stage.note("something killed")

    ways = [
        lambda: _kill_a_server(stage),
        lambda: _kill_postgres(stage),
        lambda: one(stage.workers),
        lambda: one(stage.agents),
        lambda: one([stage.valkey]),
    ]
    while stage.goes_on():
        stage.a_moment()
        stage.random.choice(ways)()
        stage.valkey.start()


def _kill_a_server(stage: Stage) -> None:
    # Only one that was there: how fast a server starts is the machine's business, and one that is
    # killed before it has begun shows nothing.
    ready = [server for server in stage.servers.values() if server.is_ready]
    if len(ready) == len(stage.servers) or (ready and stage.random.random() < BOTH):
        stage.random.choice(ready).kill()
        stage.note("server killed")


def _kill_postgres(stage: Stage) -> None:
    engine = stage.postgres[0]
    if engine.is_ready:
        engine.kill()
        stage.note("PostgreSQL killed")
        stage.a_moment(0.1, 0.5)
        engine.start()


TABLE = (
    Scenario("no-fault", nothing),
    Scenario("kill-servers", kill_servers),
    Scenario("kill-site-workers", kill_workers),
    Scenario("kill-agents", kill_agents),
    Scenario("kill-redis", kill_redis),
    Scenario("kill-postgres", kill_postgres),
    Scenario("kill-everything", kill_everything, telling=True),
)
