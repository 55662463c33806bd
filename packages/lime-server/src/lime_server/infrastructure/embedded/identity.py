"""Whom the engines run as, and which paths that user can enter.

PostgreSQL refuses to run as root. A root-run `lime-server dev` therefore hands its engines to an
account that owns nothing else. It creates none: changing the machine's users is not a development
server's business.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lime_server.infrastructure.embedded.errors import FolderUnusableError

# In this order. Both exist on nearly every Unix; `postgres` only where a packaged PostgreSQL was
# once installed.
_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """An account that engines run as."""

    uid: int
    gid: int
    name: str

    def can_enter(self, folder: Path) -> bool:
        """Whether this account may pass through `folder` and everything above it."""
        return all(self._may_search(step.stat()) for step in (folder, *folder.parents))

    def _may_search(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def engine_identity(
    cluster: Path, *, euid: int, find: Callable[[str], pwd.struct_passwd] = pwd.getpwnam
) -> Identity | None:
    """The account for engines whose data belongs in `cluster`; None stands for our own.

    Raises:
        FolderUnusableError: the data belongs to an account that we cannot become, or there is none
            to become.
    """
    owner = cluster.stat() if cluster.exists() else None
    if euid != 0:
        if owner is not None and owner.st_uid != euid:
            raise FolderUnusableError(
                f"The database in {cluster} belongs to the user {_name(owner.st_uid)}: "
                "run as that user or as root, or choose another folder with --data."
            )
        return None
    # Root continues as whoever began: PostgreSQL insists on owning its data.
    if owner is not None and owner.st_uid != 0:
        return Identity(owner.st_uid, owner.st_gid, _name(owner.st_uid))
    for account in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = find(account)
            return Identity(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise FolderUnusableError(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` "
        "account to run it as. Start lime-server as an ordinary user."
    )


def hand_over(path: Path, identity: Identity | None) -> None:
    """Make `path` belong to `identity`; for our own account there is nothing to do."""
    if identity is not None:
        os.chown(path, identity.uid, identity.gid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
