"""A clock that stands still until it is told otherwise."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Time as a test wants it."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)) -> None:
        """Stand at `now`."""
        self._now = now

    def now(self) -> datetime:
        """The time it was last set to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Go on by `seconds`; a negative number steps back."""
        self._now += timedelta(seconds=seconds)
