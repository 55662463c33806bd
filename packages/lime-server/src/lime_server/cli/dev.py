"""`lime-server dev`: a whole passport office on one machine, in one folder, with one command."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from lime_server import logging
from lime_server.cli.files import gone_afterwards, write_private
from lime_server.cli.residents import Residents, settle
from lime_server.cli.speech import CommandError, plain_errors
from lime_server.cli.welcome import Welcome, say
from lime_server.composition import open_parts
from lime_server.composition.run import run
from lime_server.infrastructure.embedded import Engines, engines
from lime_server.infrastructure.mail import Mailbox
from lime_server.infrastructure.postgres.migrator import migrate
from lime_server.infrastructure.serve import bind, new_event_loop, settle_down
from lime_server.infrastructure.web.portal_export import PACKAGED
from lime_server.settings import Settings, load

# Seconds between two looks at whether the engines still run.
LOOK = 0.5

# Ctrl-C has its own exception; these would end the process before it could tidy up.
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound to


def dev(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for everything it keeps. Default: one in your home."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            help="For scripts: write addresses and tokens here as JSON, mode 0600, once ready. "
            "Removed at the end."
        ),
    ] = None,
) -> None:
    """Run a server for development: no PostgreSQL, no Redis, no configuration needed.

    Everything that it starts ends with it, however it ends.
    """
    with plain_errors(), _ended_by_signals():
        folder = data or default_folder(os.environ, sys.platform, Path.home())
        with (
            gone_afterwards(ready_file),
            engines(folder) as running,
            bind(host, port) as sock,
            asyncio.Runner(loop_factory=new_event_loop) as runner,
        ):
            settings = _settings(folder, host, sock, running)
            logging.configure(level=settings.log_level, style=settings.log_format)
            runner.run(_live(settings, sock, running, folder, ready_file))


def default_folder(environ: Mapping[str, str], platform: str, home: Path) -> Path:
    """Where programs of this platform keep a user's data."""
    if platform == "darwin":
        return home / "Library" / "Application Support" / "lime" / "dev"
    # XDG Base Directory Specification: a relative path there is to be ignored.
    told = Path(environ.get("XDG_DATA_HOME", ""))
    return (told if told.is_absolute() else home / ".local" / "share") / "lime" / "dev"


async def _live(
    settings: Settings,
    sock: socket.socket,
    running: Engines,
    folder: Path,
    ready_file: Path | None,
) -> None:
    # 1. The database, and who lives in it.
    await migrate(settings.database_url.get_secret_value())
    async with open_parts(settings) as parts:
        residents = await settle(parts, folder / "credentials.json")
        first = await parts.accounts.routes.accounts.first_token(residents.owner_id)
    # 2. Serve until somebody says stop, or an engine falls.
    welcome = Welcome(
        public_url=str(settings.public_url),
        data=folder,
        database_url=running.database_url,
        redis_url=running.redis_url,
        residents=residents,
        first_token=first.text if first else None,
        portal=PACKAGED.is_dir(),
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)
    watching = asyncio.create_task(_watch(running, stop))
    try:
        await run(
            settings,
            sock=sock,
            on_ready=_announcer(welcome, ready_file),
            stop=stop,
            mailbox=Mailbox(typer.echo),
        )
    finally:
        watching.cancel()
    # 3. A server without engines did not end as it should have.
    if fallen := running.fallen():
        raise CommandError(fallen)


async def _watch(running: Engines, stop: asyncio.Event) -> None:
    # Processes have no event to await on every system; a look costs two system calls.
    while running.fallen() is None:  # noqa: ASYNC110
        await asyncio.sleep(LOOK)
    stop.set()


def _announcer(welcome: Welcome, ready_file: Path | None) -> Callable[[], None]:
    def announce() -> None:
        settle_down()
        if ready_file is None:
            say(welcome, Console())
            return
        # A script's output tends to be kept where more people read it than should see a token.
        write_private(ready_file, _ready(welcome))
        typer.echo(f"LIME is ready at {welcome.public_url}; how to use it stands in {ready_file}")

    return announce


def _ready(welcome: Welcome) -> dict[str, object]:
    who: Residents = welcome.residents
    return {
        "api_base": welcome.api_base,
        "owner_id": who.owner_id,
        "agent_id": who.agent_id,
        "agent_token": who.agent_token,
        "site_id": who.site_id,
        "site_token": who.site_token,
        "first_owner_token": welcome.first_token,
        "mailbox_url": welcome.mailbox_url,
        "database_url": welcome.database_url,
        "redis_url": welcome.redis_url,
        "pid": os.getpid(),
    }


def _settings(folder: Path, host: str, sock: socket.socket, running: Engines) -> Settings:
    """The environment may tune it; where it is and what it stands on are not its to say."""
    name = _ANY_ADDRESS.get(host, host)
    shown = f"[{name}]" if ":" in name else name
    port = sock.getsockname()[1]
    chosen: dict[str, Any] = {
        "public_url": f"http://{shown}:{port}",
        "host": host,
        "port": port,
        "database_url": running.database_url,
        "redis_url": running.redis_url,
        "master_key": None,
        "master_key_file": folder / "master.key",
    }
    quieter = {"log_format": "console", "log_level": "warning"}
    for name, value in quieter.items():
        if f"LIME_{name.upper()}" not in os.environ:
            chosen[name] = value  # noqa: PERF403  # an update from a comprehension says it worse
    return load(**chosen)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let signals that would end the process unwind it instead, so that it tidies up."""

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, unwind) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
