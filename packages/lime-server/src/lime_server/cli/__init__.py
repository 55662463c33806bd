"""`lime-server`: what an operator and a developer type.

Every command says what went wrong in a sentence on standard error and ends with 1; 2 means that the
command line itself was wrong. Data goes to standard output, with `--json` as one JSON document.

A server takes most of a second to import, and help needs none of it: commands import what they work
with when they run. The modules that they do so for are `office`, `residents`, `safe` and
`welcome`.
"""

import os
from typing import Annotated

import typer

from lime_server import __version__
from lime_server.cli import audit, backup, check, create, dev, doctor, keys, migrate, serve
from lime_server.cli.speech import plain_errors
from lime_server.core import failpoints

__all__ = ["app"]

app = typer.Typer(
    name="lime-server",
    help="The LIME passport office: lets AI agents log in to sites.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show a token.
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lime-server {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[  # noqa: ARG001 - it has done its work before
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The LIME passport office: lets AI agents log in to sites."""
    with plain_errors():
        failpoints.arm(os.environ)


for command in (
    dev.dev,
    serve.serve,
    migrate.migrate,
    check.check,
    doctor.doctor,
    backup.backup,
    backup.restore,
):
    app.command()(command)
app.add_typer(keys.keys, name="keys")
app.add_typer(audit.audits, name="audit")
app.add_typer(create.owners, name="owner")
app.add_typer(create.agents, name="agent")
app.add_typer(create.sites, name="site")
