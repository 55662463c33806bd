"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.stage import Cast, Stage


@dataclass(frozen=True)
class Scenario:
    """What is done while logins happen."""

    name: str
    act: Callable[[Stage], None]
    """Does its worst until `stage.goes_on()` says no. What it leaves broken is mended afterwards.

    It may assert more than the ledger does, never how long something took.
    """
    cast: Cast = field(default_factory=Cast)
    telling: bool = False
    """Whether the short form has it as well."""
    unnoticed: bool = False
    """Whether no call of an SDK may fail."""
    alone: bool = False
    """Whether it needs servers of its own, because it leaves them changed."""
    about: str = ""

    @property
    def shares(self) -> bool:
        """Whether it can go on where another scenario has ended."""
        return not self.alone and self.cast == Cast()

    @property
    def says(self) -> str:
        """One line about it."""
        return self.about or (self.act.__doc__ or "").strip().splitlines()[0]
