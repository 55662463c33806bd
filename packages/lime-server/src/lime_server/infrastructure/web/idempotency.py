"""`Idempotency-Key` (protocol section 1): an unsafe request that is sent again is done once.

Works on whole requests and answers, so no route needs to know about it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lime_server.core.clock import Clock
from lime_server.core.errors import IdempotencyKeyInUse, IdempotencyKeyReused, InvalidInput
from lime_server.core.ports import TokenHash
from lime_server.infrastructure.web.asgi import Headers, all_headers, header, replayed

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Who is asking: two callers that choose the same key must never meet.
_CREDENTIALS = (b"x-agent-token", b"x-site-token", b"authorization", b"cookie")

LOCK = timedelta(seconds=60)
"""How long the first request keeps its key while it has no answer.

Longer than any unsafe request takes; after a crash the key is free again.
"""
WAIT = 5.0
"""Seconds that a second request waits for the first one's answer."""
PAUSES = (0.01, 0.02, 0.05, 0.1)
"""Seconds between looks; the last one repeats."""
LARGEST_ANSWER = 256 * 1024
"""Bytes of an answer that are remembered at most; ours are far smaller."""
# An answer that says "not now" or "who are you?" must not be given again later. That there is no
# such path or method, or that a body is unfit, is said before anyone asked who is there: to keep it
# would let strangers fill the database, and whoever asks again is told the same.
_NOT_KEPT = frozenset({400, 401, 403, 404, 405, 408, 409, 413, 422, 429})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered the first time."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a key: who works on it, or the answer."""

    fingerprint: bytes
    answer: Answer | None


class AnswerStore(Protocol):
    """Where first answers are kept. Safe with many servers."""

    async def begin(
        self, scope: bytes, fingerprint: bytes, *, owner: str, now: datetime, until: datetime
    ) -> Record | None:
        """Take `scope` until `until`, unless somebody has it or its answer is known.

        Returns None if `owner` (a UUID) has it now, else what is known.
        """
        ...

    async def finish(
        self, scope: bytes, answer: Answer, *, owner: str, expires_at: datetime
    ) -> None:
        """Keep the answer, if `owner` still has `scope`."""
        ...

    async def abandon(self, scope: bytes, *, owner: str) -> None:
        """Free `scope`, if `owner` still has it."""
        ...

    async def sweep(self, now: datetime) -> int:
        """Forget what has expired; returns how many."""
        ...


class Idempotency:
    """Pure ASGI middleware; bodies must arrive in one piece, as `Bodies` hands them on."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: AnswerStore,
        hasher: TokenHash,
        clock: Clock,
        new_owner: Callable[[], str],
        window: timedelta = timedelta(hours=24),
        recheck: Callable[[Scope], Awaitable[None]] | None = None,
        except_at: Collection[str] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`new_owner` makes UUIDs; answers are kept for `window`.

        At the paths of `except_at` the header means nothing: a code that is exchanged twice must be
        noticed, whatever came with it.

        `recheck` raises what a request deserves whose credential is no longer good: an answer may
        hold a token, and is given again only to whoever could still ask for one.
        """
        self._app = app
        self._store = store
        self._hasher = hasher
        self._clock = clock
        self._new_owner = new_owner
        self._window = window
        self._recheck = recheck
        self._except_at = except_at
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises `IdempotencyKeyReused`, `IdempotencyKeyInUse` or `InvalidInput`.
        """
        key = None
        unsafe = scope["type"] == "http" and scope["method"] in _UNSAFE
        if unsafe and scope["path"] not in self._except_at:
            key = header(scope, b"idempotency-key")
        if key is None:
            await self._app(scope, receive, send)
            return
        if not _KEY.fullmatch(key):
            raise InvalidInput("Idempotency-Key must be 1 to 255 visible ASCII characters.")
        # 1. Which request is it, and what did it say?
        first = await receive()
        name = self._name(scope, key)
        fingerprint = self._hash("body", first.get("body", b"").decode("latin-1"))
        # 2. Take the key, or learn the answer.
        owner = self._new_owner()
        known = await self._take(name, fingerprint, owner)
        if known is not None:
            if self._recheck is not None:
                await self._recheck(scope)
            await _repeat(send, known)
            return
        # 3. Do it, and keep the answer, or free the key.
        await self._run(scope, replayed(first, receive), send, name=name, owner=owner)

    def _name(self, scope: Scope, key: str) -> bytes:
        credentials = [
            f"{name.decode()}={value}"
            for name in _CREDENTIALS
            for value in all_headers(scope, name)
        ]
        # Each part on its own line: none of them can hold a line break.
        return self._hash("scope", *credentials, scope["method"], scope["path"], key)

    def _hash(self, *parts: str) -> bytes:
        return self._hasher.hash("idempotency\n" + "\n".join(parts))

    async def _take(self, name: bytes, fingerprint: bytes, owner: str) -> Answer | None:
        """None once `owner` has the key, else the first answer."""
        waited = 0.0
        pauses = iter(PAUSES)
        pause = 0.0
        while True:
            now = self._clock.now()
            known = await self._store.begin(
                name, fingerprint, owner=owner, now=now, until=now + LOCK
            )
            if known is None:
                return None
            if known.fingerprint != fingerprint:
                raise IdempotencyKeyReused
            if known.answer is not None:
                return known.answer
            if waited >= WAIT:
                raise IdempotencyKeyInUse(retry_after=1)
            pause = next(pauses, pause)
            await self._sleep(pause)
            waited += pause

    async def _run(
        self, scope: Scope, receive: Receive, send: Send, *, name: bytes, owner: str
    ) -> None:
        recorder = _Recorder(send)
        answer = None
        try:
            await self._app(scope, receive, recorder)
            answer = recorder.answer()
        finally:
            # Also after an exception or a cancelled request: what happened then is unknown, and
            # the routes themselves are safe to repeat.
            await asyncio.shield(self._close(name, owner, answer))

    async def _close(self, name: bytes, owner: str, answer: Answer | None) -> None:
        try:
            if answer is None:
                await self._store.abandon(name, owner=owner)
            else:
                expires_at = self._clock.now() + self._window
                await self._store.finish(name, answer, owner=owner, expires_at=expires_at)
        except Exception:
            # The answer is out already. The key frees itself when its lock ends.
            log.warning("an idempotent answer could not be kept", exc_info=True)


class _Recorder:
    """Passes an answer on and keeps a copy, if it is one to be kept."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._content_type = ""
        self._body = b""
        self._complete = False
        self._sets_cookies = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = dict(message.get("headers", ()))
            self._content_type = headers.get(b"content-type", b"").decode("latin-1")
            self._sets_cookies = b"set-cookie" in headers
        elif len(self._body) <= LARGEST_ANSWER:
            self._body += message.get("body", b"")
            self._complete = not message.get("more_body", False)
        await self._send(message)

    def answer(self) -> Answer | None:
        """The answer if the same question may be given it again."""
        kept = 200 <= self._status < 500 and self._status not in _NOT_KEPT
        # A cookie opens a session, and is given once. Without it the answer would be half of one.
        kept = kept and not self._sets_cookies
        if not (kept and self._complete and len(self._body) <= LARGEST_ANSWER):
            return None
        return Answer(self._status, self._content_type, self._body)


async def _repeat(send: Send, answer: Answer) -> None:
    headers: Headers = [
        (b"content-length", str(len(answer.body)).encode()),
        (b"idempotency-replayed", b"true"),
    ]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
