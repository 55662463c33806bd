"""Puts tokens on requests to an MCP server: the one module here that touches an HTTP client.

`mcp` 1 speaks through httpx and `mcp` 2 through httpx2, which look alike; so the library is an
argument. Sessions outlive their tokens: each request takes the one of its time.

Many calls share a connection, and the official SDK ends it when one request raises. So none does:
what goes wrong with a request becomes its answer, and `Bearer.meant` finds the error again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias

from lime_agents._errors import McpAuthenticationError
from lime_agents._mcp import discovery, generations
from lime_agents._mcp.targets import McpTarget, origin_of
from lime_agents._mcp.tokens import McpTokens
from lime_agents._version import __version__
from lime_sdk_core import LimeError, TransportError, user_agent

#: Seconds to reach an MCP server, and to read what it says of itself.
CONNECT_TIMEOUT = 30.0

#: Errors of a connection that can still be found. A call whose request failed looks at once, and
#: one that was cancelled never does.
MAX_KEPT = 1000

#: Redirects that a request follows. One leads from `/mcp` to `/mcp/`; more are a mistake or a loop.
MAX_REDIRECTS = 3

#: Where an answer made here says which error it stands for.
_REFERENCE = "lime-agents-sdk"

_Forward: TypeAlias = Callable[[Any], Awaitable[Any]]
_Build: TypeAlias = Callable[[str], Any]


class SessionLostError(Exception):
    """The server forgot the session. It did nothing, so the call may be repeated."""


class Bearer:
    """What stands between the official SDK and one server.

    Attributes:
        session_lost: Has the server forgotten the session that a request belonged to?
    """

    def __init__(self, target: McpTarget, tokens: McpTokens) -> None:
        self.session_lost = False
        self._target, self._tokens = target, tokens
        self._kept: dict[str, LimeError | SessionLostError] = {}
        self._undiscovered: LimeError | None = None
        self._library: Any = None
        self._get: _Build
        self._plain: Callable[..., Awaitable[Any]]

    def client(self, library: ModuleType, read_timeout: float) -> Any:
        """Return an HTTP client that sends tokens, to this server and to nobody else."""
        # Not a transport of our own: with one, the library ignores proxies from the environment.
        kind = type("BearerClient", (_Sending, library.AsyncClient), {"bearer": self})
        client = kind(
            # Later than the SDK's own clock, which ends a call and nothing else.
            timeout=library.Timeout(CONNECT_TIMEOUT, read=read_timeout + CONNECT_TIMEOUT),
            follow_redirects=False,
            headers={"user-agent": user_agent("lime-agents-sdk", __version__)},
            # Proxies from the environment are for other machines.
            trust_env=not self._target.private,
        )
        self._library, self._plain = library, partial(library.AsyncClient.send, client)
        self._get = partial(client.build_request, "GET", timeout=CONNECT_TIMEOUT)
        return client

    async def send(self, request: Any, forward: _Forward) -> Any:
        """Return the answer to `request`, or one that stands for why there is none.

        Args:
            request: A request of the library.
            forward: Sends one as it is.
        """
        method, asked = await _call_in(request)
        # `mcp` 2 begins a session when its question for the stateless protocol fails. It would do
        # so at a server that has no need of one, because for a moment there was no token.
        if method == "initialize" and self._undiscovered is not None:
            return self._instead(request, asked, self._undiscovered)
        try:
            return await self._understood(request, asked, await self._opened(request, forward))
        except LimeError as error:
            failure = error
        except (self._library.HTTPError, OSError) as error:
            failure = ended_early(self._target, type(error).__name__)
        if method == "server/discover":
            self._undiscovered = failure
        return self._instead(request, asked, failure)

    def meant(self, error: BaseException | None) -> LimeError | SessionLostError | None:
        """Return what `error` stands for, if it is an answer that was made here."""
        data = getattr(getattr(error, "error", None), "data", None)
        # A server that answers in this shape does not know any reference.
        reference = data.get(_REFERENCE) if isinstance(data, dict) else None
        return self._kept.get(reference) if isinstance(reference, str) else None

    async def _opened(self, request: Any, forward: _Forward) -> Any:
        """Send `request` with a token, and once more with a new one if the first is refused."""
        # 1. A token goes to the server that it is for, wherever a redirect points.
        if origin_of(str(request.url)) != self._target.origin:
            raise McpAuthenticationError("A redirect led away from the MCP server.")
        # 2. With the token of this time.
        token = await self._token(None, None)
        response = await self._sent(request, token, forward)
        # 3. Refused: ask what it wants, and try once more.
        if response.status_code == 401:
            await response.aclose()
            token = await self._token(token, discovery.challenge_of(response))
            response = await self._sent(request, token, forward)
        if response.status_code == 401:
            await response.aclose()
            # Whatever was learned about this server did not help.
            self._tokens.forget(self._target)
            raise McpAuthenticationError(
                f"{self._target.domain} does not accept this agent's access token.",
                code="MCP_AUTH_FAILED",
                http_status=401,
            )
        return response

    async def _sent(self, request: Any, token: str, forward: _Forward) -> Any:
        """Send `request`, wherever on this server it is redirected to.

        `mcp` 2 would follow as far by itself, `mcp` 1 nowhere.
        """
        response = await forward(_with(request, token))
        for _ in range(MAX_REDIRECTS):
            onward = response.next_request
            # As a 301 a call would go on as a GET, which says nothing (RFC 9110, section 15.4.2).
            if (
                onward is None
                or onward.method != request.method
                or origin_of(str(onward.url)) != self._target.origin
            ):
                break
            await response.aclose()
            response = await forward(_with(onward, token))
        return response

    async def _understood(self, request: Any, asked: Any, response: Any) -> Any:
        """Return `response` as the official SDK can take it without ending the connection."""
        status = response.status_code
        # 1. The specification of MCP: 404 to a request with a session id means a new session.
        if status == 404 and "mcp-session-id" in request.headers:
            self.session_lost = True
            await response.aclose()
            return self._instead(request, asked, SessionLostError("Session terminated"))
        # 2. Both lines know what to make of an answer that is fine, of one to what is no message,
        #    and of a 404, by which `mcp` 2 knows a server without the stateless protocol.
        if status < 300 or status == 404 or request.method != "POST":
            return response if asked is None else self._watched(asked, response)
        # 3. `mcp` 1 ends the connection for any other. A challenge tells programs what is missing
        #    (RFC 6750, section 3.1); otherwise a server may say in JSON what is wrong.
        body = await _short(response)
        failure: LimeError | None = discovery.lack_of_scope(response, self._target)
        if failure is None and asked is not None and (said := _error_in(body)) is not None:
            return self._answer(request, asked, said)
        words = f"{self._target.domain} answered HTTP {status}."
        failure = failure or TransportError(words, http_status=status)
        return self._instead(request, asked, failure)

    async def _token(self, refused: str | None, challenge: str | None) -> str:
        if challenge is not None and not self._tokens.knows(self._target):
            await self._discover(challenge)
        return (await self._tokens.get(self._target, instead_of=refused)).access_token

    async def _discover(self, challenge: str) -> None:
        for place in discovery.places(self._target, challenge):
            found = discovery.read(await self._read(place))
            if found is not None:
                issuer = await self._tokens.issuer()
                self._tokens.learn(self._target, discovery.resource_of(found, self._target, issuer))
                return

    async def _read(self, url: str) -> bytes:
        """Return what is at `url`, without a token; nothing if there is nothing, or too much."""
        response = await self._plain(self._get(url), stream=True)
        body = await _short(response)
        return body if response.status_code == 200 else b""

    def _instead(self, request: Any, asked: Any, failure: LimeError | SessionLostError) -> Any:
        if asked is None:
            # Nobody waits for an answer to a notification, and no stream of events or farewell is
            # needed: 202 and 405 are what a server may say to them.
            status = 202 if request.method == "POST" else 405
            return self._library.Response(status, request=request)
        return self._answer(request, asked, self._error(failure))

    def _watched(self, asked: Any, response: Any) -> Any:
        """Return `response`, whose events do not end without an answer."""
        kind = response.headers.get("content-type", "").lower()
        # What is packed cannot be added to; nobody packs single events.
        if kind.startswith("text/event-stream") and "content-encoding" not in response.headers:

            def ending(error: BaseException | None) -> bytes:
                said = type(error).__name__ if error is not None else ""
                failure = self._error(ended_early(self._target, said))
                # An event of no known kind takes along what was begun and never finished.
                message = json.dumps(_message(asked, failure))
                return f"\nevent: broken\n\ndata: {message}\n\n".encode()

            watched = type("Watched", (_Watched, self._library.AsyncByteStream), {})
            broken = (self._library.HTTPError, OSError)
            response.stream = watched(response.stream, broken, ending)
        return response

    def _error(self, failure: LimeError | SessionLostError) -> dict[str, Any]:
        """Return what an answer says that stands for `failure`."""
        reference = secrets.token_urlsafe(16)
        self._kept[reference] = failure
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        lost = isinstance(failure, SessionLostError)
        return {
            "code": generations.INVALID_REQUEST if lost else generations.INTERNAL_ERROR,
            "message": str(failure),
            "data": {_REFERENCE: reference},
        }

    def _answer(self, request: Any, asked: Any, error: dict[str, Any]) -> Any:
        return self._library.Response(200, json=_message(asked, error), request=request)


class _Sending:
    """What the HTTP library's client does otherwise: all that the SDK sends comes by here."""

    bearer: Bearer

    async def send(self, request: Any, **options: Any) -> Any:
        forward = super().send  # type: ignore[misc]  # the library's client comes behind
        return await self.bearer.send(request, partial(forward, **options))


class _Watched:
    """The events that answer a call. Where both lines read to the end, there was no answer in them.

    `mcp` 1 waits on then, and `mcp` 2 says what a server may say, too.
    """

    def __init__(
        self,
        stream: Any,
        broken: tuple[type[Exception], ...],
        ending: Callable[[BaseException | None], bytes],
    ) -> None:
        self._stream, self._broken, self._ending = stream, broken, ending

    async def __aiter__(self) -> AsyncIterator[bytes]:
        resumable, before = False, b""
        try:
            async for part in self._stream:
                # Events with ids can be asked for again, which both lines do by themselves.
                resumable = resumable or b"id:" in before + part
                before = part[-2:]
                yield part
        except self._broken as error:
            if resumable:
                raise
            ending = self._ending(error)
        else:
            ending = b"" if resumable else self._ending(None)
        yield ending

    async def aclose(self) -> None:
        await self._stream.aclose()


def ended_early(target: McpTarget, said: str = "") -> TransportError:
    """Return the error for a connection to `target` that ended, with what was `said` of it."""
    said = f" ({said})" if said else ""
    return TransportError(f"The connection to {target.domain} ended early{said}.")


async def _short(response: Any) -> bytes:
    """Return the body of `response`, which is over then; nothing if it is too long for a document.

    A server that answers without an end must not fill the memory of an agent.
    """
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > discovery.MAX_DOCUMENT:
                return b""
    finally:
        await response.aclose()
    return body


async def _call_in(request: Any) -> tuple[str | None, Any]:
    """Return the method and id of the call that `request` makes; no id if nobody waits for it."""
    # Read, because a request that follows a redirect has its body as a stream.
    message = _object_in(await request.aread())
    method = message.get("method")
    # An answer to something that the server asked has an id too, which is the server's.
    return method, message.get("id") if method is not None else None


def _message(asked: Any, error: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked, "error": error}


def _error_in(body: bytes) -> dict[str, Any] | None:
    """Return the error that `body` answers a call with, if it does."""
    error = _object_in(body).get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    # A true number: both lines refuse anything else, and the call would wait for ever.
    return error if type(error.get("code")) is int else None


def _object_in(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _with(request: Any, token: str) -> Any:
    request.headers["authorization"] = f"Bearer {token}"
    return request
