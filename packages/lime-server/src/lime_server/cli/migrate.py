"""`lime-server migrate`."""

import typer

from lime_server.cli.speech import finish, plain_errors, quiet_settings


def migrate() -> None:
    """Bring the database to this version. Safe to run from several machines at once."""
    with plain_errors():
        from lime_server.infrastructure.postgres import migrator

        url = quiet_settings().database_url.get_secret_value()
        applied = finish(migrator.migrate(url))
        for name in applied:
            typer.echo(f"applied {name}")
        if not applied:
            typer.echo("the database is up to date")
