"""The data folder: one owner at a time, and a short way to its sockets.

DIR/
  lock        held by the process that works here; says its number
  postgres/   the database
  log/        what the engines said since their last start
  run         -> a short-lived folder with a short path: sockets, at times a copy of the programs
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lime_server.infrastructure.embedded.errors import FolderInUseError, FolderUnusableError
from lime_server.infrastructure.embedded.identity import Identity, hand_over
from lime_server.infrastructure.embedded.locate import Binaries

# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, with the final zero.
_LONGEST_SOCKET = 103
_SOCKET_IN_RUN = "/lime-12345678/s/.s.PGSQL.5432"
_RUN_PREFIX = "lime-"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that we hold the lock of."""

    path: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.path / "postgres"

    @property
    def cluster_version(self) -> int | None:
        """The PostgreSQL major version that made the data; None if there is none yet."""
        try:
            return int((self.cluster / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def log(self, engine: str) -> Path:
        """Where `engine` logs to."""
        return self.path / "log" / f"{engine}.log"


@contextlib.contextmanager
def data_folder(path: Path) -> Iterator[DataFolder]:
    """Make the folder if need be, and hold its lock; the kernel lets go of it however we end.

    Raises:
        FolderInUseError: another process holds it; says which.
        FolderUnusableError: it cannot be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path.resolve()
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderUnusableError(f"Cannot keep data in {path}: {error.strerror}.") from error
    try:
        _take(lock, path)
        (path / "log").mkdir(mode=0o700, exist_ok=True)
        yield DataFolder(path)
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise FolderInUseError(
            f"Another lime-server (process {holder}) already uses {path}. "
            "Stop it first, or choose another folder with --data."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder with a short path, which `identity` can enter."""

    path: Path
    identity: Identity | None

    @property
    def sockets(self) -> Path:
        """Where the engines make their sockets; nobody but them and us can enter it."""
        return self.path / "s"

    def programs(self, binaries: Binaries) -> Path:
        """Where to run `binaries` from: their own place, or a copy if that is out of reach."""
        if self.identity is None or self.identity.can_enter(binaries.folder):
            return binaries.folder
        common = Path(os.path.commonpath([part.parent for part in binaries.parts]))
        copy = self.path / "programs" / binaries.source
        for part in binaries.parts:
            # The depth is kept: libraries are found by a path relative to the program.
            shutil.copytree(
                part,
                copy / part.relative_to(common),
                ignore=shutil.ignore_patterns("include", "*.a"),
            )
        return copy / binaries.folder.relative_to(common)


@contextlib.contextmanager
def run_folder(folder: DataFolder, identity: Identity | None) -> Iterator[RunFolder]:
    """Make a short-lived folder for sockets; after a crash, the next start removes it.

    Raises:
        FolderUnusableError: every folder for temporary files has too long a path for a socket.
    """
    link = folder.path / "run"
    _remove_old(link)
    run = Path(tempfile.mkdtemp(prefix=_RUN_PREFIX, dir=short_place(identity, _temporary())))
    try:
        link.symlink_to(run)
        made = RunFolder(run, identity)
        made.sockets.mkdir(mode=0o700)
        hand_over(made.sockets, identity)
        # Others may pass, so that the engines' account can; only we may look or write.
        run.chmod(0o711 if identity is not None else 0o700)
        yield made
    finally:
        shutil.rmtree(run, ignore_errors=True)
        link.unlink(missing_ok=True)


def short_place(identity: Identity | None, places: Iterable[Path]) -> Path:
    """The first of `places` whose path leaves room for a socket and that `identity` can enter.

    Raises:
        FolderUnusableError: none of them does.
    """
    for place in places:
        fits = len(os.fsencode(place)) + len(_SOCKET_IN_RUN) <= _LONGEST_SOCKET
        if fits and place.is_dir() and (identity is None or identity.can_enter(place)):
            return place
    raise FolderUnusableError(
        "Found no folder for temporary files with a path that is short enough: set TMPDIR to one."
    )


def _remove_old(link: Path) -> None:
    """Tidy up after a process that was killed; remove what the link names only if it is ours."""
    if not link.is_symlink():
        return
    old = link.readlink()
    ours = old.name.startswith(_RUN_PREFIX) and old.is_dir() and not old.is_symlink()
    if ours and old.stat().st_uid in {os.geteuid(), link.parent.stat().st_uid}:
        shutil.rmtree(old, ignore_errors=True)
    link.unlink()


def _temporary() -> tuple[Path, ...]:
    # `mkdtemp` makes a folder of our own there, whoever else writes to it.
    return Path(tempfile.gettempdir()), Path("/tmp")  # noqa: S108
