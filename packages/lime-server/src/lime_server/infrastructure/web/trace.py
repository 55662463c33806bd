"""What every request gets: an id, a line in the log, a place in the metrics, safe headers.

One middleware rather than four: each wraps `send`, and that is what middleware costs.
"""

import logging
import re
import secrets
from collections.abc import Callable, Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lime_server.core.origin import LONGEST_USER_AGENT, Origin, coming_from
from lime_server.infrastructure.web.asgi import Headers, header
from lime_server.infrastructure.web.clients import (
    Network,
    brought_by,
    client_address,
    whole_address,
)
from lime_server.infrastructure.web.metrics import Metrics

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,127}")

_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
_UNLESS_SET: Headers = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# For two years, as browsers ask for.
_SECURE: Headers = [(b"strict-transport-security", b"max-age=63072000")]

log = structlog.get_logger("lime_server.access")
_lines = logging.getLogger("lime_server.access")


class Trace:
    """Pure ASGI middleware, the outermost one."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        monotonic: Callable[[], float],
        secure: bool,
        access_log: bool,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        """`secure` says that the public URL is https; `monotonic` tells seconds."""
        self._app = app
        self._metrics = metrics
        self._monotonic = monotonic
        self._always = _ALWAYS + (_SECURE if secure else [])
        self._access_log = access_log
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        began = self._monotonic()
        status = 0
        first_byte = began

        async def dressed(message: Message) -> None:
            nonlocal status, first_byte
            if message["type"] == "http.response.start":
                status = message["status"]
                first_byte = self._monotonic()
                self._dress(message, request_id)
            await send(message)

        with coming_from(self._origin(scope, request_id)):
            try:
                await self._app(scope, receive, dressed)
            finally:
                # Until the answer began: how long a stream then stays open says nothing.
                took = (first_byte if status else self._monotonic()) - began
                route = route_of(scope)
                self._metrics.served(scope["method"], route, status, took)
                # Asked first, because a line that nobody wants costs as much as half a request.
                wanted = self._access_log and _lines.isEnabledFor(logging.INFO)
                if wanted and not route.startswith("/health/"):
                    # The path itself may hold what nobody should read; its pattern does not.
                    log.info(
                        "request",
                        method=scope["method"],
                        route=route,
                        status=status,
                        ms=round(took * 1000, 2),
                        **self._whose(scope),
                    )

    def _whose(self, scope: Scope) -> dict[str, str]:
        """The client as limits count it, and the proxy that brought its request, if one did."""
        client = client_address(scope, self._trusted_proxies)
        via = brought_by(scope, self._trusted_proxies)
        return {"client": client} if via is None else {"client": client, "via": via}

    def _origin(self, scope: Scope, request_id: str) -> Origin:
        address = whole_address(scope, self._trusted_proxies)
        user_agent = header(scope, b"user-agent")
        return Origin(
            request_id,
            None if address is None else str(address),
            None if user_agent is None else user_agent[:LONGEST_USER_AGENT],
        )

    def _dress(self, message: Message, request_id: str) -> None:
        headers: Headers = list(message.get("headers", ()))
        present = {name.lower() for name, _ in headers}
        headers.append((b"x-request-id", request_id.encode()))
        headers += self._always
        unless_set = _UNLESS_SET[:1] if _is_page(headers) else _UNLESS_SET
        headers += [(name, value) for name, value in unless_set if name not in present]
        message["headers"] = headers


def request_id_of(scope: Scope) -> str:
    """The caller's `X-Request-Id` if it is a sane token, else a fresh one."""
    given = header(scope, b"x-request-id")
    return given if given and _SANE.fullmatch(given) else secrets.token_hex(16)


def route_of(scope: Scope) -> str:
    """The pattern that matched, such as `/api/v1/auth/requests/{id}`; never the raw path."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


def _is_page(headers: Headers) -> bool:
    # Pages bring their own policy, or scripts that this strict one would stop (`/docs`).
    return any(n == b"content-type" and v.startswith(b"text/html") for n, v in headers)
