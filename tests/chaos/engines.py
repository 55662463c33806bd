"""PostgreSQL and Valkey for the rig: the embedded programs, killed and started again at will.

Unlike those of `tests.support.engines`, these keep their promises to the disk: what PostgreSQL has
confirmed must survive `kill -9`. Call everything from the main thread, with which engines end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import redis

from lime_server.infrastructure.embedded import postgres, valkey
from lime_server.infrastructure.embedded.folder import (
    DataFolder,
    RunFolder,
    data_folder,
    run_folder,
)
from lime_server.infrastructure.embedded.identity import engine_identity, hand_over
from lime_server.infrastructure.embedded.locate import find_postgres, find_valkey
from lime_server.infrastructure.embedded.process import Process

PATIENCE = 60.0
"""Seconds in which an engine must be ready: crash recovery on a busy machine takes some."""

DATABASE = "lime"


class _Engine:
    """What both have in common: one process, at most."""

    _process: Process | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its main process runs."""
        return self._process is not None and self._process.exit_code() is None

    def kill(self) -> None:
        """SIGKILL to the main process: its children notice by themselves, a little later."""
        if self._process is not None and self.is_alive:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.stop()

    def stop(self) -> None:
        """An orderly, fast shutdown."""
        if self._process is not None:
            self._process.stop()


class Postgres(_Engine):
    """One PostgreSQL server and its data."""

    def __init__(self, name: str, folder: DataFolder, run: RunFolder) -> None:
        """Use `opened_postgres`."""
        self.name = name
        self._folder = folder
        found = find_postgres(made_by=None)
        self.programs = run.programs(found.binaries)
        self._plan = postgres.PostgresPlan(folder, run, self.programs, found.major, durable=True)

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self._plan.run.sockets / ".s.PGSQL.5432")

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._folder.path

    def url(self, database: str = DATABASE) -> str:
        """The straight way to it, which no fault of the network touches."""
        return self._plan.url(database)

    def start(self) -> None:
        """Start it, on new data if there is none; does not wait until it is ready."""
        if not self.is_alive:
            self._process = postgres.start_postgres(self._plan)

    def wait(self) -> None:
        """Return when it can be used."""
        assert self._process is not None
        self._process.wait_until(lambda: postgres.is_ready(self._folder.cluster), timeout=PATIENCE)

    @property
    def is_ready(self) -> bool:
        """Whether it can be used."""
        return self.is_alive and postgres.is_ready(self._folder.cluster)

    def ask(self, statement: str, *arguments: object, database: str = "postgres") -> Any:
        """The first value of the answer, over a connection of its own."""

        async def once() -> Any:
            connection = await asyncpg.connect(self.url(database), timeout=PATIENCE)
            try:
                return await connection.fetchval(statement, *arguments)
            finally:
                await connection.close(timeout=5)

        return asyncio.run(once())

    def schema(self, database: str) -> str:
        """The definition of everything in a database."""
        dumped = subprocess.run(
            [
                str(self.programs / "pg_dump"), "--schema-only", "--host", str(Path(self.socket).parent),
                "--username", postgres.SUPERUSER, database,
            ],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        # Lines that begin so hold a random word.
        return "\n".join(line for line in dumped.stdout.splitlines() if not line.startswith("\\"))

    # A pair of them

    def set_up(self, settings: Mapping[str, str]) -> None:
        """Change settings that take effect without a new start."""
        for name, value in settings.items():
            self.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self.ask("SELECT pg_reload_conf()")

    def follow(self, primary: Postgres) -> None:
        """Begin anew as a standby of `primary`, named by our own name; starts, and does not wait."""
        self.stop()
        cluster = self._folder.cluster
        fresh = cluster.with_name("postgres.copy")
        for place in (cluster, fresh):
            subprocess.run(["rm", "-rf", str(place)], check=True)
        fresh.mkdir(mode=0o700)
        self._as_owner(
            "pg_basebackup", "--pgdata", str(fresh), "--host", str(Path(primary.socket).parent),
            "--username", postgres.SUPERUSER, "--wal-method=stream", "--checkpoint=fast",
            "--write-recovery-conf", "--no-sync",
        )  # fmt: skip
        with (fresh / "postgresql.auto.conf").open("a") as settings:
            # The last line of a name counts. Whoever follows waits for nobody.
            settings.write("synchronous_standby_names = ''\n")
            settings.write(f"cluster_name = '{self.name}'\n")
        hand_over(fresh, self._plan.run.identity)
        fresh.rename(cluster)
        self.start()

    def promote(self) -> None:
        """Become the primary."""
        self.ask("SELECT pg_promote(true)")

    def _as_owner(self, program: str, *arguments: str) -> None:
        identity = self._plan.run.identity
        # As root, so that it may write anywhere; what it wrote is handed over afterwards.
        done = subprocess.run(
            [str(self.programs / program), *arguments], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        if identity is not None:
            owner = f"{identity.uid}:{identity.gid}"
            subprocess.run(["chown", "-R", owner, arguments[1]], check=True)


@contextlib.contextmanager
def opened_postgres(path: Path, name: str) -> Iterator[Postgres]:
    """A server that has not been started yet, and is stopped afterwards."""
    with _folders(path) as (folder, run):
        made = Postgres(name, folder, run)
        try:
            yield made
        finally:
            made.stop()


class Valkey(_Engine):
    """One Valkey server. It keeps nothing."""

    def __init__(self, folder: DataFolder, run: RunFolder) -> None:
        """Use `opened_valkey`."""
        self._folder = folder
        self._run = run
        found = find_valkey()
        self._program = run.programs(found.binaries) / found.program

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self._run.sockets / valkey.SOCKET)

    def start(self) -> None:
        """Start it; it is ready in a moment."""
        if not self.is_alive:
            self._process = valkey.start_valkey(self._program, self._folder, self._run)

    def wait(self) -> None:
        """Return when it can be used."""
        assert self._process is not None
        self._process.wait_until(lambda: valkey.is_ready(self._run), timeout=PATIENCE)

    def client(self) -> redis.Redis:
        """The straight way to it."""
        return redis.Redis(unix_socket_path=self.socket, socket_timeout=5)


@contextlib.contextmanager
def opened_valkey(path: Path) -> Iterator[Valkey]:
    """A server that has not been started yet, and is stopped afterwards."""
    with _folders(path) as (folder, run):
        made = Valkey(folder, run)
        try:
            yield made
        finally:
            made.stop()


@contextlib.contextmanager
def _folders(path: Path) -> Iterator[tuple[DataFolder, RunFolder]]:
    with data_folder(path) as folder:
        identity = engine_identity(folder.cluster, euid=os.geteuid())
        with run_folder(folder, identity) as run:
            yield folder, run
