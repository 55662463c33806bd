"""PostgreSQL for one folder: make it, clear up after a crash, start it."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lime_server.infrastructure.embedded.child import FOLDER_DESCRIPTOR
from lime_server.infrastructure.embedded.errors import FolderInUseError, FolderUnusableError
from lime_server.infrastructure.embedded.folder import DataFolder, RunFolder
from lime_server.infrastructure.embedded.holders import live_postgres
from lime_server.infrastructure.embedded.identity import hand_over
from lime_server.infrastructure.embedded.process import Command, Process, spawn

SUPERUSER = "lime"
# The one that initdb makes.
DATABASE = "postgres"

# Seconds an orphan of a killed supervisor gets to finish; it was told to go when its parent went.
ORPHAN_PATIENCE = 15.0
_LOOK = 0.02

# "Smart" shutdown (SIGTERM) would wait for clients; "fast" (SIGINT) rolls them back; "immediate"
# (SIGQUIT) leaves the rest to crash recovery, and is what an orphan gets: nobody is left to wait
# for it.
_FAST, _IMMEDIATE = signal.SIGINT, signal.SIGQUIT

_INITDB = (
    "--auth=trust",  # whoever can enter the socket's folder is us
    f"--username={SUPERUSER}",
    "--encoding=UTF8",
    "--no-sync",  # a start that is interrupted begins again from nothing
    "--no-instructions",
)
# The same order of text on every machine. PostgreSQL 17 brought the provider that needs no locale
# of the system.
_BUILTIN_LOCALE = ("--locale-provider=builtin", "--locale=C.UTF-8")
_PLAIN_LOCALE = ("--locale=C",)
_FIRST_WITH_BUILTIN_LOCALE = 17

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}
# For data that no one will miss: tests.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """Everything that is decided before PostgreSQL runs."""

    folder: DataFolder
    run: RunFolder
    programs: Path
    major: int
    durable: bool

    def told(self, folder: Path) -> tuple[str, Path | None]:
        """How a program is told about `folder`, and what must be handed to it open for that.

        Another account may be unable to walk there (`/root` is closed), and opening up parents is
        not our business. Linux lets every process enter by this name what it has open. Its working
        directory would do as well, had not PostgreSQL 15 the habit of changing that.
        """
        if self.run.identity is None:
            return str(folder), None
        return f"/proc/self/fd/{FOLDER_DESCRIPTOR}", folder

    def url(self, database: str = DATABASE) -> str:
        """Where asyncpg and psql find it."""
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.run.sockets), safe='')}"


def start_postgres(plan: PostgresPlan) -> Process:
    """Start the server, making its data first if need be; `is_ready` tells when it can be used.

    Raises:
        FolderInUseError: a PostgreSQL that is not ours works in the folder.
        FolderUnusableError: there are other files where the data should be.
        StartFailedError: making the data failed.
    """
    cluster = plan.folder.cluster
    if plan.folder.cluster_version is None:
        _make_cluster(plan)
    _clear_up(cluster)
    settings = _SETTINGS | ({} if plan.durable else _FORGETFUL)
    options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
    name, handed = plan.told(cluster)
    server = (str(plan.programs / "postgres"), "-D", name, "-k", str(plan.run.sockets))
    return spawn(
        Command(
            name="PostgreSQL",
            arguments=(*server, *options),
            cwd=plan.run.sockets,
            log=plan.folder.log("postgres"),
            identity=plan.run.identity,
            folder=handed,
            when_orphaned=_IMMEDIATE,
            stopping=((_FAST, 10.0), (_IMMEDIATE, 5.0)),
        )
    )


def is_ready(cluster: Path) -> bool:
    """Whether the server accepts connections, which it notes in line 8 of its pid file."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def _make_cluster(plan: PostgresPlan) -> None:
    # Beside its place and then renamed, so that an interrupted attempt is never taken for data.
    final = plan.folder.cluster
    if final.exists() and any(final.iterdir()):
        raise FolderUnusableError(
            f"{final} holds files, but no database. Choose another folder with --data."
        )
    fresh = final.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    hand_over(fresh, plan.run.identity)
    locale = _BUILTIN_LOCALE if plan.major >= _FIRST_WITH_BUILTIN_LOCALE else _PLAIN_LOCALE
    name, handed = plan.told(fresh)
    program = (str(plan.programs / "initdb"), "-D", name)
    spawn(
        Command(
            name="initdb",
            arguments=(*program, *_INITDB, *locale),
            cwd=plan.run.sockets,
            log=plan.folder.log("initdb"),
            identity=plan.run.identity,
            folder=handed,
            when_orphaned=signal.SIGKILL,
            stopping=((signal.SIGTERM, 2.0),),
        )
    ).finish()
    if final.exists():
        final.rmdir()
    fresh.rename(final)


def _clear_up(cluster: Path) -> None:
    """Remove what a killed server left behind, once it is certain that none works here.

    PostgreSQL itself looks only at the number in its pid file, and refuses to start while any
    process has it.

    Raises:
        FolderInUseError: one does, and goes on. It is somebody's, and not ours to kill.
    """
    pid_file = cluster / "postmaster.pid"
    deadline = time.monotonic() + ORPHAN_PATIENCE
    while pid_file.exists():
        holders = live_postgres(cluster)
        if not holders:
            pid_file.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise FolderInUseError(
                f"A PostgreSQL (process {holders[0]}) that was started by someone else uses "
                f"{cluster}. Stop it first, or choose another folder with --data."
            )
        else:
            time.sleep(_LOOK)
