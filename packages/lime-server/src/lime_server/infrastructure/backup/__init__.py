"""A deployment in one encrypted file, and back.

`sealed_file` is the file: records that are encrypted, in order and complete, or refused.
`snapshot` is what stands in them: every table of the database at one moment, and the master key.
"""

from lime_server.infrastructure.backup.errors import BackupError, DamagedError
from lime_server.infrastructure.backup.sealed_file import SALT_BYTES, SealedReader, SealedWriter
from lime_server.infrastructure.backup.snapshot import (
    Content,
    Manifest,
    check,
    dump,
    load,
    read_manifest,
)

__all__ = [
    "SALT_BYTES",
    "BackupError",
    "Content",
    "DamagedError",
    "Manifest",
    "SealedReader",
    "SealedWriter",
    "check",
    "dump",
    "load",
    "read_manifest",
]
