"""Proof that a person, or at least some work, is behind a registration."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import CaptchaFailed, InvalidPow, NotFound
from lime_server.core.ports import PowCheck, TokenHash
from lime_server.foundation.challenges import Challenges
from lime_server.foundation.tickets import Ticket, TicketStore

Kind = Literal["none", "turnstile", "pow"]

LIFE = timedelta(minutes=10)
"""How long a puzzle may take: a form is filled in meanwhile."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came with a request; nothing of it is verified."""

    turnstile_token: str | None = field(default=None, repr=False)
    challenge: str | None = None
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A proof of work to be done."""

    challenge: str
    difficulty: int
    expires_at: datetime


class Captcha(Protocol):
    """Makes a registration cost something, or asks a third party about it."""

    @property
    def kind(self) -> Kind:
        """Which one it is, for the page that shows it."""
        ...

    @property
    def site_key(self) -> str | None:
        """What the page needs to show it, if anything."""
        ...

    async def check(self, proof: Proof) -> None:
        """Return if `proof` is good. Raises CaptchaFailed otherwise, and when nobody can tell."""
        ...

    def puzzle(self) -> Puzzle:
        """A fresh puzzle. Raises NotFound if this kind has none."""
        ...


class NoCaptcha:
    """Lets everybody pass."""

    kind: ClassVar[Kind] = "none"
    site_key: ClassVar[str | None] = None

    async def check(self, proof: Proof) -> None:
        """Return."""

    def puzzle(self) -> Puzzle:
        """Raises NotFound."""
        raise NotFound


class PowCaptcha:
    """Our own proof of work: nothing is kept of a puzzle until it is solved and spent."""

    kind: ClassVar[Kind] = "pow"
    site_key: ClassVar[str | None] = None

    def __init__(
        self,
        puzzles: PowCheck,
        *,
        tokens: TokenHash,
        tickets: TicketStore,
        clock: Clock,
        difficulty: int,
    ) -> None:
        """`difficulty` is in leading zero bits."""
        self._puzzles = puzzles
        self._tokens = tokens
        self._tickets = tickets
        self._challenges = Challenges("captcha", tokens=tokens, clock=clock, life=LIFE)
        self._difficulty = difficulty

    def puzzle(self) -> Puzzle:
        """A fresh puzzle."""
        challenge, expires_at = self._challenges.new()
        return Puzzle(_written(challenge), self._difficulty, expires_at)

    async def check(self, proof: Proof) -> None:
        """Return if a puzzle of ours was solved, in time and for the first time."""
        # 1. Is it ours, and still good?
        challenge = proof.challenge or ""
        expires_at = self._expiry(challenge)
        if expires_at is None:
            raise CaptchaFailed
        # 2. Is it solved?
        try:
            self._puzzles.check(challenge, proof.nonce or "", self._difficulty)
        except InvalidPow:
            raise CaptchaFailed from None
        # 3. For the first time? Remembered for as long as it would be accepted.
        key = self._tokens.hash(f"pow\n{challenge}")
        spent = Ticket(key=key, kind="pow", expires_at=expires_at)
        if not await self._tickets.put_new(spent):
            raise CaptchaFailed

    def _expiry(self, challenge: str) -> datetime | None:
        try:
            raw = urlsafe_b64decode(challenge + "=")
        except ValueError:
            return None
        # Another spelling of a challenge could be spent once more.
        return self._challenges.expiry(raw) if _written(raw) == challenge else None


def _written(challenge: bytes) -> str:
    return urlsafe_b64encode(challenge).decode().rstrip("=")
