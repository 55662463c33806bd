"""Sessions: an owner who is signed in, in one browser."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import NotFound, NotSignedIn
from lime_server.core.ids import new_id, parse_id
from lime_server.core.origin import current_origin
from lime_server.core.ports import Limit, RateLimiter, TokenHash
from lime_server.core.tokens import Token, TokenKind
from lime_server.foundation.owners import Owner

SEEN_EVERY = timedelta(seconds=60)
"""How exact `last_seen_at` is: a write for every request would cost more than it tells."""
FRESH_FOR = timedelta(minutes=10)
"""How long a proof of password or second factor opens what needs a step-up."""

OWNER_SHARE = 3
"""How many times what one session may change its owner may, in all of them: whoever stole one
leaves the owner enough to end it."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How sessions are carried, and how long they last."""

    origin: str
    """The public URL: the only origin whose pages may change anything."""
    plain_cookies: bool = False
    """Whether cookies go without `Secure` and `__Host-`: on http loopback only."""
    idle: timedelta = timedelta(hours=12)
    absolute: timedelta = timedelta(days=7)
    changes: Limit | None = None
    """Requests of one session that change something; None means no limit. Each may leave a line in
    the audit log, which is kept for good."""

    @property
    def cookie(self) -> str:
        """The session cookie's name."""
        return self.named("lime_session")

    def named(self, name: str) -> str:
        """`name` as a cookie that only this host can set, where browsers allow it."""
        return name if self.plain_cookies else f"__Host-{name}"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in. `session_id` is a public id, safe to list, and opens nothing."""

    session_id: str
    owner: Owner
    created_at: datetime
    last_seen_at: datetime
    proven_at: datetime
    """The last time a password or second factor was proven."""
    address: str = ""
    user_agent: str = ""

    def is_fresh(self, now: datetime) -> bool:
        """Whether a proof is recent enough for what needs a step-up."""
        return now - self.proven_at < FRESH_FOR


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and the secret that its browser holds. The secret does not show in its repr."""

    session: Session
    token: Token
    csrf: str = field(repr=False)


class SessionStore(Protocol):
    """Where sessions are kept, under the keyed hash of their token."""

    async def add(self, session: Session, token_hash: bytes) -> None:
        """Keep a new session."""
        ...

    async def by_token(self, token_hash: bytes) -> Session | None:
        """The session whose token has this hash, with its owner as they are now."""
        ...

    async def seen(self, session_id: str, now: datetime) -> None:
        """Note that it was used."""
        ...

    async def renew(self, session: Session, token_hash: bytes, *, proven_at: datetime) -> bool:
        """Give it another token; False if it has ended, or was proven since `session` was read."""
        ...

    async def of_owner(self, owner_id: str) -> Sequence[Session]:
        """All sessions of an owner, the newest first."""
        ...

    async def end(self, owner_id: str, session_id: str) -> bool:
        """End one session of this owner; False if they have no such session."""
        ...

    async def end_all(self, owner_id: str, *, keep: str | None = None) -> int:
        """End the owner's sessions but `keep`; returns how many."""
        ...

    async def sweep(self, *, created_before: datetime, seen_before: datetime) -> int:
        """Forget sessions that have ended by themselves; returns how many."""
        ...


class Sessions:
    """Begins, recognises and ends sessions."""

    def __init__(
        self,
        store: SessionStore,
        tokens: TokenHash,
        clock: Clock,
        rules: SessionRules,
        limiter: RateLimiter,
    ) -> None:
        """Keep sessions in `store`, their tokens hashed with `tokens`; count with `limiter`."""
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self.rules = rules
        self._limiter = limiter

    async def begin(self, owner: Owner) -> SignedIn:
        """A new session of somebody who has just proven who they are."""
        now, origin = self._clock.now(), current_origin()
        agent = _printable(origin.user_agent or "")
        session = Session(new_id(now), owner, now, now, now, origin.address or "", agent)
        token = Token.new(TokenKind.SESSION)
        await self._store.add(session, self._tokens.hash(token.text))
        return SignedIn(session, token, self.csrf_of(token.text))

    async def authenticate(self, unverified_cookie: str | None) -> Session:
        """The session that this cookie opens. Raises NotSignedIn."""
        # 1. Does it look like one of ours?
        token = Token.parse(TokenKind.SESSION, unverified_cookie or "")
        if token is None:
            raise NotSignedIn
        # 2. Looked up by keyed hash, so that timing says nothing about stored tokens.
        session = await self._store.by_token(self._tokens.hash(token.text))
        # 3. Still alive?
        now = self._clock.now()
        if session is None or not self._alive(session, now):
            raise NotSignedIn
        # 4. Remember that it is used, now and then.
        if now - session.last_seen_at >= SEEN_EVERY:
            await self._store.seen(session.session_id, now)
        return session

    async def count_change(self, session: Session) -> None:
        """Count a request of this session that changes something. Raises RateLimited."""
        if (limit := self.rules.changes) is None:
            return
        await self._limiter.take(f"changes:session:{session.session_id}", limit)
        owner_id = session.owner.owner_id
        await self._limiter.take(f"changes:owner:{owner_id}", limit.times(OWNER_SHARE))

    async def renew(self, session: Session) -> SignedIn:
        """The same session under a new secret, freshly proven: whoever had the old one is out.

        Raises NotSignedIn if it has ended meanwhile, or has another secret already: then who asks
        is one of those who are out.
        """
        token, now = Token.new(TokenKind.SESSION), self._clock.now()
        hashed = self._tokens.hash(token.text)
        if not await self._store.renew(session, hashed, proven_at=now):
            raise NotSignedIn
        return SignedIn(session, token, self.csrf_of(token.text))

    async def of_owner(self, owner_id: str) -> list[Session]:
        """The owner's sessions that are alive, the newest first."""
        now = self._clock.now()
        found = await self._store.of_owner(owner_id)
        return [session for session in found if self._alive(session, now)]

    async def end(self, owner_id: str, session_id: str) -> None:
        """End one session. Raises NotFound if this owner has no such session."""
        parsed = parse_id(session_id)
        if parsed is None or not await self._store.end(owner_id, parsed):
            raise NotFound

    async def end_all(self, owner_id: str, *, keep: str | None = None) -> int:
        """End the owner's sessions, all but `keep`; returns how many."""
        return await self._store.end_all(owner_id, keep=keep)

    async def sweep(self) -> int:
        """Forget sessions that have ended by themselves; returns how many."""
        now = self._clock.now()
        return await self._store.sweep(
            created_before=now - self.rules.absolute, seen_before=now - self.rules.idle
        )

    def csrf_of(self, unverified_cookie: str) -> str:
        """What `X-CSRF-Token` must say beside this cookie.

        Derived from it, so that a value which somebody planted in the `lime_csrf` cookie (a
        neighbouring subdomain can) does not pass.
        """
        return (
            urlsafe_b64encode(self._tokens.hash(f"csrf\n{unverified_cookie}")).decode().rstrip("=")
        )

    def is_csrf_token(self, unverified_cookie: str, unverified_csrf: str) -> bool:
        """Whether the two belong together."""
        right = self.csrf_of(unverified_cookie).encode()
        return hmac.compare_digest(right, unverified_csrf.encode())

    def is_fresh(self, session: Session) -> bool:
        """Whether `session` was proven in the last minutes."""
        return session.is_fresh(self._clock.now())

    def _alive(self, session: Session, now: datetime) -> bool:
        rules = self.rules
        return now - session.last_seen_at < rules.idle and now - session.created_at < rules.absolute


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable())
