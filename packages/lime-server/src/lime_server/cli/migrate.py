"""`lime-server migrate`."""

import asyncio

import typer

from lime_server.cli.speech import plain_errors, quiet_settings
from lime_server.infrastructure.postgres import migrator


def migrate() -> None:
    """Bring the database to this version. Safe to run from several machines at once."""
    with plain_errors():
        url = quiet_settings().database_url.get_secret_value()
        applied = asyncio.run(migrator.migrate(url))
        for name in applied:
            typer.echo(f"applied {name}")
        if not applied:
            typer.echo("the database is up to date")
