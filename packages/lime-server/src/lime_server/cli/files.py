"""Small files that hold secrets."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

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
