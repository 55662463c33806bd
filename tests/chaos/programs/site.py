"""A worker of a site as its own process: asks for logins and lets agents in, with the SDK.

    site.py LEDGER STORE SITE_ID      (LIME_SITE_TOKEN and LIME_API_BASE in the environment)

Each `create` on standard input becomes a login request, whose id is printed. STORE is what all
workers of the site share: who was let in, by request id. That is how the documents say that a site
tells a repetition: the application's work is the row, and nobody can add it twice.
"""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import httpx

from lime_sites import LimeError, LimeSite
from tests.chaos.ledger import Ledger
from tests.chaos.programs.clocks import Clocks
from tests.chaos.programs.lines import ENDED, lines_in


class Store:
    """Who was let in at this site."""

    def __init__(self, path: Path) -> None:
        self._rows = sqlite3.connect(path, timeout=30, isolation_level=None)
        # What a killed process has written is the kernel's: nothing here needs the disk.
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS let_in (request_id TEXT PRIMARY KEY, agent_id TEXT)"
        )

    def let_in(self, request_id: str, agent_id: str) -> bool:
        """Let the agent in; False if that was done before."""
        added = self._rows.execute(
            "INSERT INTO let_in VALUES (?, ?) ON CONFLICT DO NOTHING", (request_id, agent_id)
        )
        return added.rowcount == 1


class Worker:
    """The application."""

    def __init__(self, site: LimeSite, ledger: Ledger, store: Store, site_id: str) -> None:
        self._site = site
        self._ledger = ledger
        self._store = store
        self._site_id = site_id

    async def create(self) -> None:
        """Ask for a login, and say its id to the rig, which tells an agent."""
        try:
            made = await self._site.create_login_request()
        except LimeError as error:
            said = error.code or type(error).__name__
            self._ledger.write("failed", "", who="create", error=said)
            print(ENDED, flush=True)  # noqa: T201
            return
        self._ledger.write("created", made.request_id, site=self._site_id)
        print(made.request_id, flush=True)  # noqa: T201

    async def on_login(self, request_id: str, unverified_jwt: str | None) -> None:
        """Believe nothing that is not proven, then let the agent in, once."""
        if unverified_jwt is None:
            self._ledger.write("nobody", request_id, site=self._site_id)
            return
        try:
            passport = await self._site.verify_passport(
                unverified_jwt, expected_request_id=request_id
            )
        except LimeError as error:
            self._ledger.write("refused", request_id, site=self._site_id, error=str(error))
            raise
        added = self._store.let_in(passport.request_id, passport.agent_id)
        self._ledger.write(
            "opened" if added else "repeated",
            passport.request_id,
            site=self._site_id,
            agent=passport.agent_id,
            jti=passport.jti,
        )


class Offline(httpx.AsyncBaseTransport):
    """The network, in which the signing keys cannot be had while a file says so."""

    def __init__(self, flag: Path) -> None:
        self._flag = flag
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on."""
        if request.url.path.endswith("/jwks.json") and self._flag.exists():
            raise httpx.ConnectError("no route to host")
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()


async def main(ledger: Ledger, store: Store, site_id: str) -> None:
    """Work until there is no more input."""
    folder = Path(os.environ["LIME_TEST_FOLDER"])
    clocks = Clocks(folder / "site-clock")
    async with (
        httpx.AsyncClient(transport=Offline(folder / "no-jwks"), trust_env=False) as network,
        LimeSite(
            issuer=os.environ["LIME_TEST_ISSUER"],
            http_client=network,
            clock=clocks.monotonic,
            wall_clock=clocks.wall,
        ) as site,
        asyncio.TaskGroup() as calls,
    ):
        worker = Worker(site, ledger, store, site_id)
        site.on_login(worker.on_login)
        async for _order in lines_in(sys.stdin):
            calls.create_task(worker.create())


if __name__ == "__main__":
    asyncio.run(main(Ledger(Path(sys.argv[1])), Store(Path(sys.argv[2])), sys.argv[3]))
