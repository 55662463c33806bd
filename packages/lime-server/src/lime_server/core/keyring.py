"""The keys in use: `Keys` changes them by the rules, `KeyRing` is what a server process holds."""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import Conflict, NotFound, Unavailable
from lime_server.core.failpoints import reach
from lime_server.core.keys import (
    Key,
    KeyMaker,
    KeyState,
    KeyStore,
    KeyTransaction,
    Rules,
    due,
    only,
)
from lime_server.core.ports import Wakeup

TOPIC = "keys"
"""What the bell says when signing keys changed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What `Keys.rotate` did, or what it waits for."""

    active: str
    standby: str | None
    """The key that signs next, if there is one."""
    signs_at: datetime | None
    """From when on it may."""
    made: bool
    promoted: bool


class Keys:
    """Changes keys by the rules, safely beside other servers that do the same."""

    def __init__(
        self, store: KeyStore, maker: KeyMaker, *, clock: Clock, rules: Rules, bell: Wakeup
    ) -> None:
        """Other processes hear of changes through `bell`."""
        self._store = store
        self._maker = maker
        self._clock = clock
        self._rules = rules
        self._bell = bell

    async def list(self) -> Sequence[Key]:
        """Every key there ever was, oldest first."""
        async with self._store.exclusive() as keys:
            return await keys.all()

    async def upkeep(self) -> None:
        """Do what is due: make the first key, promote a standby one, withdraw retired ones.

        Any number of servers may call it at any time.
        """
        async with self._store.exclusive() as keys:
            for key in due(await keys.all(), self._clock.now(), self._rules):
                await keys.put(key)
                await reach("keys.between_rotation")
            # The very first key signs at once: there is no verifier that knows an older one. The
            # same goes for a server that lost its active key to a withdrawal.
            await self._ensure_active(keys)
        await reach("keys.after_commit")
        await self._bell.ring(TOPIC, "")

    async def rotate(self) -> Rotation:
        """Bring the next key nearer: make a standby one, or promote it if it is old enough."""
        async with self._store.exclusive() as keys:
            # 1. What is due anyway comes first.
            now = self._clock.now()
            changes = due(await keys.all(), now, self._rules)
            for key in changes:
                await keys.put(key)
                await reach("keys.between_rotation")
            await self._ensure_active(keys)
            promoted = any(key.state is KeyState.ACTIVE for key in changes)
            # 2. Unless that was the rotation, or one is under way, publish a new key.
            standby = only(await keys.all(), KeyState.STANDBY)
            made = standby is None and not promoted
            if made:
                standby = await self._maker.make(now)
                await keys.put(standby)
            active = await self._ensure_active(keys)
        await reach("keys.after_commit")
        # 3. Only now tell the others: they will read what was committed.
        await self._bell.ring(TOPIC, "")
        return Rotation(
            active=active.kid,
            standby=standby.kid if standby else None,
            signs_at=standby.may_sign_at(self._rules) if standby else None,
            made=made,
            promoted=promoted,
        )

    async def retire(self, kid: str, *, compromised: bool = False) -> Key:
        """Take `kid` out of use as gently as possible; returns it as it stands afterwards.

        A standby key never signed, so it goes at once. An active key needs a successor that is old
        enough; a retiring one goes when its time has come. With `compromised` it goes at once
        whatever its state, passports that it signed stop verifying, and a successor signs although
        verifiers may have to fetch it first.

        Raises `NotFound` for an unknown kid and `Conflict`, saying what to wait for, otherwise.
        """
        async with self._store.exclusive() as keys:
            now = self._clock.now()
            all_keys = await keys.all()
            key = next((each for each in all_keys if each.kid == kid), None)
            if key is None:
                raise NotFound("There is no such key.")
            if compromised or key.state is KeyState.STANDBY:
                changed = key.withdrawn(now)
            elif key.state is KeyState.ACTIVE:
                changed = await self._succeed(keys, all_keys, key, now)
            elif key.state is KeyState.RETIRING and now < key.may_go_at(self._rules):
                raise Conflict(
                    "Passports signed by this key may be in use until "
                    f"{key.may_go_at(self._rules):%FT%TZ}."
                )
            else:
                changed = key.withdrawn(now)
            await keys.put(changed)
            await self._ensure_active(keys)
        await reach("keys.after_commit")
        await self._bell.ring(TOPIC, "")
        return changed

    async def _succeed(
        self, keys: KeyTransaction, all_keys: Sequence[Key], active: Key, now: datetime
    ) -> Key:
        standby = only(all_keys, KeyState.STANDBY)
        if standby is None:
            raise Conflict("This key signs, and there is no successor: rotate first.")
        if now < standby.may_sign_at(self._rules):
            raise Conflict(
                "This key signs, and its successor may not before "
                f"{standby.may_sign_at(self._rules):%FT%TZ}."
            )
        # Written in this order: the store holds at most one active key at any moment.
        retired = active.retired(now)
        await keys.put(retired)
        await reach("keys.between_rotation")
        await keys.put(standby.activated(now))
        return retired

    async def _ensure_active(self, keys: KeyTransaction) -> Key:
        all_keys = await keys.all()
        active = only(all_keys, KeyState.ACTIVE)
        if active is None:
            now = self._clock.now()
            fresh = only(all_keys, KeyState.STANDBY) or await self._maker.make(now)
            active = fresh.activated(now)
            await keys.put(active)
        return active


class SigningKey(Protocol):
    """A private key, parsed once."""

    @property
    def kid(self) -> str:
        """Its name in the JWKS."""
        ...

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """A JWS over `claims`, with `typ` in its header."""
        ...


@dataclass(frozen=True, slots=True)
class Jwks:
    """The published keys as one document (RFC 7517), ready to send."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, keys: Sequence[Key]) -> "Jwks":
        """The document that lists `keys`; equal keys give equal bytes on every server."""
        members = [dict(key.public_jwk) for key in keys if key.is_published]
        members.sort(key=lambda member: member["kid"])
        body = json.dumps({"keys": members}, separators=(",", ":"), sort_keys=True).encode()
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@dataclass(frozen=True, slots=True)
class _View:
    """What the store said, and when it was asked."""

    asked_at: datetime
    signing_key: SigningKey
    jwks: Jwks


def _unnoted(_asked_at: datetime) -> None:
    """Nobody wants to know."""


class KeyRing:
    """The keys of this process: read from the store now and then, and when the bell rings.

    Signing stops when the store could not be read for `Rules.max_staleness`: by then the active key
    may have been retired elsewhere, and what it signs might not be verifiable. Publishing goes on,
    because verifiers keep what they know anyway.
    """

    def __init__(
        self,
        store: KeyStore,
        keys: Keys,
        *,
        parse: Callable[[bytes], SigningKey],
        clock: Clock,
        rules: Rules,
        note: Callable[[datetime], None] = _unnoted,
    ) -> None:
        """`parse` turns PKCS#8 into a key that signs; it is called once for each key. `note` is
        told when the store was asked, each time that it answered.
        """
        self._store = store
        self._keys = keys
        self._parse = parse
        self._clock = clock
        self._rules = rules
        self._note = note
        self._view: _View | None = None
        self._reading = asyncio.Lock()

    async def open(self) -> None:
        """Read the keys for the first time; makes the very first one if there is none.

        Raises `Unavailable` when the store cannot answer.
        """
        await self.refresh()

    @property
    def jwks(self) -> Jwks:
        """The published keys. Raises `Unavailable` before `open`."""
        return self._seen().jwks

    @property
    def is_fresh(self) -> bool:
        """Whether this process may sign without asking the store first."""
        if self._view is None:
            return False
        age = self._clock.now() - self._view.asked_at
        # A negative age means that the clock was set back: ask again rather than trust it.
        return timedelta(0) <= age <= self._rules.max_staleness

    async def signing_key(self) -> SigningKey:
        """The key that signs now.

        Raises `Unavailable` when the store was last read too long ago and cannot be read.
        """
        if not self.is_fresh:
            async with self._reading:
                # Whoever waited for the lock finds what the first one read.
                if not self.is_fresh:
                    await self.refresh()
        return self._seen().signing_key

    async def refresh(self) -> None:
        """Read the store now, and do what is due there."""
        # The time before the answer: the keys may have changed while it travelled.
        asked_at = self._clock.now()
        published = await self._store.published()
        if only(published, KeyState.ACTIVE) is None or due(published, asked_at, self._rules):
            await self._keys.upkeep()
            published = await self._store.published()
        active = only(published, KeyState.ACTIVE)
        if active is None:
            raise Unavailable("There is no active signing key.")
        self._view = _View(asked_at, self._parsed(active), Jwks.of(published))
        self._note(asked_at)

    async def run(self, *, interval: float, bell: Wakeup) -> None:
        """Refresh every `interval` seconds and whenever `bell` says that keys changed, for ever."""
        heard = asyncio.Event()

        def hear(topic: str, _ident: str) -> None:
            if topic == TOPIC:
                heard.set()

        stop = bell.listen(hear)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        await heard.wait()
                heard.clear()
                await self._try_to_refresh()
        finally:
            stop()

    async def _try_to_refresh(self) -> None:
        try:
            await self.refresh()
        except Exception:
            # The loop outlives any answer of the store; `signing_key` stops in time by itself.
            log.warning("signing keys could not be read", exc_info=True)

    def _parsed(self, key: Key) -> SigningKey:
        if self._view is not None and self._view.signing_key.kid == key.kid:
            return self._view.signing_key
        return self._parse(key.private_key)

    def _seen(self) -> _View:
        if self._view is None:
            raise Unavailable("The signing keys have not been read yet.")
        return self._view
