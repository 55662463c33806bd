"""Whether a gate bites: silent in the repository as it is, and loud about what is planted."""

from tests.gates.scratch import Scratch
from tests.gates.table import Gate


class SilentGateError(AssertionError):
    """A gate lets its violation pass, or says no for another reason."""


class SelfTest:
    """Tries gates out in one copy of the repository."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._passing: set[str] = set()

    def prove(self, gate: Gate) -> None:
        """Return if the gate bites. Raises SilentGateError or StalePlantError."""
        # 1. Without plants it says nothing; else its complaint would prove nothing. Once for each
        #    command, as several gates share one.
        if gate.command not in self._passing:
            found = self._scratch.run(gate.command)
            if found.status != 0:
                raise SilentGateError(f"fails without a plant: {gate.command}\n{found.output}")
            self._passing.add(gate.command)
        # 2. With them it fails,
        with self._scratch.with_planted(gate.plants):
            found = self._scratch.run(gate.command)
        if found.status == 0:
            raise SilentGateError(f"lets its plant pass: {gate.command}\n{found.output}")
        # 3. and for their sake.
        if gate.says not in found.output:
            raise SilentGateError(f"does not say {gate.says!r}: {gate.command}\n{found.output}")
