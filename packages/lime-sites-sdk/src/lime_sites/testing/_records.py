"""What the fake remembers."""

import asyncio
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

PATIENCE: Final = 10.0
"""Seconds after which a test that waits for a handler has failed."""


Promise: TypeAlias = "Future[None]"


def promise() -> Promise:
    """Return something to wait for, on an event loop or in a thread."""
    future: Future[None] = Future()
    # So that nobody who waits for it can cancel it.
    future.set_running_or_notify_cancel()
    return future


async def first_of(promises: list[Promise], seconds: float) -> None:
    """Wait up to `seconds` for one of `promises`, if there are any."""
    waiting = [asyncio.wrap_future(one) for one in promises]
    if waiting:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


@dataclass(slots=True, eq=False)
class FakeLogin:
    """A login request at the fake."""

    request_id: str
    expires_at: datetime
    redirect_url: str | None = None
    status: str = "PENDING"
    agent_id: str | None = None
    user_id: str | None = None
    kyc_level: int = 0
    settled: Promise = field(default_factory=promise, repr=False)
    """Done when the login has left `PENDING`."""


@dataclass(slots=True, eq=False)
class FakeEvent:
    """An event that the site has to acknowledge."""

    event_id: str
    type: str
    login: FakeLogin
    sent: int = 0
    """How often it was sent."""
    _acknowledged: Promise = field(default_factory=promise, repr=False)

    @property
    def is_acknowledged(self) -> bool:
        """Have the site's handlers returned, and has the site said so?"""
        return self._acknowledged.done()

    async def handled(self) -> None:
        """Wait until the site has acknowledged the event.

        Raises:
            AssertionError: it did not within 10 s.
        """
        await first_of([self._acknowledged], PATIENCE)
        if not self.is_acknowledged:
            raise AssertionError(f"the site did not handle the {self.type} event")

    def wait_handled(self) -> None:
        """Wait as `handled` does, in a program without asyncio."""
        wait_for_futures([self._acknowledged], timeout=PATIENCE)
        if not self.is_acknowledged:
            raise AssertionError(f"the site did not handle the {self.type} event")

    def acknowledge(self) -> None:
        """Record the site's acknowledgement."""
        if not self.is_acknowledged:
            self._acknowledged.set_result(None)
