"""`lime-server migrate`."""

import typer

from lime_server.cli.speech import CommandError, finish, plain_errors, quiet_settings

PATIENCE = 60.0
"""Seconds for which PostgreSQL is waited for: it takes about that long where both are started
together, and whoever starts this again (Kubernetes does) learns soon that it is not there."""


def migrate() -> None:
    """Bring the database to this version. Safe to run from several machines at once."""
    with plain_errors():
        from lime_server.core.errors import Unavailable
        from lime_server.infrastructure.postgres import migrator
        from lime_server.infrastructure.postgres.waiting import why

        url = quiet_settings().database_url.get_secret_value()
        try:
            applied = finish(migrator.migrate(url, patience=PATIENCE))
        except Unavailable as error:
            raise CommandError(f"PostgreSQL: {why(error)}.") from None
        for name in applied:
            typer.echo(f"applied {name}")
        if not applied:
            typer.echo("the database is up to date")
