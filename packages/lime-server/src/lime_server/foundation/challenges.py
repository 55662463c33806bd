"""Challenges of which nothing is kept until they are answered: they carry their own proof."""

import hmac
import math
import secrets
from datetime import datetime, timedelta

from lime_server.core.clock import Clock
from lime_server.core.ports import TokenHash


class Challenges:
    """Makes challenges of one kind and knows them again.

    32 bytes: 4 of the expiry, 12 random, 16 of a keyed hash over both. Whoever accepts an answer
    remembers the challenge as spent until it expires.
    """

    def __init__(self, kind: str, *, tokens: TokenHash, clock: Clock, life: timedelta) -> None:
        """`kind` keeps those of different purposes apart."""
        self._kind = kind
        self._tokens = tokens
        self._clock = clock
        self._life = life

    def new(self) -> tuple[bytes, datetime]:
        """A fresh one, and when it expires: in `life`, or at most a second later."""
        expires_at = math.ceil((self._clock.now() + self._life).timestamp())
        head = expires_at.to_bytes(4, "big") + secrets.token_bytes(12)
        return head + self._seal(head), self._time(expires_at)

    def expiry(self, unverified: bytes) -> datetime | None:
        """When it expires; None if it is not ours, or has expired."""
        head, seal = unverified[:16], unverified[16:]
        if not hmac.compare_digest(seal, self._seal(head)):
            return None
        expires_at = self._time(int.from_bytes(head[:4], "big"))
        return expires_at if expires_at > self._clock.now() else None

    def _time(self, seconds: int) -> datetime:
        return datetime.fromtimestamp(seconds, self._clock.now().tzinfo)

    def _seal(self, head: bytes) -> bytes:
        return self._tokens.hash(f"{self._kind}\n{head.hex()}")[:16]
