"""Many at once, and those who take and do not give back."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.stage import Stage
from tests.chaos.workers import Worker
from tests.support.clerk import Clerk
from tests.support.wire import Site

SITES = 1000
GATHERED = 240.0
"""Seconds in which they all must be there: each connection costs a busy machine milliseconds."""

FEW_DESCRIPTORS = 256
CALLERS = 300
"""Connections that say nothing, more than there are descriptors."""

STUCK_READERS = 16
MOST_GROWTH = 128 << 20
"""Bytes that a server may grow by because of readers that do not read. Each of them costs what the
kernel and the server buffer of a stream before they stop: some hundred kilobytes."""


def reconnect(stage: Stage) -> None:
    """A thousand more sites lose their streams at the same moment, again and again."""
    crowd = _crowd(stage)
    log = stage.folder / "crowd.count"
    try:
        stage.until(lambda: _count(log) == SITES, within=GATHERED, what="the crowd is connected")
        stage.ready()
        while stage.goes_on():
            stage.a_moment()
            stage.links["sites"].cut()
            stage.note("everybody cut off")
            stage.links["sites"].mend()
            stage.let_pass(1.0)
            stage.until(lambda: _count(log) == SITES, within=GATHERED, what="the crowd is back")
    finally:
        crowd.kill()


def few_descriptors(stage: Stage) -> None:
    """`ulimit -n 256` for both servers, and more callers than that, who say nothing."""
    for server in stage.servers.values():
        server.descriptors = FEW_DESCRIPTORS
        server.kill()
    stage.until_ready(*stage.servers.values())
    stage.ready()
    while stage.goes_on():
        server = stage.random.choice(list(stage.servers.values()))
        with _callers(server.port, CALLERS):
            stage.note("out of descriptors")
            stage.a_moment(1.0, 4.0)
        stage.a_moment()


def stop_reading(stage: Stage) -> None:
    """Streams of a busy site are opened and never read: others notice nothing, and memory stays."""
    before = {name: server.resident_bytes() for name, server in stage.servers.items()}
    site = stage.sites[0]
    ports = [server.port for server in stage.servers.values()]
    with contextlib.ExitStack() as stack:
        for number in range(STUCK_READERS):
            stack.enter_context(_stuck_reader(ports[number % len(ports)], site))
            stage.note("reader stuck")
        while stage.goes_on():
            stage.a_moment()
        for name, server in stage.servers.items():
            growth = server.resident_bytes() - before[name]
            assert growth < MOST_GROWTH, f"{name} grew by {growth >> 20} MiB"


def _crowd(stage: Stage) -> Worker:
    """A thousand sites in one process, each with a client of its own."""
    tokens: list[str] = []

    async def make(desk: Clerk) -> None:
        owner = await desk.owners.create(f"{secrets.token_hex(8)}@lime.example")
        for number in range(SITES):
            _, token = await desk.sites.register(owner.owner_id, f"Crowd {number}", domain=None)
            tokens.append(token.text)

    stage.with_clerk(make)
    listed = stage.folder / "crowd.tokens"
    listed.write_text("\n".join(tokens))
    crowd = Worker(
        "crowd",
        "crowd.py",
        [str(listed), str(stage.folder / "crowd.count")],
        folder=stage.folder,
        ledgers=stage.ledgers,
        environment={"LIME_API_BASE": f"{stage.url}/api/v1"},
    )
    crowd.start()
    return crowd


def _count(log: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(log.read_text())
    return 0


@contextlib.contextmanager
def _callers(port: int, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(2.0)
            # Once the server's queue is full, nobody answers: they wait there.
            with contextlib.suppress(OSError):
                caller.connect(("127.0.0.1", port))
        yield


@contextlib.contextmanager
def _stuck_reader(port: int, site: Site) -> Iterator[None]:
    """A stream that sees every event of the site, over a connection that takes no bytes."""
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        reader.connect(("127.0.0.1", port))
        reader.sendall(
            b"GET /api/v1/modules/agent-login/events HTTP/1.1\r\nHost: lime\r\n"
            b"X-Site-Token: " + site.token.encode() + b"\r\n\r\n"
        )
        yield
