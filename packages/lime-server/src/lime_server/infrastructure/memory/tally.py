"""Counts of what happened, kept in memory."""

from collections import Counter


class MemoryTally:
    """Counts for whoever asks, in a test."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.logins: Counter[str] = Counter()
        self.open_streams = 0

    def login(self, outcome: str, count: int = 1) -> None:
        """Login requests that were created, approved, denied, expired or delivered."""
        self.logins[outcome] += count

    def stream_opened(self) -> None:
        """One more event stream is open."""
        self.open_streams += 1

    def stream_closed(self) -> None:
        """One event stream less is open."""
        self.open_streams -= 1
