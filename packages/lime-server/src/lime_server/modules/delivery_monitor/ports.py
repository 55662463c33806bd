"""What the delivery monitor needs from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lime_server.core.ports import Limit
from lime_server.foundation.streams import LiveStream


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event on its way, or arrived; without its passport, which does not exist yet."""

    event_id: str
    kind: str
    agent_id: str | None
    created_at: datetime
    deliver_until: datetime
    leased_to: str | None
    """The worker it was last given to."""
    leased_until: datetime | None
    acknowledged_at: datetime | None


class DeliveryLog(Protocol):
    """Where events on their way are kept. May raise `core.errors.Unavailable`.

    Each gives at most `limit` events of a site that can be sent at `now`.
    """

    async def waiting(self, site_id: str, *, now: datetime, limit: int) -> list[SentEvent]:
        """Those not acknowledged, oldest first."""
        ...

    async def delivered(self, site_id: str, *, now: datetime, limit: int) -> list[SentEvent]:
        """Those acknowledged, newest first."""
        ...

    async def send_again(self, site_id: str, event_id: str, *, now: datetime) -> bool:
        """Make it due again: no acknowledgement, no lease.

        False, with nothing changed, if it is not this site's or can no longer be sent. What became
        of the login stays as it is: a login is delivered once, an event perhaps more often.
        """
        ...


class OpenStreams(Protocol):
    """Knows who is connected."""

    async def streams(self, site_id: str) -> Sequence[LiveStream]:
        """All open streams of this site, longest open first."""
        ...


class Streams(Protocol):
    """Reaches every open stream, in every process, as far as the bell carries."""

    async def show_again(self, site_id: str, event_id: str) -> None:
        """Let every stream of the site look at this event again, had it or not."""
        ...

    async def say_test(self, site_id: str) -> None:
        """Put a test frame on every stream of the site."""
        ...


class Slowing(Protocol):
    """Counts what could be done too often."""

    async def take(self, key: str, limit: Limit) -> None:
        """Count one use of `key`. Raises `core.errors.RateLimited`."""
        ...
