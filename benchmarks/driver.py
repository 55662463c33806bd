"""What the benchmarks of the login share: agents and sites that are as light as can be, the servers
that they talk to, and what those spend.

Agents and sites are raw sockets, `lime_pow` and `lime_jwt`, so that the server is what is measured.
A complete login is: create, challenge, solve, approve, event, verify, acknowledge.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

import lime_jwt
import lime_pow
from lime_server.core.ids import new_id
from lime_server.core.tokens import Token, TokenKind
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.master_key import from_file
from tests.support.server import DevServer

LOGINS = "/modules/agent-login/requests"
EVENTS = "/modules/agent-login/events"

SETTINGS = {
    "LIME_RATE_PER_TOKEN": "off",
    "LIME_RATE_PER_ADDRESS": "off",
    "LIME_RATE_PER_REQUEST": "off",
    "LIME_LOG_LEVEL": "warning",
}
START_DEADLINE = 60.0
"""Seconds in which the plain server must be there: generous, for a loaded machine."""
_PLAIN = "plain"


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
                lambda: self, str(self._url.hostname), self._url.port or 80
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
        """Let nobody wait for what will not come, and the next call connect anew."""
        self._transport = None
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

    async def settled(self) -> None:
        """Return once every login that was approved is acknowledged."""
        while not self.approved.keys() <= self.acknowledged:
            self.progress.clear()
            await self.progress.wait()

    def latencies(self) -> list[float]:
        """Milliseconds from sending each approval to having its proven passport."""
        return [(self.handled[each] - sent) * 1000 for each, sent in self.approved.items()]


async def paced(party: Party, rate: float, seconds: float) -> None:
    """Begin `rate` logins per second, however long each takes; until the last was acknowledged."""
    loop, idle = asyncio.get_running_loop(), list[Lane]()
    begin = loop.time()

    async def once() -> None:
        lane = idle.pop() if idle else Lane(party.api_base)
        await party.log_in(lane)
        idle.append(lane)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(begin + number / rate - loop.time())
            tasks.create_task(once())
    await party.settled()
    for lane in idle:
        lane.close()


def _solved(challenge: str, difficulty: int) -> str:
    solver = lime_pow.Solver(challenge, difficulty)
    nonce: str | None = None
    while nonce is None:
        nonce = solver.advance(1 << 20)
    return nonce


async def many(party: Party, logins: int, at_once: int) -> float:
    """Log in `logins` times, `at_once` at a time; seconds until the last was acknowledged."""
    lanes = [Lane(party.api_base) for _ in range(at_once)]
    work: Iterator[int] = iter(range(logins))

    async def one_after_the_other(lane: Lane) -> None:
        for _ in work:
            await party.log_in(lane)

    begin = time.perf_counter()
    await asyncio.gather(*(one_after_the_other(lane) for lane in lanes))
    await party.settled()
    took = time.perf_counter() - begin
    for lane in lanes:
        lane.close()
    return took


@dataclass(frozen=True)
class Who:
    """A running server, and an agent and a site that it knows."""

    api_base: str
    pid: int
    agent: str
    """The agent's header line."""
    site: str
    keys: lime_jwt.JwkSet

    @classmethod
    def told(cls, ready: Mapping[str, Any]) -> "Who":
        """As a server's ready file says."""
        jwks = httpx.get(f"{ready['api_base']}/core/.well-known/jwks.json", trust_env=False)
        return cls(
            api_base=ready["api_base"],
            pid=ready["pid"],
            agent=f"X-Agent-Token: {ready['agent_token']}\r\n",
            site=f"X-Site-Token: {ready['site_token']}\r\n",
            keys=lime_jwt.JwkSet.parse(
                jwks.raise_for_status().content, issuer=ready["api_base"].removesuffix("/api/v1")
            ),
        )

    def party(self) -> Party:
        """Both of them, without a login so far."""
        return Party(self.api_base, self.agent, self.site, self.keys)


@asynccontextmanager
async def listening(who: Who) -> AsyncIterator[Party]:
    """A party whose stream is open. The logins that showed this are not counted."""
    party = who.party()
    stream = asyncio.create_task(party.listen())
    try:
        await many(party, 2, 1)
        party.approved.clear()
        yield party
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)


async def measured(who: Who, logins: int, at_once: int) -> tuple[float, Party]:
    """Seconds that so many logins took, and who made them."""
    async with listening(who) as party:
        return await many(party, logins, at_once), party


@contextmanager
def dev_server(settings: Mapping[str, str] = SETTINGS) -> Iterator[DevServer]:
    """`lime-server dev` with engines of its own, on nothing but loopback and a folder that goes."""
    with (
        tempfile.TemporaryDirectory(prefix="lime-bench-") as folder,
        DevServer(Path(folder), environment=settings) as server,
    ):
        yield server


@contextmanager
def plain_server(server: DevServer, *, keepalive: float = 15.0) -> Iterator[Who]:
    """`plain.py` on the same PostgreSQL, in a database of its own. `keepalive` is in seconds."""
    asyncio.run(made_database(str(server.ready["database_url"]), _PLAIN))
    with tempfile.TemporaryDirectory(prefix="lime-bench-") as folder:
        ready_file = Path(folder) / "ready.json"
        setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
        process = subprocess.Popen(
            [
                *([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []),
                *(sys.executable, str(Path(__file__).with_name("plain.py"))),
                *("--database", plain_database(server), "--ready-file", str(ready_file)),
                *("--keepalive", str(keepalive)),
            ]
        )
        try:
            deadline = time.monotonic() + START_DEADLINE
            while not ready_file.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the plain server did not start")
                time.sleep(0.02)
            yield Who.told(json.loads(ready_file.read_text()))
        finally:
            process.terminate()
            process.wait()


async def made_database(url: str, name: str) -> None:
    """Make an empty database beside the one at `url`."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


def other_database(url: str, name: str) -> str:
    """Another database of the PostgreSQL at `url`."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def plain_database(server: DevServer) -> str:
    """Where the plain server keeps what it keeps."""
    return other_database(str(server.ready["database_url"]), _PLAIN)


async def settled(database: str, key_file: Path) -> dict[str, str]:
    """An owner, an agent and a site in an empty database; their ids and tokens."""
    hasher = Secrets.derived_from(from_file(key_file)).tokens
    now = datetime.now(UTC)
    owner, agent, site = (new_id(now) for _ in range(3))
    agent_token, site_token = Token.new(TokenKind.AGENT).text, Token.new(TokenKind.SITE).text
    connection = await asyncpg.connect(database)
    try:
        for statement, *arguments in (
            ("foundation.owners (owner_id, email, created_at)", owner, "a@lime.localhost", now),
            ("core.agents (agent_id, owner_id, display_name, created_at)", agent, owner, "A", now),
            ("core.agent_tokens (agent_id, token_hash, created_at)",
             agent, hasher.hash(agent_token), now),
            ("foundation.sites (site_id, owner_id, display_name, created_at)",
             site, owner, "S", now),
            ("foundation.site_tokens (site_id, token_hash, created_at)",
             site, hasher.hash(site_token), now),
        ):  # fmt: skip
            values = ", ".join(f"${number + 1}" for number in range(len(arguments)))
            await connection.execute(f"INSERT INTO {statement} VALUES ({values})", *arguments)
    finally:
        await connection.close()
    return {
        "agent_id": agent,
        "agent_token": agent_token,
        "site_id": site,
        "site_token": site_token,
    }


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Processor time of one process so far; 0 where there is no /proc, or no such process.

    `with_ended` adds that of the processes that it started and that are no more.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    ticks = fields[11:15] if with_ended else fields[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> Iterator[int]:
    """Every process below `pid`."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            yield child
            yield from children(child)


def engines_cpu(server: DevServer) -> float:
    """Processor time of everything that a development server runs."""
    return sum(cpu_seconds(pid, with_ended=True) for pid in children(server.ready["pid"]))
