"""Puts tokens on requests to an MCP server: the one module here that touches an HTTP client.

`mcp` 1 speaks through httpx and `mcp` 2 through httpx2, which look alike; so the library is an
argument. Sessions outlive their tokens: each request takes the one of its time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import ModuleType
from typing import Any

from lime_agents._errors import McpAuthenticationError
from lime_agents._mcp import discovery
from lime_agents._mcp.targets import McpTarget, origin_of
from lime_agents._mcp.tokens import McpTokens
from lime_agents._version import __version__
from lime_sdk_core import LimeError, user_agent

#: Seconds to reach an MCP server, and to read what it says of itself.
CONNECT_TIMEOUT = 30.0


class Bearer:
    """The `auth` of one server's HTTP client.

    Attributes:
        failure: Why no token could be sent, or that none was accepted.
        session_lost: Has the server forgotten the session that a request belonged to?
    """

    requires_request_body = False
    requires_response_body = False

    def __init__(self, target: McpTarget, tokens: McpTokens) -> None:
        self.failure: LimeError | None = None
        self.session_lost = False
        self._target, self._tokens = target, tokens
        self._client: Any = None

    def client(self, library: ModuleType, read_timeout: float) -> Any:
        """Return an HTTP client that sends tokens, to this server and to nobody else."""
        # The library checks the kind of its `auth`.
        auth = type("BearerAuth", (_Delegating, library.Auth), {})(self)
        self._client = library.AsyncClient(
            auth=auth,
            timeout=library.Timeout(CONNECT_TIMEOUT, read=read_timeout),
            follow_redirects=False,
            headers={"user-agent": user_agent("lime-agents-sdk", __version__)},
            # Proxies from the environment are for other machines.
            trust_env=not self._target.private,
        )
        return self._client

    async def flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Send `request` with a token, and once more with a new one if the first is refused.

        It yields requests and is sent their answers, as `httpx.Auth.async_auth_flow` does.
        """
        # 1. A token goes to the server that it is for, wherever a redirect points.
        url = request.url
        if origin_of(str(url)) != self._target.origin:
            raise self._failed(McpAuthenticationError("A redirect led away from the MCP server."))
        # 2. With the token of this time.
        token = await self._token(None, None)
        response = yield _with(request, token)
        # 3. Refused: ask what it wants, and try once more.
        if response.status_code == 401:
            token = await self._token(token, discovery.challenge_of(response))
            response = yield _with(request, token)
        if response.status_code == 401:
            # Whatever was learned about this server did not help.
            self._tokens.forget(self._target)
            raise self._failed(
                McpAuthenticationError(
                    f"{self._target.domain} does not accept this agent's access token.",
                    code="MCP_AUTH_FAILED",
                    http_status=401,
                )
            )
        # 4. The specification of MCP: 404 to a request with a session id means a new session.
        if response.status_code == 404 and "mcp-session-id" in request.headers:
            self.session_lost = True

    async def _token(self, refused: str | None, challenge: str | None) -> str:
        try:
            if challenge is not None and not self._tokens.knows(self._target):
                await self._discover(challenge)
            return (await self._tokens.get(self._target, instead_of=refused)).access_token
        except LimeError as error:
            raise self._failed(error) from None

    async def _discover(self, challenge: str) -> None:
        for place in discovery.places(self._target, challenge):
            found = discovery.read(await self._read(place))
            if found is not None:
                issuer = await self._tokens.issuer()
                self._tokens.learn(self._target, discovery.resource_of(found, self._target, issuer))
                return

    async def _read(self, url: str) -> bytes:
        """Return what is at `url`, without a token; nothing if there is nothing, or too much."""
        body = b""
        async with self._client.stream("GET", url, auth=None, timeout=CONNECT_TIMEOUT) as response:
            if response.status_code != 200:
                return b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > discovery.MAX_DOCUMENT:
                    return b""
        return body

    def _failed(self, error: LimeError) -> LimeError:
        self.failure = error
        return error


class _Delegating:
    """What the HTTP library calls."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        return self._bearer.flow(request)


def _with(request: Any, token: str) -> Any:
    request.headers["authorization"] = f"Bearer {token}"
    return request
