"""The web portal: files that were made at build time, on the server's own origin."""

import hashlib
import string
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from lime_server.infrastructure.web.asgi import Headers, all_headers
from lime_server.infrastructure.web.portal_export import CODINGS, Export, ExportedFile

NOT_PAGES = frozenset({".well-known", "api", "dev", "docs", "health", "metrics", "openapi.json"})
"""First segments of paths below which no page is: programs ask there, and read JSON."""

_METHODS = ("GET", "HEAD")
_ALLOW = {"Allow": ", ".join(_METHODS)}

_PAGES_KEPT = b"no-cache"
"""May be kept, and is asked for again each time: a page names the scripts of its own build."""
_FOREVER = b"public, max-age=31536000, immutable"
"""A year, the longest that RFC 9111 knows a use for, for names that change with their content."""

_PERMISSIONS = (
    b"publickey-credentials-get=(self), publickey-credentials-create=(self), "
    b"clipboard-write=(self), camera=(), geolocation=(), microphone=(), payment=(), usb=()"
)
_ALWAYS: Headers = [
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", _PERMISSIONS),
]

_TURNSTILE = "https://challenges.cloudflare.com"
"""Where Turnstile's script and frame come from, by its own documentation of CSP."""
_SCRIPT_POLICY = b"default-src 'none'; script-src 'self'; frame-ancestors 'none'"
"""Of a script's own answer: a worker lives by it, and may load parts of itself."""

# Everything printable but `#`, which would begin a fragment. `%` stays: it is encoded already.
_QUERY_SAFE = string.punctuation.replace("#", "")


def install(app: FastAPI, export: Export, *, turnstile: bool) -> None:
    """Serve `export` at every path for which `app` has no route of its own.

    `turnstile` says that its pages ask Cloudflare's Turnstile about a registration.
    """
    # Behind the routes, not among them: a method that a route does not know stays that route's.
    app.router.default = Portal(export, app.router.default, turnstile=turnstile)


class Portal:
    """Pure ASGI: answers from memory, with headers that were composed at start."""

    def __init__(self, export: Export, otherwise: ASGIApp, *, turnstile: bool) -> None:
        """`otherwise` answers what is nobody's."""
        self._otherwise = otherwise
        self._files = {
            path: _Served(file, turnstile=turnstile) for path, file in export.files.items()
        }
        # Looked up too: a redirect goes to a path of ours, never to one that a request spelt.
        self._slashless = {path[:-1]: path for path in export.files if path[1:].endswith("/")}
        lost = export.not_found
        self._not_found = None if lost is None else _Served(lost, turnstile=turnstile)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises HTTPException for what is no file, or not to be read."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        file, slashed = self._files.get(path), self._slashless.get(path)
        if file is None and slashed is None:
            if method in _METHODS and self._not_found is not None and _is_for_a_page(scope):
                await self._not_found.answer_lost(scope, send)
            else:
                await self._otherwise(scope, receive, send)
        elif method not in _METHODS:
            raise HTTPException(405, headers=_ALLOW)
        elif file is not None:
            await file.answer(scope, send)
        else:
            assert slashed is not None  # noqa: S101 - one of the two is there
            await _redirect(scope, send, slashed)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What logs and metrics call a request: one of few, never what a caller chose."""

    path: str


_ASSET = _Pattern("/{asset}")
_LOST = _Pattern("/{lost}")


class _Served:
    """One file with its headers."""

    def __init__(self, file: ExportedFile, *, turnstile: bool) -> None:
        self._pattern = _Pattern(file.path) if file.is_page else _ASSET
        self._common = [
            *_ALWAYS,
            (b"cache-control", _FOREVER if file.is_immutable else _PAGES_KEPT),
        ]
        if file.is_page:
            policy = page_policy(file, turnstile=turnstile).encode()
            self._common.append((b"content-security-policy", policy))
        elif file.content_type.startswith("text/javascript"):
            self._common.append((b"content-security-policy", _SCRIPT_POLICY))
        if file.encoded:
            self._common.append((b"vary", b"Accept-Encoding"))
        self._kind = file.content_type.encode()
        self._bodies = {"": file.body, **file.encoded}
        digest = hashlib.sha256(file.body).hexdigest()[:32]
        # A strong tag is of bytes, so that each coding has its own (RFC 9110, section 8.8.3.3).
        self._tags = {
            coding: f'"{digest}-{coding}"' if coding else f'"{digest}"' for coding in self._bodies
        }

    async def answer(self, scope: Scope, send: Send) -> None:
        """200 with the file, or 304 when the caller has it."""
        scope["route"] = self._pattern
        coding = self._coding(scope)
        tag = self._tags[coding]
        # The policy goes along with a 304 too: it would replace the one that was kept.
        headers = [*self._common, (b"etag", tag.encode())]
        if _has(scope, tag):
            await _send(scope, send, 304, headers)
        else:
            await self._whole(scope, send, 200, headers, coding)

    async def answer_lost(self, scope: Scope, send: Send) -> None:
        """404 with the file as its page, which nobody is to keep."""
        scope["route"] = _LOST
        headers = [one for one in self._common if one[0] != b"cache-control"]
        await self._whole(scope, send, 404, headers, self._coding(scope))

    async def _whole(
        self, scope: Scope, send: Send, status: int, headers: Headers, coding: str
    ) -> None:
        body = self._bodies[coding]
        about = [(b"content-type", self._kind), (b"content-length", str(len(body)).encode())]
        if coding:
            about.append((b"content-encoding", coding.encode()))
        await _send(scope, send, status, about + headers, body)

    def _coding(self, scope: Scope) -> str:
        wanted = _wanted(scope)
        return next((one for one in CODINGS if one in self._bodies and one in wanted), "")


def page_policy(page: ExportedFile, *, turnstile: bool) -> str:
    """The Content-Security-Policy of `page`: its own origin, and what stands in it by hash.

    With `turnstile` also Cloudflare's script and frame: the one third party that an operator may
    choose. On every page, because a policy stays while its reader follows links.
    """
    third_party = [_TURNSTILE] if turnstile else []
    directives = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *page.script_hashes(), *third_party],
        "style-src": ["'self'", *page.style_hashes()],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "worker-src": ["'self'"],
        "frame-src": third_party or ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def _is_for_a_page(scope: Scope) -> bool:
    """Whether a browser asked for something to show, outside of what programs ask for."""
    if scope["path"].split("/")[1] in NOT_PAGES:
        return False
    return any("text/html" in value.lower() for value in all_headers(scope, b"accept"))


def _wanted(scope: Scope) -> set[str]:
    """The content codings that the caller names and does not refuse (RFC 9110, section 12.5.3)."""
    wanted = set()
    for part in ",".join(all_headers(scope, b"accept-encoding")).lower().split(","):
        coding, _, weight = part.replace(" ", "").replace("\t", "").partition(";q=")
        # A weight is 0 or 1 with at most three decimals.
        if not weight or weight.strip("0."):
            wanted.add(coding)
    return wanted


def _has(scope: Scope, tag: str) -> bool:
    """Whether the caller has what is tagged so (RFC 9110, section 13.1.2, compared weakly)."""
    held = ",".join(all_headers(scope, b"if-none-match")).split(",")
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in held)


async def _redirect(scope: Scope, send: Send, path: str) -> None:
    """To the page's own address: relative, so that no `Host` has a say in where that is."""
    query = quote(scope["query_string"], safe=_QUERY_SAFE)
    location = f"{path}?{query}" if query else path
    scope["route"] = _Pattern(path)
    headers = [*_ALWAYS, (b"location", location.encode()), (b"content-length", b"0")]
    await _send(scope, send, 308, headers)


async def _send(scope: Scope, send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    shown = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": shown})
