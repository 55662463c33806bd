"""How commands speak: values on standard output, sentences about failures on standard error."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, TypeVar

import typer

from lime_server import logging
from lime_server.composition import Parts, open_parts
from lime_server.core.errors import DomainError
from lime_server.core.failpoints import NotATestBuildError
from lime_server.infrastructure.embedded import EngineError
from lime_server.infrastructure.postgres.migrator import MigrationError
from lime_server.settings import Settings, SettingsError, load

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandError(Exception):
    """A command cannot do what it was asked; the message is for the person who typed it."""


_EXPECTED = (
    CommandError,
    DomainError,
    EngineError,
    MigrationError,
    NotATestBuildError,
    SettingsError,
)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn expected failures into a sentence and exit code 1; anything else stays a traceback."""
    try:
        yield
    except _EXPECTED as error:
        for line in str(error).splitlines():
            typer.echo(f"lime-server: {line}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


def with_parts(work: Callable[[Parts], Awaitable[T]]) -> T:
    """Run `work` with the parts that the environment's settings describe."""

    async def run() -> T:
        async with open_parts(settings) as parts:
            return await work(parts)

    settings = quiet_settings()
    return asyncio.run(run())


def quiet_settings() -> Settings:
    """The environment's settings, with only warnings logged: the answer is what counts."""
    settings = load()
    logging.configure(level="warning", style="console")
    return settings


def show(values: Mapping[str, object], *, as_json: bool) -> None:
    """Print one thing: its fields below each other, or as a JSON object."""
    if as_json:
        typer.echo(json.dumps(values))
        return
    width = max(map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {_text(value)}")


def show_table(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Print many things of one kind: a line for each, or as a JSON array. There is at least one."""
    if as_json:
        typer.echo(json.dumps(rows))
        return
    lines = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _text(value: object) -> str:
    return "-" if value is None else str(value)
