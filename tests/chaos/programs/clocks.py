"""Clocks that the rig can step while a process runs: a file holds the seconds to add."""

import time
from contextlib import suppress
from pathlib import Path


class Clocks:
    """This machine's clocks, plus what the file says. Without the file they are right."""

    def __init__(self, path: Path) -> None:
        """Read `path` at every look."""
        self._path = path

    def wall(self) -> float:
        """Unix seconds."""
        return time.time() + self._offset()[0]

    def monotonic(self) -> float:
        """Seconds that only the rig's own wish moves: what has passed, for caches."""
        return time.monotonic() + self._offset()[1]

    def _offset(self) -> tuple[float, float]:
        with suppress(FileNotFoundError, ValueError):
            wall, monotonic = self._path.read_text().split()
            return float(wall), float(monotonic)
        return 0.0, 0.0
