"""A file of encrypted records that are read as they were written, in order and to the last one.

::

    "lime backup 1\\n" ‖ salt (16 bytes) ‖ record ‖ record ‖ … ‖ record of kind END
    record = kind (1 byte) ‖ length of what follows (4 bytes, big-endian) ‖ sealed content

Content is sealed with AES-256-GCM (`lime_jwt.KeyEncryptionKey`) under a key of this file's own.
What is authenticated beside it is the beginning of the file, the record's number and its kind:
records cannot be left out, repeated, exchanged or taken from another file, and a file that was cut
off has no END. Random nonces allow 2³² records (NIST SP 800-38D): full ones are four pebibytes.
"""

from enum import IntEnum
from typing import BinaryIO, NamedTuple

from argon2.low_level import Type, hash_secret_raw

import lime_jwt
from lime_server.infrastructure.backup.errors import BackupError, DamagedError, NewerBackupError

_ANY_VERSION = b"lime backup "
_MAGIC = _ANY_VERSION + b"1\n"
SALT_BYTES = 16
"""As RFC 9106 section 3.1 recommends."""

_PASSES, _KIBIBYTES, _LANES = 3, 64 * 1024, 4
"""RFC 9106 section 4, second recommendation. They belong to the version in the first line: a file
that could choose them could make whoever reads it take any amount of memory."""
_PURPOSE = "lime:backup:v1"

LARGEST_CONTENT = 1 << 20
"""Bytes in one record: what is held in memory at once."""
_SEALING = 29
"""Bytes that sealing adds: version, nonce and tag."""


class Kind(IntEnum):
    """What a record holds."""

    MANIFEST = 1
    TABLE = 2
    ROWS = 3
    END = 4


class Record(NamedTuple):
    """One piece of the file, as it was written."""

    kind: Kind
    content: bytes


class SealedWriter:
    """Writes records. The file is whole once one of kind END was written."""

    def __init__(self, file: BinaryIO, passphrase: bytes, *, salt: bytes) -> None:
        """`salt` is SALT_BYTES of fresh randomness. Takes 64 MiB and a tenth of a second."""
        self._file = file
        self._key, self._name = _key_and_name(passphrase, salt)
        self._number = 0
        self._append(self._name)

    def write(self, kind: Kind, content: bytes) -> None:
        """Append one record of at most LARGEST_CONTENT bytes. Raises BackupError."""
        sealed = self._key.seal(content, context=_context(self._name, self._number, kind))
        self._append(bytes([kind]) + len(sealed).to_bytes(4, "big") + sealed)
        self._number += 1

    def _append(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise BackupError(f"The backup cannot be written: {error.strerror}.") from None


class SealedReader:
    """Reads what `SealedWriter` wrote, or raises."""

    def __init__(self, file: BinaryIO, passphrase: bytes) -> None:
        """Raises DamagedError for what is no backup, NewerBackupError for one of a later form."""
        self._file = file
        magic = self._some(len(_MAGIC))
        if magic != _MAGIC:
            if magic.startswith(_ANY_VERSION):
                raise NewerBackupError("The backup has a form that this lime-server does not know.")
            raise DamagedError("The file is not a backup of lime-server.")
        self._key, self._name = _key_and_name(passphrase, self._exactly(SALT_BYTES))
        self._number = 0

    def read(self) -> Record:
        """The next record; one of kind END is the last.

        Raises DamagedError if anything is not as it was written, up to the end of the file.
        """
        head = self._exactly(5)
        size = int.from_bytes(head[1:], "big")
        # Before so much is read.
        if size > LARGEST_CONTENT + _SEALING:
            raise self._damaged()
        sealed = self._exactly(size)
        try:
            kind = Kind(head[0])
            content = self._key.open(sealed, context=_context(self._name, self._number, kind))
        except ValueError:
            # lime_jwt.DecryptionError is one.
            raise self._damaged() from None
        if kind is Kind.END and self._some(1):
            raise DamagedError("Something was added to the end of the backup.")
        self._number += 1
        return Record(kind, content)

    def _exactly(self, size: int) -> bytes:
        found = self._some(size)
        if len(found) < size:
            raise DamagedError("The backup is cut off: its end is missing.")
        return found

    def _some(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise DamagedError(f"The backup cannot be read: {error.strerror}.") from None

    def _damaged(self) -> DamagedError:
        if self._number == 0:
            # They cannot be told apart: that is what makes guessing a passphrase dear.
            return DamagedError("The passphrase is another one, or the backup was changed.")
        return DamagedError(f"The backup was changed: record {self._number} is not as written.")


def _key_and_name(passphrase: bytes, salt: bytes) -> tuple[lime_jwt.KeyEncryptionKey, bytes]:
    """The key of a file, and what stands for its beginning in every record."""
    slow = hash_secret_raw(passphrase, salt, _PASSES, _KIBIBYTES, _LANES, 32, Type.ID)
    key = lime_jwt.KeyEncryptionKey(lime_jwt.TokenHasher.derive(slow, _PURPOSE))
    return key, _MAGIC + salt


def _context(name: bytes, number: int, kind: Kind) -> bytes:
    """What is authenticated beside a record."""
    return name + number.to_bytes(8, "big") + bytes([kind])
