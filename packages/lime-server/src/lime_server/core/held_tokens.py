"""The tokens that one agent or site holds: rotation with an overlap, and when each was last used.

What a token is stands in `core.tokens`; whose it is, in the store that authenticates.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import getLogger
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import Conflict, InvalidInput, Unavailable
from lime_server.core.ids import new_id
from lime_server.core.ports import TokenHash
from lime_server.core.tokens import Token, TokenKind

log = getLogger(__name__)

MAX_OVERLAP = timedelta(days=7)
"""How long an old token may work beside the new one: a week's release cycle."""
MAX_TOKENS = 10
"""Tokens of one holder that work at once; each is one more that can leak."""
NOTED_EVERY = timedelta(minutes=1)
"""How exactly "last used" is known; finer would be a write per request."""
MOST_NOTED = 100_000
"""Tokens whose use waits to be written; beyond it a use goes unnoted, and no memory is taken."""


@dataclass(frozen=True, slots=True)
class HeldToken:
    """What its owner may know of a token: everything but the token."""

    token_id: str
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    """When it stops to work; None for the newest one."""

    def works_at(self, now: datetime) -> bool:
        """Whether it lets its holder in."""
        return self.expires_at is None or now < self.expires_at


class HeldTokenStore(Protocol):
    """Where the tokens of one kind of holder are kept, as hashes."""

    async def of(self, holder_id: str, now: datetime) -> list[HeldToken]:
        """Those that work at `now`, newest first."""
        ...

    async def rotate(
        self, holder_id: str, new: HeldToken, token_hash: bytes, *, old_until: datetime
    ) -> None:
        """Keep `new`; the others expire at `old_until`, or earlier where they did already.

        Forgets what no longer worked when `new` was made. Call it with the holder locked.
        """
        ...

    async def touch(self, uses: Mapping[bytes, datetime], *, every: timedelta) -> None:
        """Note when tokens, by hash, were last used; of their holders too.

        Not where that was noted less than `every` before. Unknown hashes change nothing.
        """
        ...


class HeldTokens:
    """Lists and rotates the tokens of agents, or of sites."""

    def __init__(
        self, store: HeldTokenStore, tokens: TokenHash, clock: Clock, kind: TokenKind
    ) -> None:
        """Keep hashes made with `tokens` in `store`, of tokens of `kind`."""
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._kind = kind

    async def of(self, holder_id: str) -> list[HeldToken]:
        """Those that work now, newest first."""
        return await self._store.of(holder_id, self._clock.now())

    async def rotate(self, holder_id: str, overlap: timedelta) -> tuple[HeldToken, Token]:
        """Make a new token, which is returned once; older ones work for `overlap` from now.

        Raises InvalidInput for an overlap that is negative or longer than MAX_OVERLAP, and Conflict
        if MAX_TOKENS would work at once. The caller has locked the holder.
        """
        # 1. A sensible overlap?
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            raise InvalidInput(
                f"An overlap is 0 to {int(MAX_OVERLAP.total_seconds())} seconds.",
                detail={"field": "overlap_seconds"},
            )
        # 2. Not one too many; without an overlap there is only one.
        now = self._clock.now()
        if overlap and len(await self._store.of(holder_id, now)) >= MAX_TOKENS:
            raise Conflict(
                f"{MAX_TOKENS} tokens work at once already: rotate without an overlap, or wait."
            )
        # 3. The new one, and an end for all others.
        new, token = HeldToken(new_id(now), now), Token.new(self._kind)
        await self._store.rotate(
            holder_id, new, self._tokens.hash(token.text), old_until=now + overlap
        )
        return new, token


class TokenUse:
    """Notes which tokens are used: in memory while a request is served, in the store later."""

    def __init__(self, store: HeldTokenStore, clock: Clock, *, interval: float = 15.0) -> None:
        """Write to `store` every `interval` seconds."""
        self._store = store
        self._clock = clock
        self._interval = interval
        self._uses: dict[bytes, datetime] = {}

    def note(self, token_hash: bytes) -> None:
        """A token was used just now."""
        if token_hash in self._uses or len(self._uses) < MOST_NOTED:
            self._uses[token_hash] = self._clock.now()

    async def run(self) -> None:
        """Write until cancelled, and once more then. Survives an absent database."""
        try:
            while True:
                await asyncio.sleep(self._interval)
                await self._try()
        finally:
            await self._try()

    async def _try(self) -> None:
        try:
            await self.flush()
        except Unavailable as error:
            log.warning("the use of tokens has to be noted later: %s", error)
        except Exception:
            log.exception("the use of tokens could not be noted")

    async def flush(self) -> None:
        """Write what was noted. Raises Unavailable, and keeps it for the next time."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._store.touch(uses, every=NOTED_EVERY)
        except Unavailable:
            self._uses = uses | self._uses
            raise
