"""Open streams and events on their way, as the delivery monitor shows them, in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from lime_server.foundation.streams import LiveStream
from lime_server.infrastructure.memory.site_login import MemorySiteLogin
from lime_server.modules.delivery_monitor.ports import SentEvent


class MemoryPresence:
    """Where servers of one process write down their streams."""

    def __init__(self) -> None:
        """No servers."""
        self._seen: dict[str, datetime] = {}
        self._streams: dict[tuple[str, str], list[LiveStream]] = {}

    async def beat(self, server_id: str, now: datetime, *, gone_before: datetime) -> bool:
        """Note that this server lives; True if nothing was known of it."""
        for other in [one for one, seen in self._seen.items() if seen < gone_before]:
            if other != server_id:
                await self.leave(other)
        is_new = server_id not in self._seen
        self._seen[server_id] = now
        return is_new

    async def write(self, server_id: str, changed: Mapping[str, Sequence[LiveStream]]) -> None:
        """Replace what is known of this server's streams to these sites."""
        for site_id, streams in changed.items():
            self._streams.pop((server_id, site_id), None)
            if streams:
                self._streams[server_id, site_id] = list(streams)

    async def elsewhere(
        self, site_id: str, server_id: str, *, gone_before: datetime
    ) -> list[LiveStream]:
        """Streams of this site to other servers that live."""
        return [
            stream
            for (server, site), streams in self._streams.items()
            if site == site_id and server != server_id and self._seen[server] >= gone_before
            for stream in streams
        ]

    async def leave(self, server_id: str) -> None:
        """Forget this server."""
        self._seen.pop(server_id, None)
        for key in [key for key in self._streams if key[0] == server_id]:
            del self._streams[key]


class MemoryDeliveryLog:
    """Events on their way to a site."""

    def __init__(self, shared: MemorySiteLogin) -> None:
        """Read them from `shared`."""
        self._shared = shared

    async def waiting(self, site_id: str, *, now: datetime, limit: int) -> list[SentEvent]:
        """What is not acknowledged and can still be sent, oldest first."""
        found = [event for event in self._alive(site_id, now) if event.acknowledged_at is None]
        return found[:limit]

    async def delivered(self, site_id: str, *, now: datetime, limit: int) -> list[SentEvent]:
        """What is acknowledged and could still be sent again, newest first."""
        found = [event for event in self._alive(site_id, now) if event.acknowledged_at]
        return found[::-1][:limit]

    async def send_again(self, site_id: str, event_id: str, *, now: datetime) -> bool:
        """Make it due again."""
        row = self._shared.events.get(event_id)
        if row is None or row.event.site_id != site_id or row.event.deliver_until <= now:
            return False
        row.acknowledged_at = row.leased_to = row.leased_until = None
        return True

    def _alive(self, site_id: str, now: datetime) -> list[SentEvent]:
        events = [
            SentEvent(
                event_id=row.event.event_id,
                kind=row.event.kind,
                agent_id=row.event.agent_id,
                created_at=row.event.created_at,
                deliver_until=row.event.deliver_until,
                leased_to=row.leased_to,
                leased_until=row.leased_until,
                acknowledged_at=row.acknowledged_at,
            )
            for row in self._shared.events.values()
            if row.event.site_id == site_id and row.event.deliver_until > now
        ]
        return sorted(events, key=lambda event: (event.created_at, event.event_id))
