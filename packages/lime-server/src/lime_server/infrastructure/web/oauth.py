"""What the endpoints of OAuth want of the edge: refusals of their own form, and CORS."""

import json
import re
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lime_server.core.errors import DomainError
from lime_server.infrastructure.web.asgi import Headers, answer, header
from lime_server.modules.mcp_oauth.errors import InvalidClient, OAuthError

PREFLIGHT_MAX_AGE = 600
"""Seconds a browser may keep what it was allowed: Chromium keeps none for longer than 7200."""

_UNFIT = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_BY_STATUS = {
    401: "invalid_client",
    403: "access_denied",
    # RFC 6749 has this one for the authorization endpoint; nothing fits better, and the status and
    # Retry-After say the rest.
    429: "temporarily_unavailable",
    503: "temporarily_unavailable",
}
_OPEN: Headers = [
    # Without credentials: a browser sends no cookie along, and nothing here looks at one.
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"WWW-Authenticate, Retry-After, X-Request-Id"),
]
_PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Accept, MCP-Protocol-Version, X-Request-Id",
    ),
    (b"access-control-max-age", str(PREFLIGHT_MAX_AGE).encode()),
    (b"content-length", b"0"),
]


def oauth_body(code: str, description: str) -> bytes:
    """A refusal (RFC 6749, section 5.2), with the few characters that a description may have."""
    document = {"error": code, "error_description": _UNFIT.sub("'", description)}
    return json.dumps(document, separators=(",", ":")).encode()


async def answer_oauth_error(send: Send, error: DomainError) -> None:
    """Send `error` in that form."""
    known = isinstance(error, OAuthError)
    code = error.code if known else _BY_STATUS.get(error.status, "invalid_request")
    headers: Headers = []
    if isinstance(error, InvalidClient) and error.basic:
        headers.append((b"www-authenticate", b'Basic realm="oauth", charset="UTF-8"'))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.unread:
        # Whatever follows on this connection could be mistaken for a request.
        headers.append((b"connection", b"close"))
    await answer(send, error.status, oauth_body(code, error.message), headers)


class CrossOrigin:
    """Pure ASGI middleware: lets pages of any origin call a few paths, without credentials."""

    def __init__(self, app: ASGIApp, *, paths: Collection[str]) -> None:
        """Everything but `paths` stays as it is."""
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer the question that a browser asks before it."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        asked = header(scope, b"access-control-request-method")
        if scope["method"] == "OPTIONS" and asked is not None:
            headers = _OPEN + _PREFLIGHT
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def opened(message: Message) -> None:
            if message["type"] == "http.response.start":
                theirs: Headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in theirs}
                message["headers"] = theirs + [one for one in _OPEN if one[0] not in present]
            await send(message)

        await self._app(scope, receive, opened)
