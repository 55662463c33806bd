"""Files that others may not read, and that are written whole or not at all."""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from lime_server.cli.speech import CommandError


def write_private(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON object that only we can read, all at once: no reader ever sees half of it.

    Raises:
        CommandError: it cannot be written there.
    """
    try:
        # `mkstemp` makes the file with mode 0600, and beside its place, so that it can be renamed.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(Path(name).unlink, missing_ok=True)
            with os.fdopen(handle, "w") as file:
                json.dump(values, file, indent=2)
                file.write("\n")
            Path(name).replace(path)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file, mode 0600, that has its name only once the block succeeded, and is then on the disk.

    Raises CommandError if there is one of that name, or if it cannot be written.
    """
    if path.exists():
        raise CommandError(f"There is a file {path} already.")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(draft.unlink, missing_ok=True)
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # Unlike a renaming, it never replaces what is there.
            os.link(draft, path)
    except OSError as error:
        raise CommandError(f"Cannot write {path}: {error.strerror}.") from None


@contextlib.contextmanager
def gone_afterwards(path: Path | None) -> Iterator[None]:
    """Remove the file before and after the block, in which somebody may write it."""
    try:
        _remove(path)
        yield
    finally:
        _remove(path)


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)
