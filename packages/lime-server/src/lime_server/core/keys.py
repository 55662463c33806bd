"""Signing keys: what state each is in, when it changes, and which one signs now.

A key's life (protocol sections 6 and 10)::

    standby ──► active ──► retiring ──► gone
       │           │                      ▲
       └───────────┴──────────────────────┘   withdrawn by hand, because somebody else may know it

* standby: published, so that verifiers know it before it signs;
* active: published, and the one that signs. There is exactly one;
* retiring: published until everything it signed has expired; its private half is forgotten;
* gone: a line in the history.

The rules are functions from keys and a time to keys; `core.keyring` applies them.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from lime_server.core.errors import Conflict


class KeyState(StrEnum):
    """Where a key stands in its life."""

    STANDBY = "standby"
    ACTIVE = "active"
    RETIRING = "retiring"
    GONE = "gone"


_NEXT = {
    KeyState.STANDBY: {KeyState.ACTIVE, KeyState.GONE},
    KeyState.ACTIVE: {KeyState.RETIRING, KeyState.GONE},
    KeyState.RETIRING: {KeyState.GONE},
    KeyState.GONE: set[KeyState](),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """How long things last, so that no verifier ever meets a key it cannot know."""

    publish_before: timedelta = timedelta(seconds=600)
    """From publication to the first signature: two lives of a verifier's cache."""
    publish_after: timedelta = timedelta(seconds=600)
    """From the last signature to withdrawal: the longest token life, leeway, and time to spare."""
    max_staleness: timedelta = timedelta(seconds=60)
    """A process that has not seen the store for this long stops signing until it has.

    It may sign with a retired key for so long; a retiring key therefore stays published for
    `publish_after` plus this.
    """


@dataclass(frozen=True, slots=True)
class Key:
    """One signing key as it is stored."""

    kid: str
    state: KeyState
    public_jwk: Mapping[str, str]
    private_key: bytes = field(repr=False)
    """PKCS#8, DER; empty once the key will never sign again."""
    created_at: datetime
    activated_at: datetime | None = None
    retired_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def is_published(self) -> bool:
        """Whether the JWKS lists it."""
        return self.state is not KeyState.GONE

    def activated(self, now: datetime) -> "Key":
        """This key from the moment on that it signs."""
        return replace(self._moved(KeyState.ACTIVE), activated_at=now)

    def retired(self, now: datetime) -> "Key":
        """This key after its last signature; its private half is forgotten."""
        return replace(self._moved(KeyState.RETIRING), retired_at=now, private_key=b"")

    def withdrawn(self, now: datetime) -> "Key":
        """This key once no verifier should accept it any more."""
        return replace(self._moved(KeyState.GONE), gone_at=now, private_key=b"")

    def may_sign_at(self, rules: Rules) -> datetime:
        """From when on a standby key may become active."""
        return self.created_at + rules.publish_before

    def may_go_at(self, rules: Rules) -> datetime:
        """From when on a retiring key may be withdrawn."""
        return (self.retired_at or self.created_at) + rules.publish_after + rules.max_staleness

    def _moved(self, state: KeyState) -> "Key":
        if state not in _NEXT[self.state]:
            raise Conflict(f"A key that is {self.state} cannot become {state}.")
        return replace(self, state=state)


class KeyMaker(Protocol):
    """Makes keys; takes its time (tenths of a second), so it is called off the event loop."""

    async def make(self, now: datetime) -> Key:
        """A fresh key in state standby, created at `now`."""
        ...


class KeyTransaction(Protocol):
    """The keys, while nobody else changes them."""

    async def all(self) -> Sequence[Key]:
        """Every key there ever was, oldest first."""
        ...

    async def put(self, key: Key) -> None:
        """Add `key`, or replace the one with its kid."""
        ...


class KeyStore(Protocol):
    """Where keys are kept. Raises `core.errors.Unavailable` when it cannot answer."""

    async def published(self) -> Sequence[Key]:
        """Keys that are not gone, oldest first."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[KeyTransaction]:
        """One transaction at a time, over all servers; all of it happens or nothing."""
        ...


def due(keys: Sequence[Key], now: datetime, rules: Rules) -> list[Key]:
    """The keys whose time has come, as they should stand at `now`, in the order to write them."""
    changes = [
        key.withdrawn(now)
        for key in keys
        if key.state is KeyState.RETIRING and now >= key.may_go_at(rules)
    ]
    standby = only(keys, KeyState.STANDBY)
    if standby is not None and now >= standby.may_sign_at(rules):
        changes += [key.retired(now) for key in keys if key.state is KeyState.ACTIVE]
        changes.append(standby.activated(now))
    return changes


def only(keys: Sequence[Key], state: KeyState) -> Key | None:
    """The key in `state`, for the states that at most one key is in: standby and active."""
    return next((key for key in keys if key.state is state), None)
