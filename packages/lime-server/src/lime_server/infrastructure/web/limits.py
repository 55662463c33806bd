"""Rate limits at the door: per client address, per token, per login request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from lime_server.core.errors import RateLimited
from lime_server.core.ports import Limit, TokenHash
from lime_server.infrastructure.web.asgi import WATCHED, header
from lime_server.infrastructure.web.clients import Network, client_address, login_request_id
from lime_server.infrastructure.web.metrics import Metrics

_TOKEN_HEADERS = (b"x-agent-token", b"x-site-token")


class Counter(Protocol):
    """A limiter that counts several keys at once."""

    async def take_all(self, uses: Sequence[tuple[str, Limit]]) -> None:
        """Count one use of each key; raises `RateLimited` when one of them is too many."""
        ...


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What is allowed; None means no limit."""

    per_address: Limit | None
    per_token: Limit | None
    per_request: Limit | None
    trusted_proxies: Sequence[Network] = ()


class Limits:
    """Pure ASGI middleware that counts each request before any work is done for it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        counter: Counter,
        limits: RateLimits,
        tokens: TokenHash,
        metrics: Metrics,
    ) -> None:
        """`tokens` hashes them: a limiter's keys must not hold any."""
        self._app = app
        self._counter = counter
        self._limits = limits
        self._tokens = tokens
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises `RateLimited`."""
        if scope["type"] == "http" and (scope["method"], scope["path"]) not in WATCHED:
            uses = self._uses(scope)
            try:
                if uses:
                    await self._counter.take_all(uses)
            except RateLimited:
                self._metrics.limited()
                raise
        await self._app(scope, receive, send)

    def _uses(self, scope: Scope) -> list[tuple[str, Limit]]:
        uses = []
        if (limit := self._limits.per_address) is not None:
            uses.append((f"address:{client_address(scope, self._limits.trusted_proxies)}", limit))
        if (limit := self._limits.per_token) is not None:
            # Whether the token is good is not known yet, and does not matter: a guesser sends
            # a new one each time and is counted by address.
            tokens = filter(None, (header(scope, name) for name in _TOKEN_HEADERS))
            uses += [(f"token:{self._short(token)}", limit) for token in tokens]
        if (limit := self._limits.per_request) is not None and (ident := login_request_id(scope)):
            uses.append((f"request:{self._short(ident)}", limit))
        return uses

    def _short(self, text: str) -> str:
        return self._tokens.hash(text)[:16].hex()
