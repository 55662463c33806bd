"""Everything that one run needs, put together: engines, links, two servers, two workers for each site, agents, and a steady stream of logins."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import resource
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import ledger
from tests.chaos.engines import DATABASE, Postgres, Valkey, opened_postgres, opened_valkey
from tests.chaos.links import Link, Network, network
from tests.chaos.programs.lines import BARRIER, ENDED
from tests.chaos.workers import Program, Server, Worker
from tests.support.clerk import Clerk, clerk
from tests.support.commands import new_master_key, run_command
from tests.support.wire import Agent, Site

LOOK = 0.05
"""Seconds between two looks at who is dead."""
START_PATIENCE = 120.0
"""Seconds in which everything must run for the first time."""
CALL_PATIENCE = 90.0
"""Seconds in which an agent's calls end once there are no new ones: an SDK's call takes 30 at most."""
RECOVERY = 180.0
"""Seconds in which somebody new is let in, once nothing is broken any more."""
DELIVERY_WINDOW = 300.0
"""Seconds for which LIME promises to try (protocol section 10)."""
CALL = 35.0
"""Seconds after which a login that was begun has ended, whatever became of it: an SDK's call takes
30 at most."""
AT_ONCE = 3.0
"""Seconds' worth of logins that are under way at once. Were there more, a machine that is busy with
other things would be tried with overload, which is another subject."""
DUEL = 5
"""Every so many logins, two agents are sent to the same request."""

TEST_BUILD = Path(__file__).parents[1] / "test_build"
"""What makes a server a test build."""

SETTINGS = {
    # The rig is not a flood, though it looks like one.
    "LIME_RATE_PER_TOKEN": "off",
    "LIME_RATE_PER_ADDRESS": "off",
    "LIME_RATE_PER_REQUEST": "off",
    # What is tested is not how fast puzzles are solved.
    "LIME_DIFFICULTY": "8",
    "LIME_DATABASE_POOL_SIZE": "5",
    "LIME_ACCESS_LOG": "false",
}


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who is on the stage."""

    servers: Sequence[str] = ("left", "right")
    sites: int = 2
    workers: int = 2
    """Processes of each site."""
    agents: int = 3
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of every server, beside `SETTINGS`."""
    own_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of one server, by its name."""
    standby: bool = False
    """Whether there is a second PostgreSQL that follows the first."""
    redis: bool = True
    """Whether Valkey runs at all."""
    unanswered: float = 0.0
    """Share of login requests that no agent hears of."""
    data: Callable[[Path], contextlib.AbstractContextManager[Path]] | None = None
    """Where PostgreSQL keeps its data, if not on the disk."""


@dataclass(frozen=True)
class Effort:
    """How long and how hard."""

    seconds: float
    """Of faults."""
    rate: float
    """Logins asked for per second."""
    hits: int
    """How often a failpoint is hit."""
    seed: int


class Stage:
    """One run's processes and links. Its methods are called from the main thread."""

    def __init__(self, folder: Path, cast: Cast, effort: Effort) -> None:
        """Use `opened`."""
        self.folder = folder
        self.cast = cast
        self.effort = effort
        self.hits = effort.hits
        self.random = random.Random(effort.seed)
        self.faults: Counter[str] = Counter()
        """What was done to whom, for the report."""
        self.excused: set[str] = set()
        """Requests for which the documents promise nothing."""
        self.ledgers = folder / "ledgers"
        self.ledgers.mkdir()
        self.own_ledger = ledger.Ledger(self.ledgers / "rig.jsonl")
        self._reader = ledger.Reader(self.ledgers)
        self.master_key = new_master_key()
        self.postgres: list[Postgres] = []
        self.servers: dict[str, Server] = {}
        self.sites: list[Site] = []
        self.workers: list[Worker] = []
        self.agents: list[Worker] = []
        self.links: dict[str, Link] = {}
        self.valkey: Valkey
        self.network: Network
        self.load: Load
        self._barriers = itertools.count()
        self.url = ""
        self.agents_url = ""
        self.ends_at = 0.0

    # What scenarios use

    @property
    def programs(self) -> list[Program]:
        """Every process that is started again when it is dead."""
        return [*self.servers.values(), *self.workers, *self.agents]

    @property
    def primary(self) -> Postgres:
        """The PostgreSQL that takes writes."""
        return self.postgres[0]

    def ready(self) -> None:
        """What a scenario had to prepare is done: its time begins now."""
        self.ends_at = time.monotonic() + self.effort.seconds

    def goes_on(self) -> bool:
        """Whether there is time left for more faults."""
        return time.monotonic() < self.ends_at

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and start again whoever is dead and wanted."""
        end = time.monotonic() + seconds
        while True:
            for program in self.programs:
                program.supervise()
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(LOOK, left))

    def until(self, happened: Callable[[], object], *, within: float, what: str) -> None:
        """Let time pass until something happened; AssertionError if it did not."""
        end = time.monotonic() + within
        while not happened():
            self.let_pass(LOOK)
            assert time.monotonic() < end, f"{what}: still not so after {within:g} s"

    def until_ready(self, *servers: Server) -> None:
        """Let time pass until these servers are ready."""
        self.until(
            lambda: all(server.is_ready for server in servers),
            within=START_PATIENCE,
            what=f"ready: {', '.join(server.name for server in servers)}",
        )

    def note(self, fault: str) -> None:
        """Count a fault."""
        self.faults[fault] += 1

    def a_moment(self, least: float = 1.0, most: float = 2.0) -> None:
        """Let a random time pass."""
        self.let_pass(self.random.uniform(least, most))

    def command(self, *arguments: str, **settings: str) -> str:
        """Run a `lime-server` command on this database, past all links."""
        return run_command(
            *arguments, settings={**self.server_settings(), **settings}, folder=self.folder
        )

    def server_settings(self) -> dict[str, str]:
        """What every server is told, with the straight way to the engines."""
        return {
            **SETTINGS,
            "PYTHONPATH": str(TEST_BUILD),
            "LIME_PUBLIC_URL": self.url or "http://127.0.0.1:1",
            "LIME_MASTER_KEY": self.master_key,
            "LIME_DATABASE_URL": self.postgres[0].url(),
            **self.cast.settings,
        }

    def lines(self) -> list[ledger.Line]:
        """Everything that was written down in this run so far."""
        return self._reader.lines()

    def with_clerk(self, work: Callable[[Clerk], object]) -> None:
        """Let `work`, a coroutine function, make accounts."""

        async def opened() -> None:
            async with clerk(self.postgres[0].url(), bytes.fromhex(self.master_key)) as desk:
                await work(desk)  # type: ignore[misc]

        asyncio.run(opened())

    # Setting it up

    def raise_curtain(self, stack: contextlib.ExitStack) -> None:
        """Start everything, in order; `stack` ends it."""
        self.network = stack.enter_context(network())
        self._start_engines(stack)
        accounts = self._make_accounts()
        self._lay_links()
        stack.callback(self._end_programs)
        self._start_servers()
        self._start_workers(*accounts)
        stack.callback(lambda: self.load.end())

    def begin(self) -> None:
        """Begin a run: logins, and the time for faults."""
        self.faults.clear()
        self.excused.clear()
        self._reader.begin()
        self.load = Load(
            self.workers, self.agents, self.effort.rate, unanswered=self.cast.unanswered
        )
        self.load.start()
        self.ready()

    def _start_engines(self, stack: contextlib.ExitStack) -> None:
        place = self.folder / "postgres-one"
        if self.cast.data is not None:
            place = stack.enter_context(self.cast.data(self.folder))
        first = stack.enter_context(opened_postgres(place, "one"))
        first.start()
        self.valkey = stack.enter_context(opened_valkey(self.folder / "valkey"))
        if self.cast.redis:
            self.valkey.start()
            self.valkey.wait()
        first.wait()
        self.postgres.append(first)
        first.ask(f"CREATE DATABASE {DATABASE}")
        self.command("migrate")
        if self.cast.standby:
            second = stack.enter_context(opened_postgres(self.folder / "postgres-two", "two"))
            second.follow(first)
            second.wait()
            self.postgres.append(second)

    def _make_accounts(self) -> tuple[list[Site], list[Agent]]:
        sites: list[Site] = []
        agents: list[Agent] = []

        async def make(desk: Clerk) -> None:
            owner = await desk.owners.create(f"{secrets.token_hex(8)}@lime.example")
            for number in range(self.cast.sites):
                site, token = await desk.sites.register(
                    owner.owner_id, f"Site {number}", domain=None
                )
                sites.append(Site(site.site_id, token.text))
            for number in range(self.cast.agents):
                agent, token = await desk.agents.register(owner.owner_id, f"Agent {number}")
                agents.append(Agent(agent.agent_id, token.text))

        self.with_clerk(make)
        return sites, agents

    def _lay_links(self) -> None:
        for name in ("agents", "sites"):
            self.links[name] = self.network.link()
        self.url = f"http://127.0.0.1:{self.links['sites'].port}"
        self.agents_url = f"http://127.0.0.1:{self.links['agents'].port}"
        for server in self.cast.servers:
            for engine in self.postgres:
                self.links[f"{server}-postgres-{engine.name}"] = self.network.link(engine.socket)
            self.links[f"{server}-redis"] = self.network.link(self.valkey.socket)

    def links_of(self, *words: str) -> list[Link]:
        """Every link whose name has one of these words in it."""
        return [
            link
            for name, link in self.links.items()
            if any(word in name.split("-") for word in words)
        ]

    def add_server(self, name: str, **settings: str) -> Server:
        """One more server, not started yet."""
        hosts = ",".join(
            f"127.0.0.1:{self.links[f'{name}-postgres-{engine.name}'].port}"
            for engine in self.postgres
        )
        environment = {
            **self.server_settings(),
            "LIME_DATABASE_URL": (
                f"postgresql://lime@{hosts}/{DATABASE}?target_session_attrs=read-write"
            ),
            "LIME_REDIS_URL": f"redis://127.0.0.1:{self.links[f'{name}-redis'].port}/0",
            **self.cast.own_settings.get(name, {}),
            **settings,
        }
        server = self.servers[name] = Server(name, self.folder, environment)
        return server

    def balance(self, *names: str) -> None:
        """Let agents and sites reach these servers, in turn."""
        addresses = [("127.0.0.1", self.servers[name].port) for name in names]
        for link in ("agents", "sites"):
            self.links[link].lead_to(*addresses)

    def part(self) -> None:
        """Let sites reach the first server only, and agents the last.

        An event is leased when it is written where its site has a stream already. This way it is
        leased by another server than the one that wrote it.
        """
        for link, name in (("sites", self.cast.servers[0]), ("agents", self.cast.servers[-1])):
            self.links[link].lead_to(("127.0.0.1", self.servers[name].port))
        self.spread()

    def spread(self) -> None:
        """Let everybody connect anew, and so to all servers."""
        for link in ("agents", "sites"):
            self.links[link].reset()

    def _start_servers(self) -> None:
        for name in self.cast.servers:
            self.add_server(name).start()
        self.balance(*self.cast.servers)
        self.until_ready(*self.servers.values())

    def _start_workers(self, sites: Sequence[Site], agents: Sequence[Agent]) -> None:
        self.sites = list(sites)
        for number, site in enumerate(sites):
            for worker in range(self.cast.workers):
                self.workers.append(self._site_worker(f"site-{number}-{worker}", site))
        for number, agent in enumerate(agents):
            self.agents.append(
                Worker(
                    f"agent-{number}",
                    "agent.py",
                    [agent.agent_id],
                    folder=self.folder,
                    ledgers=self.ledgers,
                    environment={
                        "LIME_AGENT_TOKEN": agent.token,
                        "LIME_API_BASE": f"{self.agents_url}/api/v1",
                    },
                    heard=lambda line: self.load.hear(line),
                )
            )
        for each in (*self.workers, *self.agents):
            each.start()

    def _site_worker(self, name: str, site: Site) -> Worker:
        return Worker(
            name,
            "site.py",
            [str(self.folder / f"{site.site_id}.sqlite"), site.site_id],
            folder=self.folder,
            ledgers=self.ledgers,
            environment={
                "LIME_SITE_TOKEN": site.token,
                "LIME_API_BASE": f"{self.url}/api/v1",
                "LIME_TEST_ISSUER": self.url,
                "LIME_TEST_FOLDER": str(self.folder),
            },
            heard=lambda line: self.load.hear(line),
        )

    # Ending it

    def heal(self) -> None:
        """End every fault: from here on, everything must come to its end by itself."""
        for link in self.links.values():
            link.mend()
        for program in self.programs:
            if program.is_alive:
                program.thaw()
            program.wanted = True
        engines: list[Postgres | Valkey] = [*self.postgres]
        if self.cast.redis:
            engines.append(self.valkey)
        for engine in engines:
            engine.start()
        for engine in engines:
            engine.wait()

    def settle(self) -> None:
        """End the logins, and wait until everything that was promised has happened, or cannot any more."""
        self.until(self._works_again(), within=RECOVERY, what="logins work again")
        self.load.end()
        self.until(
            lambda: all(agent.is_alive for agent in self.agents),
            within=CALL_PATIENCE,
            what="the agents are there",
        )
        barrier = f"{BARRIER} {next(self._barriers)}"
        for agent in self.agents:
            assert agent.say(barrier)
        self.until(
            lambda: self._are_idle(barrier), within=CALL_PATIENCE, what="the agents' calls ended"
        )
        end = time.monotonic() + DELIVERY_WINDOW
        while time.monotonic() < end and set(ledger.missing(self.lines())) - self.excused:
            self.let_pass(0.5)

    def _works_again(self) -> Callable[[], bool]:
        """Says whether somebody was let in whose login began after now."""
        now = time.monotonic()

        def works() -> bool:
            seen = {what: set[str]() for what in ("created", "opened")}
            for line in self.lines():
                if line["at"] > now and line["what"] in seen:
                    seen[line["what"]].add(line["request"])
            return not seen["created"].isdisjoint(seen["opened"])

        return works

    def _are_idle(self, barrier: str) -> bool:
        """Whether the agents have taken all their orders, and every call has ended or died."""
        lives = {agent.life for agent in self.agents}
        past: set[str] = set()
        under_way: Counter[str] = Counter()
        for line in self.lines():
            if line["what"] == "asking":
                under_way[line["by"]] += 1
            elif line["what"] in {"approved", "beaten", "failed"}:
                under_way[line["by"]] -= 1
            elif line["what"] == barrier:
                past.add(line["by"])
        return lives <= past and not any(under_way[life] for life in lives)

    def _end_programs(self) -> None:
        for program in self.programs:
            program.kill()
        for server in self.servers.values():
            server.release()


class Load(threading.Thread):
    """Asks for logins at a steady rate, whether or not the ones before have come to their end."""

    def __init__(
        self,
        workers: Sequence[Worker],
        agents: Sequence[Worker],
        rate: float,
        *,
        unanswered: float = 0.0,
    ) -> None:
        """`rate` is logins per second, `unanswered` the share that no agent hears of."""
        super().__init__(daemon=True)
        self._workers = itertools.cycle(list(workers))
        self._agents = itertools.cycle(list(agents))
        self._most = max(len(workers), len(agents))
        self._pause = 1 / rate
        self._room = max(1, int(AT_ONCE * rate))
        self._under_way: deque[float] = deque()
        self._unanswered = unanswered
        self._over = threading.Event()
        self._count = itertools.count()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Tick."""
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pause, time.monotonic() - self._pause)
            if self._has_room():
                self._give(self._workers, "create")

    def hear(self, line: str) -> None:
        """What a site's worker or an agent says: a new request, or that something has come to its end."""
        if line != ENDED:
            self.hand_over(line)
            return
        with self._lock:
            if self._under_way:
                self._under_way.popleft()

    def _has_room(self) -> bool:
        now = time.monotonic()
        with self._lock:
            while self._under_way and now - self._under_way[0] > CALL:
                # Whoever it was has died.
                self._under_way.popleft()
            if len(self._under_way) >= self._room:
                return False
            self._under_way.append(now)
            return True

    def hand_over(self, request: str) -> None:
        """Tell an agent about a login request; now and then two, who may not both win."""
        with self._lock:
            if self._over.is_set():
                return
            if random.random() < self._unanswered:
                return
            for _ in range(2 if next(self._count) % DUEL == 0 else 1):
                self._give(self._agents, request)

    def end(self) -> None:
        """No more logins."""
        self._over.set()
        if self.is_alive():
            self.join()

    def _give(self, takers: Iterator[Worker], order: str) -> None:
        # Whoever is dead at the moment takes no orders; a full round without anybody, and it is
        # dropped: nothing was promised yet.
        for _ in range(self._most):
            if next(takers).say(order):
                return


@contextlib.contextmanager
def opened(folder: Path, cast: Cast, effort: Effort) -> Iterator[Stage]:
    """A stage on which logins happen; nothing is left running afterwards."""
    _raise_descriptor_limit()
    stage = Stage(folder, cast, effort)
    with contextlib.ExitStack() as stack:
        stage.raise_curtain(stack)
        yield stage


def _raise_descriptor_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
