"""The keys of issuers, remembered without I/O.

The cache has no network: it says what to do, and the caller does it. Its rules are those of
protocol section 6:

* a key is known by (issuer, kid), so that two issuers in one process cannot forge each other;
* known keys cost nothing, and one fetch at a time is in flight for each issuer;
* an attempt is stamped before it is made, so that a thousand unknown key ids cost one fetch per
  interval, also while the issuer is down;
* a failed fetch keeps the keys at hand, for a bounded time; a good one replaces all of them.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from lime_jwt import JwkSet
from lime_sdk_core._forks import lock_of

DEFAULT_TTL: Final = 300.0
"""Seconds for which a set of keys counts as fresh."""

MIN_INTERVAL: Final = 10.0
"""Least seconds between two fetches from one issuer, whatever the reason."""

MIN_EXCUSE: Final = 2 * MIN_INTERVAL
"""Least seconds for which a failed fetch excuses old keys: until the next attempt has ended."""

MAX_STALE: Final = 24 * 3600.0
"""Seconds after which keys that could not be refreshed are no longer used."""


@dataclass(slots=True, eq=False)
class Flight:
    """A fetch that somebody makes and others may wait for."""

    issuer: str
    landed: Future[None] = field(default_factory=Future)
    """Resolved when the fetch has ended, well or badly."""

    def __post_init__(self) -> None:
        # So that nobody who waits for it can cancel it.
        self.landed.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one verification."""

    keys: JwkSet | None
    """Keys that may be used at once."""
    start: Flight | None = None
    """A fetch that the caller has to make now."""
    wait: Flight | None = None
    """A fetch whose end the caller has to await before it asks for the keys again."""


@dataclass(slots=True)
class _Entry:
    keys: JwkSet | None = None
    fetched_at: float = 0.0
    attempted_at: float | None = None
    failed_at: float | None = None
    flight: Flight | None = None


class KeyCache:
    """Keys by issuer; threads and tasks may share it.

    Args:
        ttl: seconds for which keys count as fresh.
        clock: monotonic seconds.
    """

    def __init__(
        self, *, ttl: float = DEFAULT_TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl = ttl
        self._clock = clock
        self._lock = lock_of(self)
        self._entries: dict[str, _Entry] = {}

    def plan(self, issuer: str, *, unknown_kid: bool = False) -> Plan:
        """Say how to come by the keys of `issuer`.

        Args:
            issuer: who must have signed.
            unknown_kid: the keys at hand were tried and do not hold the one that is needed.
        """
        with self._lock:
            entry = self._entries.setdefault(issuer, _Entry())
            now = self._clock()
            self._drop_too_old(entry, now)
            flight = start = entry.flight
            # A fetch takes less. Who made this one is gone: a loop that was closed, or a thread
            # that a fork did not take along.
            lost = entry.attempted_at is not None and now - entry.attempted_at >= MIN_INTERVAL
            if flight is not None and not lost:
                start = None
            elif self._wants_fetch(entry, now, unknown_kid=unknown_kid):
                flight = start = self._take_off(entry, issuer, now)
            else:
                flight = start = None
            must_wait = unknown_kid or self._is_needed(entry, now)
            return Plan(entry.keys, start, flight if must_wait else None)

    def keys(self, issuer: str) -> JwkSet | None:
        """Return the usable keys of `issuer`, whatever their age, or None."""
        with self._lock:
            entry = self._entries.get(issuer, _Entry())
            self._drop_too_old(entry, self._clock())
            return entry.keys

    def land(self, flight: Flight, keys: JwkSet | None) -> None:
        """Record how the fetch of `flight` ended; None means that it brought no keys."""
        with self._lock:
            entry = self._entries[flight.issuer]
            # What a fetch brings that was given up is older than what a later one brought.
            if entry.flight is flight:
                entry.flight = None
                now = self._clock()
                if keys is None:
                    entry.failed_at = now
                else:
                    # All of them: a key that was withdrawn must stop working now.
                    entry.keys, entry.fetched_at, entry.failed_at = keys, now, None
        flight.landed.set_result(None)

    def _take_off(self, entry: _Entry, issuer: str, now: float) -> Flight:
        entry.flight = Flight(issuer)
        entry.attempted_at = now
        return entry.flight

    def _wants_fetch(self, entry: _Entry, now: float, *, unknown_kid: bool) -> bool:
        if entry.attempted_at is not None and now - entry.attempted_at < MIN_INTERVAL:
            return False
        return unknown_kid or entry.keys is None or now - entry.fetched_at >= self._ttl

    def _is_needed(self, entry: _Entry, now: float) -> bool:
        """Must the next verification wait for the fetch?

        Keys a little over their time do meanwhile, so that traffic never waits for a refresh. Keys
        that lay unused for longer are not trusted before the issuer was asked again: while it is
        down they are all we have, but that it was down yesterday says nothing.
        """
        if entry.keys is None:
            return True
        # The end of an attempt counts, not its beginning: others may come while it is under way.
        excuse = max(self._ttl, MIN_EXCUSE)
        is_down = entry.failed_at is not None and now - entry.failed_at < excuse
        return now - entry.fetched_at >= 2 * self._ttl and not is_down

    def _drop_too_old(self, entry: _Entry, now: float) -> None:
        if entry.keys is not None and now - entry.fetched_at >= MAX_STALE:
            entry.keys = None
