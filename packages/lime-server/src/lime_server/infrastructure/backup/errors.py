"""Why there is no backup, or no restoring one."""


class BackupError(Exception):
    """It cannot be done, and nothing was changed; the message is for the operator.

    ::

        BackupError
        ├── DamagedError        the file is not what was written, or the passphrase is another
        ├── NewerBackupError    a newer lime-server wrote it
        └── NotEmptyError       there is something where it would be restored
    """


class DamagedError(BackupError):
    """The file is not one, is not whole, was changed, or needs another passphrase."""


class NewerBackupError(BackupError):
    """The file holds what this version does not know."""


class NotEmptyError(BackupError):
    """The database already has a deployment in it."""
