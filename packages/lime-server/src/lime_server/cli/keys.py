"""`lime-server keys list|rotate|retire`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lime_server.cli.speech import AsJson, plain_errors, show, show_table, with_parts

if TYPE_CHECKING:
    from lime_server.composition import Parts
    from lime_server.core.keyring import Rotation
    from lime_server.core.keys import Key

keys = typer.Typer(help="The keys that sign passports.", no_args_is_help=True)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Show every key, oldest first, with its state: standby, active, retiring or gone."""

    async def work(parts: Parts) -> list[Mapping[str, object]]:
        return [_row(key) for key in await parts.keys.list()]

    with plain_errors():
        show_table(with_parts(work), as_json=as_json)


@keys.command()
def rotate(as_json: AsJson = False) -> None:
    """Publish a new key; run again when it is due, to let it sign. Servers also do that alone."""

    async def work(parts: Parts) -> Rotation:
        return await parts.keys.rotate()

    with plain_errors():
        done = with_parts(work)
        if as_json:
            show(_rotation(done), as_json=True)
        else:
            typer.echo(_sentence(done))


# One id in 64 begins with a hyphen (base64url), and must not be taken for an option.
@keys.command(context_settings={"ignore_unknown_options": True})
def retire(
    kid: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")],
    compromised: Annotated[
        bool,
        typer.Option(
            help="Somebody else may know it: withdraw it at once. Passports that it signed stop "
            "verifying."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a key out of use, as gently as its state allows."""

    async def work(parts: Parts) -> Key:
        return await parts.keys.retire(kid, compromised=compromised)

    with plain_errors():
        show(_row(with_parts(work)), as_json=as_json)


def _row(key: Key) -> dict[str, object]:
    return {
        "kid": key.kid,
        "state": str(key.state),
        "created": _time(key.created_at),
        "activated": _time(key.activated_at),
        "retired": _time(key.retired_at),
        "gone": _time(key.gone_at),
    }


def _rotation(done: Rotation) -> dict[str, object]:
    return {
        "active": done.active,
        "standby": done.standby,
        "signs_at": _time(done.signs_at),
        "made": done.made,
        "promoted": done.promoted,
    }


def _sentence(done: Rotation) -> str:
    if done.promoted:
        return f"{done.active} signs from now on."
    began = "is published now" if done.made else "is already published"
    return f"{done.standby} {began} and may sign from {_time(done.signs_at)}."


def _time(moment: datetime | None) -> str | None:
    # As on the wire (protocol section 1).
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
