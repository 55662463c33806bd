"""Processes that are killed, or stopped in the middle of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.engines import Valkey
from tests.chaos.stage import Stage
from tests.chaos.workers import Program

BOTH = 0.2
"""How often a server is killed although the other one is not there."""


def nothing(stage: Stage) -> None:
    """No fault at all: what the others are compared with."""
    while stage.goes_on():
        stage.a_moment()


def kill_servers(stage: Stage) -> None:
    """`kill -9` of one of the two servers every second or two, now and then of both."""
    while stage.goes_on():
        stage.a_moment()
        _kill_a_server(stage)


def kill_workers(stage: Stage) -> None:
    """`kill -9` of one of the sites' workers every second or two."""
    while stage.goes_on():
        stage.a_moment()
        _kill_one(stage, stage.workers)


def kill_agents(stage: Stage) -> None:
    """`kill -9` of an agent every second or two."""
    while stage.goes_on():
        stage.a_moment()
        _kill_one(stage, stage.agents)


def kill_redis(stage: Stage) -> None:
    """`kill -9` of Redis every second or two."""
    while stage.goes_on():
        stage.a_moment()
        _kill_one(stage, [stage.valkey])
        stage.a_moment(0.2, 1.0)
        stage.valkey.start()


def kill_postgres(stage: Stage) -> None:
    """`kill -9` of PostgreSQL every few seconds."""
    while stage.goes_on():
        stage.a_moment(2.0, 4.0)
        _kill_postgres(stage)


def kill_everything(stage: Stage) -> None:
    """`kill -9` of anything, engines included, every second or two."""
    ways = [
        lambda: _kill_a_server(stage),
        lambda: _kill_postgres(stage),
        lambda: _kill_one(stage, stage.workers),
        lambda: _kill_one(stage, stage.agents),
        lambda: _kill_one(stage, [stage.valkey]),
    ]
    while stage.goes_on():
        stage.a_moment()
        stage.random.choice(ways)()
        stage.valkey.start()


def freeze_servers(stage: Stage) -> None:
    """A server stands still, for less and for more than a lease lasts, and then goes on."""
    while stage.goes_on():
        stage.a_moment()
        _freeze(stage, stage.random.choice(list(stage.servers.values())), "server frozen")


def freeze_workers(stage: Stage) -> None:
    """A site's worker stands still, for less and for more than a lease lasts, and then goes on."""
    while stage.goes_on():
        stage.a_moment()
        _freeze(stage, stage.random.choice(stage.workers), "site worker frozen")


def _freeze(stage: Stage, process: Program, fault: str) -> None:
    if process.is_alive:
        process.freeze()
        stage.note(fault)
        stage.a_moment(0.5, 12.0)
        process.thaw()


def roll(stage: Stage) -> None:
    """One server after the other is stopped and started again, with streams open: no call fails."""
    while stage.goes_on():
        for name, server in stage.servers.items():
            stage.a_moment()
            # As every balancer does: whoever is not ready gets no new connections.
            stage.balance(*(other for other in stage.servers if other != name))
            server.stop()
            stage.note("server stopped")
            stage.until_ready(server)
            stage.balance(*stage.servers)


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


def _kill_one(stage: Stage, of: Sequence[Program | Valkey]) -> None:
    victim = stage.random.choice(of)
    if victim.is_alive:
        victim.kill()
        stage.note("process killed")
