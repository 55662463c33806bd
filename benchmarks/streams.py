"""What an idle event stream costs, and what logins feel of ten thousand of them.

    python benchmarks/streams.py [--quick] [--streams N] [--rate N] [--seconds N] [--json FILE]

One worker, as `lime-server dev` runs it, and as many connected sites as streams, each with a token
of its own; beside it `plain.py` with as many. One program with raw protocols holds all of them.
Measured is the memory (resident set) of each server before and after, once every stream had a
keepalive; then, with all of them connected, how long the approvals of so many logins per second
take to reach their handler. Linux only: it reads /proc.

Of every ratio more is better. Figures are for comparing; nothing is asserted.
"""

import argparse
import asyncio
import hashlib
import json
import resource
import secrets
import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names. The helper that starts servers belongs to the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import driver
from lime_server.core.ids import new_id
from lime_server.core.tokens import Token, TokenKind
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.master_key import from_file
from tests.support.server import DevServer

OURS, PLAIN = "lime-server", "plain FastAPI"
GOAL = 10_000
MOST_MB = 600.0
"""Megabytes that a worker with `GOAL` idle streams may have."""
CONNECTING = 200
"""Connections that are being made at once: fewer than a server lets wait to be accepted."""
DEADLINE = 120.0
"""Seconds in which every stream must have had a keepalive: generous, for a loaded machine."""


@dataclass(frozen=True)
class Found:
    """What one server did."""

    before_mb: float
    after_mb: float
    streams: int
    latencies: list[float]
    """Milliseconds from approval to handler, sorted."""

    @property
    def kb_each(self) -> float:
        """Kilobytes of each stream."""
        return (self.after_mb - self.before_mb) * 1024 / self.streams

    @property
    def mb_at_goal(self) -> float:
        """Megabytes of a worker with `GOAL` streams: as measured, or as this many foretell."""
        return self.before_mb + self.kb_each * GOAL / 1024

    @property
    def p99(self) -> float:
        """Milliseconds from approval to handler that one in a hundred takes longer than."""
        return self.latencies[int(len(self.latencies) * 0.99)]


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_files(options.streams + 1000)
    settings = driver.SETTINGS | {
        "LIME_MAX_CONNECTIONS": str(options.streams + 1000),
        "LIME_KEEPALIVE_INTERVAL": f"{options.keepalive:g}",
        # None ends while it is being measured.
        "LIME_STREAM_LIFETIME": "3600",
    }
    with (
        driver.dev_server(settings) as server,
        driver.plain_server(server, keepalive=options.keepalive) as plain,
    ):
        ours_sites = asyncio.run(settled(server, options.streams))
        plain_sites = asyncio.run(settled_plainly(server, options.streams))
        ours = driver.Who.told(server.ready)
        found = {
            OURS: uvloop.run(measured(ours, ours_sites, options)),
            PLAIN: uvloop.run(measured(plain, plain_sites, options)),
        }
    Console().print(table(found, options))
    if options.json:
        text = json.dumps(figures(found), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a few streams: shows that it runs")
    parser.add_argument("--streams", type=int, default=GOAL, metavar="N")
    parser.add_argument("--rate", type=float, default=100, metavar="N", help="logins per second")
    parser.add_argument("--seconds", type=float, default=20, metavar="N", help="of logins")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    parser.set_defaults(keepalive=15.0)
    options = parser.parse_args()
    if options.quick:
        options.streams = min(options.streams, 200)
        options.seconds, options.keepalive = min(options.seconds, 2), 1.0
    return options


def allow_files(wanted: int) -> None:
    """Let this process, and the servers that it starts, have so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"this needs {wanted} open files, and the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def settled(server: DevServer, count: int) -> list[str]:
    """So many sites in the server's database; the header line of each one's token."""
    hasher = Secrets.derived_from(from_file(server.data / "master.key")).tokens
    now, owner = datetime.now(UTC), server.ready["owner_id"]
    tokens = [Token.new(TokenKind.SITE).text for _ in range(count)]
    ids = [new_id(now) for _ in tokens]
    connection = await asyncpg.connect(server.ready["database_url"])
    try:
        await connection.copy_records_to_table(
            "sites",
            schema_name="foundation",
            columns=("site_id", "owner_id", "display_name", "created_at"),
            records=[(site, owner, "Idle", now) for site in ids],
        )
        await connection.copy_records_to_table(
            "site_tokens",
            schema_name="foundation",
            columns=("token_hash", "site_id", "created_at"),
            records=[
                (hasher.hash(token), site, now) for token, site in zip(tokens, ids, strict=True)
            ],
        )
        await connection.execute("ANALYZE foundation.sites, foundation.site_tokens")
    finally:
        await connection.close()
    return [f"X-Site-Token: {token}\r\n" for token in tokens]


async def settled_plainly(server: DevServer, count: int) -> list[str]:
    """The same in the plain server's database."""
    tokens = [Token.new(TokenKind.SITE).text for _ in range(count)]
    connection = await asyncpg.connect(driver.plain_database(server))
    try:
        await connection.copy_records_to_table(
            "sites",
            columns=("site_id", "display_name", "token_hash"),
            records=[
                (uuid4(), "Idle", hashlib.sha256(token.encode()).digest()) for token in tokens
            ],
        )
        await connection.execute("ANALYZE sites")
    finally:
        await connection.close()
    return [f"X-Site-Token: {token}\r\n" for token in tokens]


class Idle(asyncio.Protocol):
    """One site that listens and hears nothing but keepalives."""

    def __init__(self, request: bytes, alive: asyncio.Semaphore) -> None:
        """`alive` is released once, at the first keepalive."""
        self._request = request
        self._alive = alive
        self._head = b""
        self.keepalives = 0
        self.lost = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(  # type: ignore[override]  # a protocol of TCP gets nothing else
        self, transport: asyncio.Transport
    ) -> None:
        """Ask for the stream."""
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the head of the answer, then count."""
        if not self.opened.done():
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return
            if self._head[9:12] != b"200":
                self.opened.set_exception(RuntimeError(self._head.decode()))
                return
            self.opened.set_result(None)
            data = self._head
            self._head = b""
        found = data.count(b'"keepalive"')
        if found and not self.keepalives:
            self._alive.release()
        self.keepalives += found

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it: an idle stream must stay."""
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed"))


async def measured(who: driver.Who, sites: list[str], options: argparse.Namespace) -> Found:
    """Open the streams of all `sites`, and log in meanwhile."""
    async with driver.listening(who) as party:
        # What the server needs once, whatever its streams: caches, connections, statements.
        await driver.many(party, 200, 16)
        party.approved.clear()
        before = resident_mb(who.pid)
        alive = asyncio.Semaphore(0)
        idle = await opened(who.api_base, sites, alive)
        async with asyncio.timeout(DEADLINE):
            for _ in idle:
                await alive.acquire()
        after = resident_mb(who.pid)
        await driver.paced(party, options.rate, options.seconds)
        lost = sum(each.lost for each in idle)
        if lost:
            raise RuntimeError(f"{lost} idle streams were lost")
        for each in idle:
            each.transport.close()
    return Found(before, after, len(sites), sorted(party.latencies()))


async def opened(api_base: str, sites: list[str], alive: asyncio.Semaphore) -> list[Idle]:
    """A stream for each site, `CONNECTING` at a time."""
    url, loop = urlsplit(api_base), asyncio.get_running_loop()
    gate = asyncio.Semaphore(CONNECTING)

    async def one(credential: str) -> Idle:
        # Half of them are workers that share, half are streams that see everything.
        consumer = f"?consumer=w{secrets.randbelow(4)}" if secrets.randbelow(2) else ""
        head = f"GET {url.path}{driver.EVENTS}{consumer} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        request = f"{head}{credential}\r\n".encode()
        async with gate:
            _, protocol = await loop.create_connection(
                lambda: Idle(request, alive), str(url.hostname), url.port or 80
            )
            await protocol.opened
        return protocol

    return await asyncio.gather(*map(one, sites))


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process occupies."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("a process without memory")


def table(found: dict[str, Found], options: argparse.Namespace) -> Table:
    """Both servers side by side."""
    shown = Table(title=f"{options.streams} idle event streams, {options.rate:g} logins per second")
    shown.add_column("what")
    for heading in (OURS, PLAIN, "times as good"):
        shown.add_column(heading, justify="right")
    ours, plain = found[OURS], found[PLAIN]
    rows = (
        ("server without them, MB", ours.before_mb, plain.before_mb),
        ("server with them, MB", ours.after_mb, plain.after_mb),
        ("each stream, KB", ours.kb_each, plain.kb_each),
        (
            "approve to handler: median, ms",
            statistics.median(ours.latencies),
            statistics.median(plain.latencies),
        ),
        ("approve to handler: p99, ms", ours.p99, plain.p99),
    )
    for name, own, theirs in rows:
        shown.add_row(name, f"{own:,.2f}", f"{theirs:,.2f}", f"{theirs / own:.2f}")
    return shown


def figures(found: dict[str, Found]) -> dict[str, Any]:
    """What the table says, for programs."""
    ours, plain = found[OURS], found[PLAIN]

    def figure(value: float, unit: str, peer: float) -> dict[str, Any]:
        return {
            "value": round(value, 2),
            "unit": unit,
            "ratio": round(peer / value, 3),
            "peer": f"{peer:,.1f} {unit}",
        }

    return {
        "streams.mb_for_10000": figure(ours.mb_at_goal, "MB", plain.mb_at_goal),
        "streams.kb_each": figure(ours.kb_each, "KB", plain.kb_each),
        "streams.p99_ms": figure(ours.p99, "ms", plain.p99),
    }


if __name__ == "__main__":
    main()
