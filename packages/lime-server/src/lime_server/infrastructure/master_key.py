"""The master key: 32 bytes from the settings, or from a file that only its owner can read."""

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

from lime_server.settings import Settings, SettingsError

SIZE = 32
LONGEST_FILE = 4096
"""Bytes; a longer file is another one than was meant."""


def master_key(settings: Settings) -> bytes:
    """The 32 bytes from which every other secret is derived.

    Raises SettingsError, saying what to do and showing nothing, when they cannot be had.
    """
    if settings.master_key is not None:
        return parse(settings.master_key.get_secret_value(), origin="LIME_MASTER_KEY")
    assert settings.master_key_file is not None  # noqa: S101 - the settings hold one of the two
    return from_file(settings.master_key_file)


def existing(settings: Settings) -> bytes | None:
    """The same; None when the file of the settings does not exist yet.

    Raises SettingsError.
    """
    file = settings.master_key_file
    return None if file is not None and not file.exists() else master_key(settings)


def made(settings: Settings) -> bytes:
    """The same; makes the file, mode 0600, when there is none. For a first start, and nothing else.

    Raises SettingsError.
    """
    path = settings.master_key_file
    if path is not None:
        try:
            with contextlib.suppress(FileExistsError):
                if not path.exists():
                    make(path, secrets.token_bytes(SIZE))
        except OSError as error:
            raise _unusable(path, error) from None
    return master_key(settings)


def parse(text: str, *, origin: str) -> bytes:
    """Read 64 hexadecimal digits, or base64 in either alphabet; `origin` is named in the error."""
    text = text.strip()
    key = b""
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        key = bytes.fromhex(text)
    elif re.fullmatch(r"[A-Za-z0-9+/_-]{43}=?", text):
        with contextlib.suppress(binascii.Error):
            key = base64.b64decode(text.rstrip("=") + "=", altchars=b"-_")
    if len(key) != SIZE:
        raise SettingsError(
            f"{origin} must hold 32 random bytes as 64 hexadecimal digits or as base64, "
            "for example from: openssl rand -hex 32"
        )
    # Random bytes repeat so much less often than once in 2^100 tries.
    if len(set(key)) < 8:
        raise SettingsError(f"{origin} is not random: make one with openssl rand -hex 32")
    return key


def from_file(path: Path) -> bytes:
    """Read the key in `path`.

    Raises SettingsError when it cannot be read, or when others may read or change it.
    """
    try:
        text = read_private(path, called="the master key file").decode(errors="replace")
    except OSError as error:
        raise _unusable(path, error) from None
    return parse(text, origin=f"the master key file {path}")


def _unusable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"the master key file {path} cannot be used: {error.strerror}")


def make(path: Path, key: bytes) -> None:
    """Make a file, mode 0600, that holds `key`. Raises FileExistsError, and other OSErrors."""
    # Written beside it and linked into place: whoever comes second finds a whole key, never a
    # part of one, and exactly one of two first starts wins.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _is_open_to_others(mode: int, *, owner: int, us: int) -> bool:
    """Whether somebody but us, and root, may read or change a file.

    Where root has put it there for us, our group may read it: so do Kubernetes and systems with
    packages give secrets to a service, and PostgreSQL takes its own.
    """
    return bool(mode & (0o037 if owner == 0 != us else 0o077))


def read_private(path: Path, *, called: str) -> bytes:
    """What is in a secret's file; `called` names it in errors.

    Raises SettingsError when others may read or change it or when it is too long, and OSError.
    """
    # Checked on the open file, so that it cannot be exchanged in between.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"{called} {path} is not a plain file")
        if _is_open_to_others(found.st_mode, owner=found.st_uid, us=os.geteuid()):
            raise SettingsError(f"{called} {path} can be used by others: run chmod 600 on it")
        content = file.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise SettingsError(f"{called} {path} has more than {LONGEST_FILE} bytes")
    return content
