"""`lime-server dev`: a whole passport office on one machine, in one folder, with one command."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from lime_server.cli.files import gone_afterwards
from lime_server.cli.speech import plain_errors
from lime_server.cli.start import uncollected
from lime_server.infrastructure.embedded import engines

# Ctrl-C has its own exception; these would end the process before it could tidy up.
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


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
    with plain_errors(), _ended_by_signals(), uncollected() as started:
        folder = data or default_folder(os.environ, sys.platform, Path.home())
        with (
            gone_afterwards(ready_file),
            # The engines need about as long to start as the server needs to be imported.
            engines(folder, meanwhile=partial(import_module, "lime_server.cli.office")) as running,
        ):
            from lime_server.cli import office

            office.serve(folder, host, port, ready_file, running=running, started=started)


def default_folder(environ: Mapping[str, str], platform: str, home: Path) -> Path:
    """Where programs of this platform keep a user's data."""
    if platform == "darwin":
        return home / "Library" / "Application Support" / "lime" / "dev"
    # XDG Base Directory Specification: a relative path there is to be ignored.
    told = Path(environ.get("XDG_DATA_HOME", ""))
    return (told if told.is_absolute() else home / ".local" / "share") / "lime" / "dev"


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
