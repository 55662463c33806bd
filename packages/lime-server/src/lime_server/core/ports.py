"""What the inner rooms need from outside, stated as they need it.

Adapters live in infrastructure; each port has a small in-memory twin that obeys the same rules.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


class Wakeup(Protocol):
    """A bell: it says that something may have changed, never what. Whoever hears it reads again."""

    async def ring(self, topic: str, ident: str) -> None:
        """Wake whoever listens, in every process.

        Best effort: never raises, never delays for long.
        """
        ...

    def listen(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
        """Call `callback(topic, ident)` for every ring; returns the function that stops it.

        The callback runs on the event loop and must return at once.
        """
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may happen: `rate` per second in the long run, `burst` at once."""

    rate: float
    burst: int

    def times(self, count: int) -> "Limit":
        """The same for as many as that together."""
        return Limit(self.rate * count, self.burst * count)


class RateLimiter(Protocol):
    """Counts what each key does (generic cell rate algorithm)."""

    async def take(self, key: str, limit: Limit) -> None:
        """Count one use of `key`.

        Raises `core.errors.RateLimited` with `retry_after` in seconds when it is one too many.
        """
        ...


class PassportSigner(Protocol):
    """Signs with whatever key is active now."""

    async def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """A JWS over `claims` with `typ` in its header; the caller chose every claim."""
        ...


class TokenHash(Protocol):
    """The keyed hash under which tokens are stored."""

    def hash(self, token: str) -> bytes:
        """32 bytes that say nothing about the token without the key."""
        ...


class PowCheck(Protocol):
    """Makes puzzles and checks their answers (protocol section 4)."""

    def new_challenge(self) -> str:
        """A fresh puzzle: 43 base64url characters, 256 random bits."""
        ...

    def check(self, challenge: str, nonce: str, difficulty: int) -> None:
        """Return when `nonce` solves `challenge`; raises `core.errors.InvalidPow` otherwise."""
        ...


class Probe(Protocol):
    """Is an engine there?"""

    async def ready(self) -> bool:
        """Whether the engine answers; never raises."""
        ...


class Transactions(Protocol):
    """Makes several changes, in whatever stores, one: all of them happen, or none."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Everything that this task does within the block is kept at its end, together.

        An exception undoes it. A transaction within another one is a part of it, which can be
        undone alone. Tasks that are started within the block are not in it. Short: nothing that
        waits for a person or another machine belongs inside.
        """
        ...
