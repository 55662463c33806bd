"""A copy of the repository in which things may be broken on purpose.

Its packages come first on PYTHONPATH, so that a plant in their sources counts; the compiled
modules are those of the environment. The work tree itself is never touched.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0
"""Seconds for one command: generous, because a loaded machine may also be compiling."""

# Not in Git, and needed by some commands: these lead to what `make setup` has made.
_MADE = (
    ".venv",
    "packages/lime-portal/node_modules",
    "packages/lime-server/src/lime_server/portal",
    "tests/interop/typescript/node_modules",
)


class StalePlantError(AssertionError):
    """A plant does not fit the repository any more: what it replaces is not there exactly once."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One violation, in one file."""

    path: str
    new: str
    old: str | None = None
    """What `new` replaces; without it, `new` is appended to the file, which is made if need be."""

    def applied(self, text: str) -> str:
        """The file's text with the violation. Raises StalePlantError."""
        if self.old is None:
            return text + self.new
        if text.count(self.old) != 1:
            raise StalePlantError(f"{self.path} has {self.old!r} {text.count(self.old)} times")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    output: str


class Scratch:
    """The copy. `make` it in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, folder: Path) -> "Scratch":
        """Copy what Git knows, or would know once it is added, and link what was built."""
        for name in _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"):
            source, target = ROOT / name, folder / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                # As new: Cargo tells by the time whether what it has compiled is of this copy.
                shutil.copy(source, target, follow_symlinks=False)
        for name in _MADE:
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).symlink_to(ROOT / name, target_is_directory=True)
        # Some checks ask Git for files, and get those of the copy.
        _git(folder, "init", "--quiet")
        return cls(folder)

    @contextmanager
    def with_planted(self, plants: Sequence[Plant]) -> Iterator[None]:
        """The copy has these violations for as long as the block lasts."""
        paths = [self.folder / plant.path for plant in plants]
        before = {path: path.read_text() if path.exists() else None for path in paths}
        try:
            for path, plant in zip(paths, plants, strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(plant.applied(path.read_text() if path.exists() else ""))
            yield
        finally:
            for path, text in before.items():
                if text is not None:
                    path.write_text(text)
                else:
                    path.unlink(missing_ok=True)

    def run(self, command: str, patience: float = PATIENCE) -> Outcome:
        """Run a shell's line in the copy; what is still running after `patience` seconds fails."""
        with subprocess.Popen(
            command,
            shell=True,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                # The shell and what it started, which hold the other end of the pipe.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Outcome(process.returncode, output)

    def _environment(self) -> dict[str, str]:
        sources = sorted(map(str, self.folder.glob("packages/*/src")))
        # Of the tests that run us, nothing reaches the tests that we run.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "COV_", "COVERAGE_"))
        }
        return {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
            "PYTHONPATH": os.pathsep.join(sources),
            # Bytecode is told from newer source by seconds, and a plant does not stay for one.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Not one that others use: Cargo takes crates at the same place in two copies of a
            # workspace for the same crate.
            "CARGO_TARGET_DIR": str(self.folder / "target"),
            "NO_COLOR": "1",
        }


def _git(folder: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    return [name for name in done.stdout.split("\0") if name]
