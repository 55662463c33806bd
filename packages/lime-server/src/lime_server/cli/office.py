"""The passport office that `lime-server dev` runs, once its engines do."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from lime_server import logging
from lime_server.cli.files import write_private
from lime_server.cli.residents import Residents, settle
from lime_server.cli.speech import CommandError
from lime_server.cli.welcome import Welcome, say
from lime_server.composition import open_parts
from lime_server.composition.run import serve_parts
from lime_server.infrastructure.embedded import Engines
from lime_server.infrastructure.mail import Mailbox
from lime_server.infrastructure.postgres.migrator import migrate
from lime_server.infrastructure.serve import bind, new_event_loop
from lime_server.infrastructure.web.portal_export import PACKAGED
from lime_server.settings import Settings, load

# Seconds between two looks at whether the engines still run.
LOOK = 0.5

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound to


def serve(
    folder: Path,
    host: str,
    port: int,
    ready_file: Path | None,
    *,
    running: Engines,
    started: Callable[[], None],
) -> None:
    """Serve from `folder` on `running` engines until a signal says stop, or an engine falls.

    Whoever typed the command, or reads `ready_file`, is told when connections are accepted, and
    `started` is called then. Raises CommandError for an engine that fell, and what `run` raises.
    """
    with bind(host, port) as sock, asyncio.Runner(loop_factory=new_event_loop) as runner:
        settings = _settings(folder, host, sock, running)
        logging.configure(level=settings.log_level, style=settings.log_format)

        def tell(welcome: Welcome) -> None:
            _announce(welcome, ready_file)
            started()

        runner.run(_live(settings, sock, running, folder, tell))


async def _live(
    settings: Settings,
    sock: socket.socket,
    running: Engines,
    folder: Path,
    tell: Callable[[Welcome], None],
) -> None:
    # 1. The database, and who lives in it.
    await migrate(settings.database_url.get_secret_value())
    async with open_parts(settings, mailbox=Mailbox(typer.echo), first_start=True) as parts:
        residents = await settle(parts, folder / "credentials.json")
        first = await parts.accounts.routes.accounts.first_token(residents.owner_id)
        welcome = Welcome(
            public_url=str(settings.public_url),
            data=folder,
            database_url=running.database_url,
            redis_url=running.redis_url,
            residents=residents,
            first_token=first.text if first else None,
            portal=PACKAGED.is_dir(),
        )
        # 2. Serve until somebody says stop, or an engine falls.
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)
        watching = asyncio.create_task(_watch(running, stop))
        try:
            await serve_parts(parts, sock, on_ready=partial(tell, welcome), stop=stop)
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


def _announce(welcome: Welcome, ready_file: Path | None) -> None:
    if ready_file is None:
        say(welcome, Console())
        return
    # A script's output tends to be kept where more people read it than should see a token.
    write_private(ready_file, _ready(welcome))
    typer.echo(f"LIME is ready at {welcome.public_url}; how to use it stands in {ready_file}")


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
