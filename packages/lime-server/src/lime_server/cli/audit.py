"""`lime-server audit verify|export`."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from lime_server.cli.create import owner_id_of
from lime_server.cli.files import new_file
from lime_server.cli.speech import AsJson, CommandError, plain_errors, with_parts
from lime_server.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from lime_server.composition import Parts
    from lime_server.foundation.audit import Head, Verified

audits = typer.Typer(help="The log of who did what.", no_args_is_help=True)


@audits.command()
def verify(
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="What `audit export` wrote before: nothing of it may be missing now."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Is every entry what was written, and none missing? Ends with 1 if not, naming the first."""

    async def work(parts: Parts) -> Verified:
        return await parts.audit.verify(exported)

    with plain_errors():
        exported = {} if against is None else _exported(against)
        found = with_parts(work)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        for flaw in found.flaws:
            typer.echo(f"owner {flaw.owner_id}, entry {flaw.sequence}: {flaw.what}")
        typer.echo(f"{found.entries} entries in {found.chains} chains, {len(found.flaws)} flaws")
    if found.flaws:
        raise typer.Exit(1)


@audits.command()
def export(
    owner: Annotated[
        str | None, typer.Option("--owner", help="Whose: an id or e-mail address. Default: all.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="A new file, mode 0600. Default: standard output."),
    ] = None,
) -> None:
    """Write the log as JSON lines, with the hashes of the chains, owner by owner, oldest first."""

    async def work(parts: Parts) -> None:
        from lime_server.foundation.audit import export_line

        chains = await parts.audit.owners() if owner is None else [await _named(parts, owner)]
        with _opened(output) as file:
            for chain in chains:
                async for entry in parts.audit.entries(chain):
                    file.write(export_line(entry))

    with plain_errors():
        with_parts(work)


def _exported(path: Path) -> dict[str, Head]:
    from lime_server.foundation.audit import exported_heads

    try:
        with path.open("rb") as file:
            return exported_heads(file)
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
    except InvalidInput as error:
        raise CommandError(f"{path}: {error.message}") from None


async def _named(parts: Parts, owner: str) -> str:
    try:
        return await owner_id_of(parts, owner)
    except NotFound:
        raise CommandError(f"There is no owner {owner}.") from None


def _opened(path: Path | None) -> contextlib.AbstractContextManager[BinaryIO]:
    # A short file would pass for all there was, and `verify` would not miss the rest.
    return contextlib.nullcontext(sys.stdout.buffer) if path is None else new_file(path)
