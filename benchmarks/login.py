"""Complete logins per second, and how long an approval takes to reach its handler.

    python benchmarks/login.py [--quick] [--logins N] [--at-once N]

Starts `lime-server dev` on loopback with its own engines, and logs in with agents and sites that
are as light as can be (raw sockets, `lime_pow`, `lime_jwt`), so that the server is what is
measured. A complete login is: create, challenge, solve, approve, event, verify, acknowledge. Beside
it stands a bare RS256 signature of this machine: no server that signs passports can do with less.
Figures are for comparing; nothing is asserted.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

import lime_jwt
import lime_pow

# The helper that starts servers belongs to the tests; this file is run by its path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.server import DevServer

LOGINS = "/modules/agent-login/requests"
EVENTS = "/modules/agent-login/events"

SETTINGS = {
    "LIME_RATE_PER_TOKEN": "off",
    "LIME_RATE_PER_ADDRESS": "off",
    "LIME_RATE_PER_REQUEST": "off",
    "LIME_LOG_LEVEL": "warning",
}


_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Lane(asyncio.Protocol):
    """One keep-alive connection that speaks just enough HTTP/1.1, and costs as little as can be:
    it shares the machine with what it measures."""

    def __init__(self, api_base: str) -> None:
        self._url = urlsplit(api_base)
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._frames: asyncio.Queue[bytes] | None = None

    async def call(self, method: str, path: str, credential: str = "", body: object = None) -> Any:
        """The `data` of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        await self._send(method, path, credential, body)
        whole = await self._answer
        head, _, text = whole.partition(b"\r\n\r\n")
        if head[9:10] != b"2":
            raise RuntimeError(f"{method} {path}: {head[9:12].decode()} {text.decode()}")
        return json.loads(text)["data"]

    async def frames(self, path: str, credential: str) -> AsyncIterator[dict[str, Any]]:
        """The objects on an event stream."""
        self._frames = asyncio.Queue()
        await self._send("GET", path, credential, None)
        while block := await self._frames.get():
            yield json.loads(block.rpartition(b"data: ")[2])

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    async def _send(self, method: str, path: str, credential: str, body: object) -> None:
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_connection(
                lambda: self, self._url.hostname, self._url.port
            )
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {self._url.path}{path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n{credential}"
        )
        if content:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self._transport.write(head.encode() + b"\r\n" + content)

    def data_received(self, data: bytes) -> None:
        """Give an answer that is complete to whoever waits, or the frames of a stream."""
        self._buffer += data
        if self._frames is not None:
            self._read_chunks(self._frames)
            return
        end = self._buffer.find(b"\r\n\r\n")
        length = _LENGTH.search(self._buffer, 0, end) if end >= 0 else None
        if length and self._answer and len(self._buffer) >= end + 4 + int(length[1]):
            whole, self._buffer = self._buffer, b""
            self._answer.set_result(whole)

    def _read_chunks(self, frames: "asyncio.Queue[bytes]") -> None:
        # A server writes one frame in one chunk; what precedes the first is the head.
        *blocks, self._buffer = self._buffer.split(b"\n\n")
        for block in blocks:
            frames.put_nowait(block)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for what will not come."""
        if self._frames is not None:
            self._frames.put_nowait(b"")
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))


@dataclass
class Party:
    """One agent and one site, who log in to each other again and again."""

    api_base: str
    agent: str
    site: str
    keys: lime_jwt.JwkSet
    approved: dict[str, float] = field(default_factory=dict)
    """When the approval of each login was sent, by the clock of this process."""
    handled: dict[str, float] = field(default_factory=dict)
    """When the handler had the proven passport."""
    events: dict[str, str] = field(default_factory=dict)
    """Which login each event is about."""
    acknowledged: set[str] = field(default_factory=set)
    """Logins of which the server knows that they are handled."""
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def log_in(self, lane: Lane) -> str:
        """Steps 1 to 4; the request's id."""
        request = (await lane.call("POST", LOGINS, self.site, {}))["login_request_id"]
        puzzle = await lane.call("GET", f"/auth/requests/{request}")
        nonce = _solved(puzzle["pow_challenge"], puzzle["pow_difficulty"])
        self.approved[request] = time.perf_counter()
        await lane.call("POST", f"{LOGINS}/{request}/approve", self.agent, {"pow_nonce": nonce})
        return str(request)

    async def listen(self) -> None:
        """Step 5, for ever."""
        lane, acknowledging = Lane(self.api_base), asyncio.Queue[str]()
        task = asyncio.create_task(self._acknowledge(acknowledging))
        try:
            async for frame in lane.frames(f"{EVENTS}?consumer=benchmark", self.site):
                if frame["type"] == "approved":
                    acknowledging.put_nowait(self._handle(frame))
        finally:
            task.cancel()
            lane.close()

    def _handle(self, frame: dict[str, Any]) -> str:
        expect = lime_jwt.Expectation.login(request_id=frame["login_request_id"])
        claims = lime_jwt.verify(
            frame["agent_passport_jwt"], keys=self.keys, expect=expect, now=int(time.time())
        )
        self.handled.setdefault(frame["login_request_id"], time.perf_counter())
        self.events[claims["jti"]] = frame["login_request_id"]
        return str(claims["jti"])

    async def _acknowledge(self, ids: "asyncio.Queue[str]") -> None:
        lane = Lane(self.api_base)
        try:
            while True:
                batch = [await ids.get()]
                while not ids.empty():
                    batch.append(ids.get_nowait())
                await lane.call("POST", f"{EVENTS}/ack", self.site, {"ids": batch})
                self.acknowledged.update(self.events[event] for event in batch)
                self.progress.set()
        finally:
            lane.close()

    def latencies(self) -> list[float]:
        """Milliseconds from sending each approval to having its proven passport."""
        return [(self.handled[each] - sent) * 1000 for each, sent in self.approved.items()]


def _solved(challenge: str, difficulty: int) -> str:
    solver = lime_pow.Solver(challenge, difficulty)
    nonce: str | None = None
    while nonce is None:
        nonce = solver.advance(1 << 20)
    return nonce


async def _many(party: Party, logins: int, at_once: int) -> float:
    """Log in `logins` times, `at_once` at a time; seconds until the last was acknowledged."""
    lanes = [Lane(party.api_base) for _ in range(at_once)]
    work: Iterator[int] = iter(range(logins))

    async def one_after_the_other(lane: Lane) -> None:
        for _ in work:
            await party.log_in(lane)

    begin = time.perf_counter()
    await asyncio.gather(*(one_after_the_other(lane) for lane in lanes))
    while not party.approved.keys() <= party.acknowledged:
        party.progress.clear()
        await party.progress.wait()
    took = time.perf_counter() - begin
    for lane in lanes:
        lane.close()
    return took


def _cpu_seconds(pid: int) -> float:
    """Processor time of one process so far; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> Iterator[int]:
    """Every process below `pid`."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from _children(child)


def _signature_seconds(seconds: float) -> float:
    """What one bare RS256 signature with a key of 2048 bits takes here."""
    key, claims = lime_jwt.SigningKey.generate(), {"iss": "http://127.0.0.1", "sub": "x" * 36}
    count, begin = 0, time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        key.sign(claims, typ=lime_jwt.TYP_LOGIN)
        count += 1
    return (now - begin) / count


async def _measure(server: DevServer, jwks: bytes, options: argparse.Namespace) -> dict[str, float]:
    ready = server.ready
    agent = f"X-Agent-Token: {ready['agent_token']}\r\n"
    site = f"X-Site-Token: {ready['site_token']}\r\n"
    keys = lime_jwt.JwkSet.parse(jwks, issuer=server.public_url)

    async def run(logins: int, at_once: int) -> tuple[float, Party]:
        party = Party(server.api_base, agent, site, keys)
        listening = asyncio.create_task(party.listen())
        # When its event arrives, the stream is open; the warm-up is not counted.
        await _many(party, 2, 1)
        party.approved.clear()
        took = await _many(party, logins, at_once)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        return took, party

    _, alone = await run(min(options.logins // 10, 300), 1)

    def spent() -> dict[str, float]:
        return {
            "server": _cpu_seconds(ready["pid"]),
            "engines": sum(_cpu_seconds(pid) for pid in _children(ready["pid"])),
            "this program": time.process_time(),
        }

    before = spent()
    took, busy = await run(options.logins, options.at_once)
    cpu = {name: seconds - before[name] for name, seconds in spent().items()}
    quiet, loaded = (sorted(each.latencies()) for each in (alone, busy))
    return {
        "logins per second": options.logins / took,
        **{f"{name}, CPU per login, ms": 1000 * cpu[name] / options.logins for name in cpu},
        "approve to handler, alone: median, ms": statistics.median(quiet),
        "approve to handler, alone: p99, ms": quiet[int(len(quiet) * 0.99)],
        "approve to handler, loaded: median, ms": statistics.median(loaded),
        "approve to handler, loaded: p99, ms": loaded[int(len(loaded) * 0.99)],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few logins: shows that it runs")
    parser.add_argument("--logins", type=int, default=5000, metavar="N")
    parser.add_argument("--at-once", type=int, default=32, metavar="N")
    options = parser.parse_args()
    if options.quick:
        options.logins = min(options.logins, 200)
    signature = _signature_seconds(0.1 if options.quick else 1.0)
    with (
        tempfile.TemporaryDirectory(prefix="lime-bench-") as folder,
        DevServer(Path(folder), environment=SETTINGS) as server,
    ):
        jwks = httpx.get(f"{server.api_base}/core/.well-known/jwks.json").content
        found = uvloop.run(_measure(server, jwks, options))
    table = Table(title=f"{options.logins} complete logins, {options.at_once} at once")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("in bare signatures", justify="right")
    in_signatures = {
        "logins per second": found["logins per second"] * signature,
        "server, CPU per login, ms": found["server, CPU per login, ms"] / 1000 / signature,
    }
    for name, value in found.items():
        ratio = f"{in_signatures[name]:.2f}" if name in in_signatures else ""
        table.add_row(name, f"{value:,.2f}", ratio)
    table.add_row("one bare RS256 signature, ms", f"{signature * 1000:.3f}", "1")
    Console().print(table)


if __name__ == "__main__":
    main()
