"""What the site login needs from outside."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from lime_server.modules.site_login.model import DueEvent, Event, KnownLogin, Lease, Login

TOPIC = "site-login"
"""What is rung when a login request was decided; the ident is `site id/request id`."""
AGAIN = "site-login-again"
"""What is rung when an event is to be sent once more; the ident is the same."""
TEST = "site-login-test"
"""What is rung when a site's streams are to carry a test frame; the ident is `site id/`."""


class LoginStore(Protocol):
    """Where login requests are kept. Everything may raise `core.errors.Unavailable`."""

    async def add(self, login: Login) -> None:
        """Keep a new request."""
        ...

    async def find(self, request_id: str) -> KnownLogin | None:
        """The request as it was last written; `Login.at` says how it stands now."""
        ...

    async def decide(
        self, old: Login, new: Login, event: Event, lease: Lease | None = None
    ) -> bool:
        """Replace `old` by `new` and keep `event`, both or neither, and durably.

        With `lease` the event is leased from the start, as if `EventStore.lease` had given it out.

        False, with nothing written, if somebody was faster or `old` expired before
        `new.decided_at`.
        """
        ...

    async def expire(self, now: datetime, *, deliver_until: datetime, limit: int) -> list[Event]:
        """Expire at most `limit` requests that are due, each with its event; returns the events.

        Safe with many servers at once: each request is expired by one of them.
        """
        ...

    async def prune(
        self, now: datetime, *, requests_before: datetime, events_before: datetime, limit: int
    ) -> int:
        """Delete at most `limit` requests that were made before `requests_before` and are decided,
        and as many events of requests made before `events_before`; returns how many rows went.

        What can still be sent at `now` stays, and so does its request.
        """
        ...


class EventStore(Protocol):
    """Events on their way. Everything may raise `core.errors.Unavailable`."""

    async def lease(
        self,
        consumers: Mapping[str, str],
        *,
        resuming: Collection[str],
        now: datetime,
        until: datetime,
        limit: int,
    ) -> list[DueEvent]:
        """Lease due events, at most `limit` for each site, oldest first.

        `consumers` maps a site id to the consumer that is to get them. Due is what is not
        acknowledged, not past its delivery window, and not leased to anyone else after `now`. For
        sites in `resuming` the consumer's own running leases are due too: its stream is new, so
        what the last one carried may not have arrived.
        """
        ...

    async def recent(
        self, site_ids: Collection[str], *, now: datetime, since: datetime, limit: int
    ) -> list[DueEvent]:
        """Events of these sites that can be sent at `now`, oldest first. Leases nothing.

        For each site the oldest `limit` of those not acknowledged, and the newest `limit` of those
        made at `since` or later, acknowledged or not.
        """
        ...

    async def named(self, event_ids: Collection[str], *, now: datetime) -> list[DueEvent]:
        """Those events that can be sent at `now`, acknowledged or not. Leases nothing."""
        ...

    async def acknowledge(self, site_id: str, event_ids: Sequence[str], now: datetime) -> int:
        """Note that the site has these events; its approved requests become DELIVERED.

        Ids that are unknown, or another site's, change nothing. Returns how many requests became
        DELIVERED.
        """
        ...

    async def decided(self, request_ids: Collection[str]) -> set[str]:
        """Those requests that are no longer written as PENDING, or no longer there."""
        ...


class SiteStanding(Protocol):
    """Says which sites may no longer be served, and which of their tokens no longer work."""

    async def suspended(self, site_ids: Collection[str]) -> set[str]:
        """Those of `site_ids` that are suspended, or no longer there."""
        ...

    async def spent(self, token_hashes: Collection[bytes], now: datetime) -> set[bytes]:
        """Those of these tokens, by hash, that let no site in at `now` (any more)."""
        ...


class Rung(Protocol):
    """Something to wait on."""

    async def wait(self) -> object:
        """Return once it is set."""
        ...

    def clear(self) -> None:
        """Forget that it was set."""
        ...


class Place(Protocol):
    """Room for one event in one open stream."""

    @property
    def lease(self) -> Lease | None:
        """Under which the event is that stream's; None where nobody shares the work."""
        ...

    def give(self, due: DueEvent) -> None:
        """Send `due`, which was kept under the lease."""
        ...


class Watch(Protocol):
    """Tells one waiter about one request, and the streams of this process about an event."""

    def place(self, site_id: str) -> AbstractContextManager[Place]:
        """Within the context, room is kept for an event of this site that is about to be written.

        Whatever is given there needs not be read again by this process. What is not given, or finds
        no room, is delivered as everything is: from what was written.
        """
        ...

    def watching(self, request_id: str) -> AbstractContextManager[Rung]:
        """Within the context, what it gives is set whenever the request may have been decided."""
        ...

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop, so that nobody should wait any longer."""
        ...


class Tally(Protocol):
    """Counts for operators."""

    def login(self, outcome: str, count: int = 1) -> None:
        """Login requests that were created, approved, denied, expired or delivered."""
        ...

    def stream_opened(self) -> None:
        """One more event stream is open."""
        ...

    def stream_closed(self) -> None:
        """One event stream less is open."""
        ...
