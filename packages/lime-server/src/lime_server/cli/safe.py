"""The safe that backups are kept in: what `lime-server backup` and `restore` do."""

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from lime_server.cli.files import new_file
from lime_server.cli.speech import CommandError, quiet_settings
from lime_server.core.clock import SystemClock
from lime_server.infrastructure import backup as backups
from lime_server.infrastructure import master_key
from lime_server.infrastructure.postgres.migrator import MigrationError
from lime_server.settings import Settings, SettingsError

SHORTEST_PASSPHRASE = 15
"""Bytes. NIST SP 800-63B-4 section 3.1.1.2 wants as many characters of a password that stands
alone; whoever has the file can guess for as long as they like."""


def fill(output: Path, passphrase_file: Path) -> dict[str, object]:
    """Write a backup of the settings' deployment to `output`; returns what it holds.

    `output` is a new file, or a folder, in which the file is named after the moment.

    Raises what `plain_errors` expects; there is no file then.
    """
    settings = quiet_settings()
    passphrase = _passphrase(passphrase_file)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise CommandError(
            f"The passphrase has less than {SHORTEST_PASSPHRASE} bytes: whoever gets the file "
            "could guess it. Make one with: openssl rand -base64 24"
        )
    key = master_key.existing(settings)
    if key is None:
        raise CommandError(f"There is no master key in {settings.master_key_file}.")
    now = SystemClock().now()
    if output.is_dir():
        output /= f"lime-{now:%Y%m%dT%H%M%SZ}.backup"
    with new_file(output) as file:
        sink = backups.SealedWriter(file, passphrase, salt=secrets.token_bytes(backups.SALT_BYTES))
        written = asyncio.run(
            backups.dump(
                settings.database_url.get_secret_value(),
                sink,
                master_key=key,
                public_url=str(settings.public_url),
                now=now,
            )
        )
    return {"file": str(output), "bytes": output.stat().st_size, **_counts(written)}


def empty(path: Path, passphrase_file: Path, *, only_check: bool) -> dict[str, object]:
    """Restore what is in `path`, or only read it to its end; returns what it holds.

    Raises what `plain_errors` expects; nothing was changed then.
    """
    opened = _open(path, _passphrase(passphrase_file))
    with opened.file:
        if only_check:
            content = backups.check(opened.manifest, opened.source)
        else:
            content = _restore(quiet_settings(), opened)
    manifest = opened.manifest
    return {
        "made_at": f"{manifest.made_at:%Y-%m-%dT%H:%M:%SZ}",
        "version": manifest.version,
        "public_url": manifest.public_url,
        **_counts(content),
    }


@dataclass(frozen=True, slots=True)
class _Opened:
    file: BinaryIO
    source: backups.SealedReader
    manifest: backups.Manifest


def _open(path: Path, passphrase: bytes) -> _Opened:
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(path.open("rb"))
        except OSError as error:
            raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
        source = backups.SealedReader(file, passphrase)
        manifest = backups.read_manifest(source)
        closing.pop_all()
    return _Opened(file, source, manifest)


def _restore(settings: Settings, opened: _Opened) -> backups.Content:
    url = settings.database_url.get_secret_value()
    with _master_key_in_place(settings, opened.manifest.master_key):
        content = asyncio.run(backups.load(url, opened.manifest, opened.source))
    if str(settings.public_url) != opened.manifest.public_url:
        typer.echo(
            f"lime-server: passports were issued by {opened.manifest.public_url}; until sites "
            f"are told of {settings.public_url}, they refuse new ones.",
            err=True,
        )
    return content


@contextlib.contextmanager
def _master_key_in_place(settings: Settings, key: bytes) -> Iterator[None]:
    """The settings' master key is `key`: it is already, or it is once the block succeeded.

    Raises CommandError when it is another one: it may be somebody else's only copy. A block that
    fails leaves no key behind if it is certain that nothing was restored.
    """
    held = master_key.existing(settings)
    if held is not None and not hmac.compare_digest(held, key):
        raise CommandError(
            "The settings have another master key than the backup. Let LIME_MASTER_KEY_FILE name "
            "a file that does not exist, and the backup's key is written there."
        )
    if held is not None or settings.master_key_file is None:
        yield
        return
    try:
        master_key.make(settings.master_key_file, key)
    except OSError as error:
        raise CommandError(
            f"Cannot write the master key to {settings.master_key_file}: {error.strerror}."
        ) from None
    try:
        yield
    except (backups.BackupError, MigrationError):
        settings.master_key_file.unlink()
        raise
    except BaseException:
        # A connection that breaks, or somebody who does, may do so after the database was told to
        # keep what it has: then there is no other key to it on this machine.
        typer.echo(
            f"lime-server: {settings.master_key_file} holds the backup's master key. It stays: "
            "whether the database was filled is not certain. Running this again will tell.",
            err=True,
        )
        raise


def _passphrase(path: Path) -> bytes:
    try:
        content = master_key.read_private(path, called="the passphrase file")
    except OSError as error:
        raise SettingsError(
            f"the passphrase file {path} cannot be read: {error.strerror}"
        ) from None
    return content.partition(b"\n")[0].removesuffix(b"\r")


def _counts(content: backups.Content) -> dict[str, object]:
    return {"tables": len(content.rows), "rows": sum(content.rows.values())}
