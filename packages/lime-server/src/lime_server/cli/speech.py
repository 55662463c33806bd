"""How commands speak: values on standard output, sentences about failures on standard error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lime_server.cli.start import uncollected

if TYPE_CHECKING:
    from lime_server.composition import Parts
    from lime_server.settings import Settings

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandError(Exception):
    """A command cannot do what it was asked; the message is for the person who typed it."""


@contextmanager
def plain_errors(status: int = 1) -> Iterator[None]:
    """Turn expected failures into a sentence and this status; anything else stays a traceback."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        for line in str(error).splitlines():
            typer.echo(f"lime-server: {line}", err=True)
        raise typer.Exit(status) from None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None


def _expected() -> tuple[type[Exception], ...]:
    from lime_server.core.errors import DomainError
    from lime_server.core.failpoints import NotATestBuildError
    from lime_server.infrastructure.backup.errors import BackupError
    from lime_server.infrastructure.embedded import EngineError
    from lime_server.infrastructure.postgres.migrator import MigrationError
    from lime_server.settings import SettingsError

    return (
        BackupError,
        CommandError,
        DomainError,
        EngineError,
        MigrationError,
        NotATestBuildError,
        SettingsError,
    )


def with_parts(work: Callable[[Parts], Awaitable[T]]) -> T:
    """Run `work` with the parts that the environment's settings describe."""
    settings = quiet_settings()
    with uncollected():
        from lime_server.composition import open_parts

    async def run() -> T:
        async with open_parts(settings) as parts:
            return await work(parts)

    return finish(run())


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end."""
    import asyncio

    return asyncio.run(work)


def quiet_settings() -> Settings:
    """The environment's settings, with only warnings logged: the answer is what counts."""
    from lime_server import logging
    from lime_server.settings import load

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
