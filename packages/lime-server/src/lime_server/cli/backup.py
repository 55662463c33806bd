"""`lime-server backup` and `lime-server restore`."""

from pathlib import Path
from typing import Annotated

import typer

from lime_server.cli.speech import AsJson, plain_errors, show

PassphraseFile = Annotated[
    Path,
    typer.Option(help="File that holds the passphrase of the backup in its first line, mode 0600."),
]


def backup(
    output: Annotated[Path, typer.Option(help="A new file, mode 0600, or a folder for one.")],
    passphrase_file: PassphraseFile,
    as_json: AsJson = False,
) -> None:
    """Write the whole deployment, the master key included, into one encrypted file.

    Servers may run meanwhile. Without the passphrase nobody can read the file, you neither.
    """
    with plain_errors():
        from lime_server.cli import safe

        show(safe.fill(output, passphrase_file), as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="What `lime-server backup` wrote.")],
    passphrase_file: PassphraseFile,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only read the file to its end: is it whole, and could this version restore it? "
            "Needs no settings and no database.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fill an empty database from a backup, and bring it to this version. All of it, or nothing.

    Where LIME_MASTER_KEY_FILE names a file that does not exist, the master key is written there.
    """
    with plain_errors():
        from lime_server.cli import safe

        show(safe.empty(file, passphrase_file, only_check=check), as_json=as_json)
