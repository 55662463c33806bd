"""Which streams are open where: each server writes down its own, so that all can be shown."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from logging import getLogger
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import Unavailable
from lime_server.foundation.streams import LiveStream

log = getLogger(__name__)

GONE_AFTER = timedelta(seconds=20)
"""A server that was not heard of for this long has no streams: it crashed, or cannot write."""


class Seats(Protocol):
    """This process's streams."""

    def streams(self) -> Mapping[str, Sequence[LiveStream]]:
        """Those of each site that has any, longest open first."""
        ...


class PresenceStore(Protocol):
    """Where servers write down their streams. May raise `core.errors.Unavailable`."""

    async def beat(self, server_id: str, now: datetime, *, gone_before: datetime) -> bool:
        """Note that this server lives; forgets servers not heard of since `gone_before`.

        True if nothing was known of this server, so that it has to write everything again.
        """
        ...

    async def write(self, server_id: str, changed: Mapping[str, Sequence[LiveStream]]) -> None:
        """Replace what is known of this server's streams to these sites; no streams, no row."""
        ...

    async def elsewhere(
        self, site_id: str, server_id: str, *, gone_before: datetime
    ) -> list[LiveStream]:
        """Streams of this site to other servers that were heard of at `gone_before` or later."""
        ...

    async def leave(self, server_id: str) -> None:
        """Forget this server."""
        ...


class Presence:
    """Writes down this server's streams, and reads those of the others."""

    def __init__(
        self,
        *,
        seats: Seats,
        store: PresenceStore,
        clock: Clock,
        server_id: str,
        interval: float = 2.0,
    ) -> None:
        """`server_id` is a UUID, made anew for every process. Writes every `interval` seconds."""
        self._seats = seats
        self._store = store
        self._clock = clock
        self._server_id = server_id
        self._interval = interval
        self._written: Mapping[str, Sequence[LiveStream]] = {}

    async def streams(self, site_id: str) -> list[LiveStream]:
        """All open streams of this site, longest open first."""
        own = self._seats.streams().get(site_id, ())
        others = await self._store.elsewhere(
            site_id, self._server_id, gone_before=self._clock.now() - GONE_AFTER
        )
        return sorted([*own, *others], key=lambda stream: (stream.since, stream.consumer or ""))

    async def run(self) -> None:
        """Write until cancelled, then take leave. Survives an absent database."""
        try:
            while True:
                await self._try()
                await asyncio.sleep(self._interval)
        finally:
            await self._leave()

    async def _try(self) -> None:
        try:
            await self.once()
        except Unavailable as error:
            log.warning("open streams cannot be written down: %s", error)
        except Exception:
            log.exception("open streams could not be written down")

    async def once(self) -> None:
        """Write what changed since the last time."""
        now = self._clock.now()
        # 1. Are we known? If not, nothing of ours is.
        if await self._store.beat(self._server_id, now, gone_before=now - GONE_AFTER):
            self._written = {}
        # 2. Only what is different: ten thousand quiet streams cost nothing.
        current = dict(self._seats.streams())
        changed = {
            site_id: current.get(site_id, ())
            for site_id in current.keys() | self._written.keys()
            if current.get(site_id) != self._written.get(site_id)
        }
        if changed:
            await self._store.write(self._server_id, changed)
        self._written = current

    async def _leave(self) -> None:
        try:
            await self._store.leave(self._server_id)
        except Unavailable as error:
            log.warning("this server's streams stay written down for a while: %s", error)
