"""One database, one Redis, and whatever runs on them: the servers, accounts and accidents of the contract suite."""

import json
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import asyncpg
import httpx

from tests.support.clerk import Clerk, clerk
from tests.support.commands import new_master_key, run_command
from tests.support.engines import Databases
from tests.support.relay import Address, Relay
from tests.support.server import PortReservation, ServeServer
from tests.support.wire import Agent, Browser, Owner, Site

T = TypeVar("T")

PATIENCE = 30.0
_PAUSE = 0.05

_EASY = {
    # Tests are not a flood, though they look like one.
    "LIME_RATE_PER_TOKEN": "off",
    "LIME_RATE_PER_ADDRESS": "off",
    "LIME_RATE_PER_REQUEST": "off",
    "LIME_RATE_PER_SESSION": "off",
    "LIME_MCP_REGISTRATION_RATE": "off",
    # hashlib solves it in under a millisecond; the default is asserted where it is the subject.
    "LIME_DIFFICULTY": "8",
    "LIME_DATABASE_POOL_SIZE": "5",
    # What goes wrong is logged all the same, and is easier to find.
    "LIME_ACCESS_LOG": "false",
}

ONLY_THE_BELL = {
    "LIME_POLL_INTERVAL": "60",
    "LIME_KEEPALIVE_INTERVAL": "30",
    # Ringing is given up soon where logins must not wait; here a slow machine must not matter.
    "LIME_REDIS_TIMEOUT": "5",
}
"""Settings under which an event whose wake-up was missed does not come in a test's lifetime."""


def eventually(happened: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Ask again and again until the answer is yes.

    Raises:
        AssertionError: if it is still no after `within` seconds.
    """
    end = time.monotonic() + within
    while not happened():
        assert time.monotonic() < end, f"still not so after {within} s"
        time.sleep(_PAUSE)


@dataclass(frozen=True)
class Engines:
    """Where the database and Redis of one deployment are."""

    database_url: str
    redis_url: str


class Deployment:
    """A migrated database with owners, agents and sites, and the settings that its servers share."""

    def __init__(
        self, folder: Path, engines: Engines, databases: Databases, **settings: str
    ) -> None:
        """`settings` are what its servers and commands are told beside, or instead of, `engines`."""
        self.folder = folder
        self.settings: dict[str, str] = {
            "LIME_DATABASE_URL": engines.database_url,
            "LIME_REDIS_URL": engines.redis_url,
            "LIME_MASTER_KEY": new_master_key(),
            **settings,
        }
        self._engines = engines
        self._databases = databases
        self._owner: Owner | None = None
        self.command("migrate")

    def command(self, *arguments: str) -> str:
        """Run one `lime-server` command on this deployment; what it printed."""
        base = {"LIME_PUBLIC_URL": "http://127.0.0.1:1"}
        return run_command(*arguments, settings={**base, **self.settings}, folder=self.folder)

    def server(self, name: str, **settings: str) -> ServeServer:
        """A server, not yet started; `settings` win over the easy ones of tests."""
        return ServeServer(self.folder, name=name, settings={**_EASY, **self.settings, **settings})

    def plain_server(self, name: str) -> ServeServer:
        """A server with nothing but the settings that must be given."""
        return ServeServer(self.folder, name=name, settings=self.settings)

    @contextmanager
    def pair(self, **settings: str) -> Iterator[tuple[ServeServer, ServeServer]]:
        """Two running servers that are one to the world: the same public URL, the same database."""
        settings = {**_EASY, **self.settings, **settings}
        port = PortReservation()
        url = f"http://127.0.0.1:{port.port}"
        one = ServeServer(self.folder, name="left", settings=settings, public_url=url, port=port)
        two = ServeServer(self.folder, name="right", settings=settings, public_url=url)
        with one, two:
            yield one, two

    # Accounts

    def owner(self) -> Owner:
        """A new owner."""

        async def make(desk: Clerk) -> Owner:
            return Owner(
                (await desk.owners.create(f"{secrets.token_hex(8)}@lime.example")).owner_id
            )

        return self._at_the_desk(make)

    def operator(self) -> Owner:
        """A new owner who is an operator."""
        email = f"{secrets.token_hex(8)}@lime.example"
        made = self.command("owner", "create", "--operator", "--email", email, "--json")
        return Owner(json.loads(made)["owner_id"])

    def agent(self, *, owner: Owner | None = None, display_name: str = "Agent") -> Agent:
        """A new agent, by default of an owner that all tests share."""
        return self.agents(1, owner=owner, display_name=display_name)[0]

    def agents(
        self, count: int, *, owner: Owner | None = None, display_name: str = "Agent"
    ) -> list[Agent]:
        """Many of them."""
        owner_id = (owner or self._shared_owner()).owner_id

        async def make(desk: Clerk) -> list[Agent]:
            made = [await desk.agents.register(owner_id, display_name) for _ in range(count)]
            return [Agent(agent.agent_id, token.text) for agent, token in made]

        return self._at_the_desk(make)

    def site(self, *, display_name: str = "Site", domain: str | None = None) -> Site:
        """A new site."""
        owner_id = self._shared_owner().owner_id

        async def make(desk: Clerk) -> Site:
            site, token = await desk.sites.register(owner_id, display_name, domain=domain)
            return Site(site.site_id, token.text)

        return self._at_the_desk(make)

    def browser(self, owner: Owner | None = None) -> Browser:
        """A browser in which this owner has just signed in, by default the one that all share."""
        whose = owner or self._shared_owner()

        async def begin(desk: Clerk) -> Browser:
            known = await desk.known.by_id(whose.owner_id)
            assert known is not None
            signed_in = await desk.sessions.begin(known)
            return Browser(whose, signed_in.token.text, signed_in.csrf)

        return self._at_the_desk(begin)

    def let_return_to(self, site: Site, *redirect_uris: str) -> None:
        """Make these the site's list of redirect URIs."""
        self._change(
            "UPDATE foundation.sites SET redirect_uris = $2 WHERE site_id = $1",
            site.site_id,
            list(redirect_uris),
        )

    def _at_the_desk(self, work: Callable[[Clerk], Coroutine[Any, Any, T]]) -> T:
        async def opened() -> T:
            master_key = bytes.fromhex(self.settings["LIME_MASTER_KEY"])
            async with clerk(self._engines.database_url, master_key) as desk:
                return await work(desk)

        return self._databases.run(opened())

    def _shared_owner(self) -> Owner:
        self._owner = self._owner or self.owner()
        return self._owner

    # What owners, operators and time do, done at once for tests that are about something else

    def switch_off(self, agent: Agent) -> None:
        """Switch an agent off."""
        self._change("UPDATE core.agents SET active = false WHERE agent_id = $1", agent.agent_id)

    def forget_client(self, client_id: str) -> None:
        """Delete an OAuth client, as is done with one that nobody used for long."""

        async def forget(connection: "asyncpg.Connection[Any]") -> str:
            statement = "DELETE FROM modules.oauth_clients WHERE client_id::text = $1"
            return await connection.execute(statement, client_id)

        assert self._with_database(forget) == "DELETE 1"

    def suspend(self, site: Site) -> None:
        """Suspend a site."""
        self._change(
            "UPDATE foundation.sites SET suspended = true WHERE site_id = $1", site.site_id
        )

    def suspend_owner_of(self, agent: Agent) -> None:
        """Suspend the owner of an agent."""
        statement = (
            "UPDATE foundation.owners SET suspended = true "
            "WHERE owner_id = (SELECT owner_id FROM core.agents WHERE agent_id = $1)"
        )
        self._change(statement, agent.agent_id)

    def once_noticed(self, ask: Callable[[], list[httpx.Response]]) -> list[httpx.Response]:
        """Ask until nobody is let in: a server may remember for a moment who was welcome."""
        answers: list[httpx.Response] = []

        def noticed() -> bool:
            answers[:] = ask()
            return all(answer.status_code == 403 for answer in answers)

        eventually(noticed)
        return answers

    def everything_stored(self) -> str:
        """Every row of every table as text; bytes are hexadecimal."""

        async def read(connection: "asyncpg.Connection[Any]") -> str:
            tables = await connection.fetch(
                "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
                "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            rows = [
                await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")
                for table in tables
            ]
            return "\n".join(row["row"] for found in rows for row in found)

        return self._with_database(read)

    def ask(self, question: str) -> Any:
        """The first value of what the database answers."""

        async def answer(connection: "asyncpg.Connection[Any]") -> Any:
            return await connection.fetchval(question)

        return self._with_database(answer)

    def _change(self, statement: str, *values: object) -> None:
        async def change(connection: "asyncpg.Connection[Any]") -> str:
            return await connection.execute(statement, *values)

        assert self._with_database(change) == "UPDATE 1"

    def _with_database(
        self, work: Callable[["asyncpg.Connection[Any]"], Coroutine[Any, Any, T]]
    ) -> T:
        async def connected() -> T:
            connection = await asyncpg.connect(self._engines.database_url)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return self._databases.run(connected())

    # Cables

    @property
    def database_address(self) -> Address:
        """Where PostgreSQL listens."""
        host, port, _ = _database_parts(self._engines.database_url)
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)

    def database_through(self, relay: Relay) -> str:
        """The database's URL by way of a relay."""
        url = urlsplit(self._engines.database_url)
        _, _, rest = _database_parts(self._engines.database_url)
        credentials = f"{url.netloc.rpartition('@')[0]}@" if "@" in url.netloc else ""
        return urlunsplit(
            url._replace(netloc=f"{credentials}127.0.0.1:{relay.port}", query=urlencode(rest))
        )

    @property
    def redis_address(self) -> Address:
        """Where Redis listens."""
        url = urlsplit(self._engines.redis_url)
        return url.path if url.scheme == "unix" else (url.hostname or "localhost", url.port or 6379)

    def redis_through(self, relay: Relay) -> str:
        """Redis' URL by way of a relay."""
        url = urlsplit(self._engines.redis_url)
        if url.scheme == "unix":
            number = parse_qs(url.query).get("db", ["0"])[0]
            return f"redis://127.0.0.1:{relay.port}/{number}"
        credentials = f"{url.netloc.rpartition('@')[0]}@" if "@" in url.netloc else ""
        return urlunsplit(url._replace(netloc=f"{credentials}127.0.0.1:{relay.port}"))


def _database_parts(database_url: str) -> tuple[str, int, Mapping[str, str]]:
    """Host (a folder for a Unix socket), port, and the other parameters of a libpq URL."""
    url = urlsplit(database_url)
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    host = query.pop("host", None) or url.hostname or "localhost"
    port = int(query.pop("port", 0)) or url.port or 5432
    return host, port, query
