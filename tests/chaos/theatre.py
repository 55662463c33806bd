"""One stage after the other; one that is still good is used again."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.scenario import Scenario
from tests.chaos.stage import Effort, Stage, opened


class Theatre:
    """Starting everything takes longer than most faults: what nobody changed is left standing."""

    def __init__(self, folder: Path, effort: Effort) -> None:
        """Nothing runs yet."""
        self._folder = folder
        self._effort = effort
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()
        self._shared: Stage | None = None

    @contextlib.contextmanager
    def stage_for(self, scenario: Scenario) -> Iterator[Stage]:
        """A stage on which everything runs. After a failure, nobody else gets it."""
        if not scenario.shares:
            self.close()
            with opened(self._place(), scenario.cast, self._effort) as stage:
                yield stage
            return
        stage = self._shared or self._stack.enter_context(
            opened(self._place(), scenario.cast, self._effort)
        )
        self._shared = None
        try:
            yield stage
        except BaseException:
            self.close()
            raise
        self._shared = stage

    def close(self) -> None:
        """End the stage that others could have used."""
        self._shared = None
        self._stack.close()

    def _place(self) -> Path:
        place = self._folder / f"stage-{next(self._numbers)}"
        place.mkdir()
        return place
