"""Run a command with Debian's own PostgreSQL and Redis behind `LIME_TEST_DATABASE_URL` and
`LIME_TEST_REDIS_URL`.

    python tools/debian_engines.py pytest packages/lime-server

As root on Debian it installs what is missing; nothing is left running, neither by the packages'
own scripts nor by this one. Elsewhere it uses what is installed, and where there is nothing to
use it says so and leaves the command out, except under CI, where that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# What the server promises to work with: PostgreSQL 15 and up.
LEAST_POSTGRES = 15
START_TIMEOUT = 60.0
POLICY = Path("/usr/sbin/policy-rc.d")
POSTGRES_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "log_min_messages=fatal",
    # Tests make thousands of databases, and none of them has to outlive the machine's power.
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
)


class NotHereError(Exception):
    """This machine has no such engine and no way for us to install it."""


def main(command: list[str]) -> int:
    """Run `command` between the engines' start and stop. Returns its exit status."""
    try:
        postgres, redis = find_or_install()
    except NotHereError as reason:
        print(f"left out: {reason}", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    with (
        tempfile.TemporaryDirectory(prefix="lime-debian-") as folder,
        running_postgres(postgres, Path(folder)) as database_url,
        running_redis(redis, Path(folder)) as redis_url,
    ):
        print(f"engines: {version(postgres / 'postgres')}; {version(redis)}", flush=True)
        urls = {"LIME_TEST_DATABASE_URL": database_url, "LIME_TEST_REDIS_URL": redis_url}
        return subprocess.run(command, env={**os.environ, **urls}, check=False).returncode


def find_or_install() -> tuple[Path, Path]:
    """The folder of PostgreSQL's programs, and the Redis server's path."""
    return _found_or_installed(find, "PostgreSQL 15+ with Redis", "postgresql", "redis-server")


def find_or_install_pgbouncer() -> Path:
    """PgBouncer's path."""
    return _found_or_installed(find_pgbouncer, "PgBouncer", "pgbouncer")


def _found_or_installed(find: Callable[[], T | None], what: str, *packages: str) -> T:
    """What `find` finds, if need be after Debian's `packages` were installed."""
    if (found := find()) is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NotHereError(f"no {what}, and only root on Debian can install it")
    with no_services_started():
        apt("update")
        apt("install", "--no-install-recommends", *packages)
    if (found := find()) is None:
        raise NotHereError("Debian's packages did not bring the programs we expected")
    return found


def find_pgbouncer() -> Path | None:
    """Where it is, if it is installed."""
    # Debian keeps it among the administrator's programs, where others may not look.
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    return Path(found) if found else None


def find() -> tuple[Path, Path] | None:
    """What is installed already, if both are."""
    folders = {int(p.parent.name): p for p in Path("/usr/lib/postgresql").glob("[0-9]*/bin")}
    usable = [n for n, p in folders.items() if n >= LEAST_POSTGRES and (p / "initdb").exists()]
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    return (folders[max(usable)], Path(redis)) if usable and redis else None


def apt(*arguments: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        ["apt-get", "-qq", "-y", "-o", "Dpkg::Use-Pty=0", *arguments],
        check=True,
        env=quiet,
        stdout=sys.stderr,
    )


@contextlib.contextmanager
def no_services_started() -> Iterator[None]:
    """Keep package scripts from starting servers (Debian policy 9.3.3.1)."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


@contextlib.contextmanager
def running_postgres(programs: Path, folder: Path) -> Iterator[str]:
    """A cluster of its own on a free loopback port; yields its URL."""
    data, port = folder / "postgres", free_port()
    data.mkdir()
    user = unprivileged(folder, data)
    subprocess.run(
        [programs / "initdb", "-A", "trust", "-E", "UTF8", "--locale=C", "-U", "lime", str(data)],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
    )
    options = [part for setting in POSTGRES_SETTINGS for part in ("-c", setting)]
    server = subprocess.Popen(
        [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(data), *options],
        user=user,
    )
    with stopped_afterwards(server):
        wait_for(port, server)
        # The socket answers a moment before the cluster takes queries.
        url = f"postgresql://lime@127.0.0.1:{port}/postgres"
        ready = [str(programs / "pg_isready"), "--quiet", "--dbname", url]
        until(lambda: subprocess.run(ready, check=False).returncode == 0, server)
        yield url


@contextlib.contextmanager
def running_redis(program: Path, folder: Path) -> Iterator[str]:
    """A server that stores nothing, on a free loopback port; yields its URL."""
    port = free_port()
    server = subprocess.Popen(
        [
            str(program),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(folder),
        ],
        stdout=subprocess.DEVNULL,
    )
    with stopped_afterwards(server):
        wait_for(port, server)
        yield f"redis://127.0.0.1:{port}/0"


def unprivileged(folder: Path, data: Path) -> int | None:
    """PostgreSQL refuses to run as root: hand `data` to its package's user, and return the uid."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("postgres")
    folder.chmod(0o755)
    os.chown(data, user.pw_uid, user.pw_gid)
    return user.pw_uid


@contextlib.contextmanager
def stopped_afterwards(server: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        # SIGINT is PostgreSQL's fast shutdown: clients are cut, and nothing waits for them.
        server.send_signal(2)
        try:
            server.wait(timeout=START_TIMEOUT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until something listens on `port`."""

    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    until(listens, server)


def until(is_true: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    """Poll, because neither engine tells its parent when it is ready."""
    deadline = time.monotonic() + START_TIMEOUT
    while not is_true():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.args!r} did not start")
        time.sleep(0.05)


def version(program: Path) -> str:
    return subprocess.run(
        [program, "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
