"""Event streams that are open now, in this process and in others."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One open stream of a site."""

    consumer: str | None
    """The worker that shares the work; None for a stream that sees every event."""
    since: datetime
