"""A small real MCP server on loopback, and a LIME that gives out tokens for it."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Self
from urllib.parse import parse_qs

import httpx
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)
from starlette.types import Receive, Scope, Send

from lime_agents.testing import FakeLime

ISSUER = "https://lime.example/api/v1/modules/oauth"


class TokenLime(FakeLime):
    """A fake LIME that is an authorization server as well."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []
        self.issued: set[tuple[str, str | None]] = set()
        self.lifetime = 300
        self.issuer = ISSUER

    def _route(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "/modules/oauth/.well-known/oauth-authorization-server":
            assert "x-agent-token" not in request.headers
            return httpx.Response(200, json={"issuer": self.issuer})
        if path != "/modules/oauth/token":
            return super()._route(request, path)
        if request.headers["content-type"] == "application/json":
            assert request.headers["x-agent-token"] == self.agent_token
            self.asked.append(json.loads(request.content))
        else:
            assert "x-agent-token" not in request.headers
            expected = httpx.BasicAuth(self.profile.agent_id, self.agent_token)._auth_header
            assert request.headers["authorization"] == expected
            self.asked.append({k: v for k, [v] in parse_qs(request.content.decode()).items()})
        token = f"token-{secrets.token_hex(8)}"
        self.issued.add((token, self.asked[-1].get("resource")))
        body = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        return httpx.Response(200, json=body, headers={"cache-control": "no-store"})


Answer = Callable[[Scope, dict[str, str], Send], Awaitable[bool]]
"""Answers a request instead of the server; False: it did not."""


class Site:
    """An MCP server that takes this LIME's tokens."""

    def __init__(self, lime: TokenLime, *, stateless: bool = True) -> None:
        self.lime = lime
        self.url = ""
        """Where it is, while it is served."""
        self.seen: list[tuple[str, str, str]] = []
        """Method, path and token of each request."""
        self.resource: str | None = None
        """It takes tokens for this resource only."""
        self.metadata: bytes | None = None
        """What the well-known path answers with."""
        self.challenge = "Bearer"
        self.refused: set[str] = set()
        self.answer: Answer | None = None
        self.meeting = asyncio.Event()
        server = MCPServer("test")

        @server.tool()
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        @server.tool()
        async def slow(context: Context) -> str:
            """Wait until two are here."""
            await context.report_progress(1, 2, "half")
            await self.meeting.wait()
            return "done"

        @server.resource("note://one")
        def note() -> str:
            """A note."""
            return "first"

        @server.resource("note://{name}/text")
        def named(name: str) -> str:
            """A note by name."""
            return name

        @server.prompt()
        def greet(name: str) -> str:
            """Greet somebody."""
            return f"Hello {name}"

        @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # as the SDK has it
        async def complete(
            ref: PromptReference | ResourceTemplateReference,
            argument: CompletionArgument,
            context: CompletionContext | None,
        ) -> Completion:
            return Completion(values=[argument.value + "x"])

        self.app = server.streamable_http_app(stateless_http=stateless, json_response=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        token = headers.get("authorization", "").removeprefix("Bearer ")
        self.seen.append((scope["method"], scope["path"], token))
        if scope["path"].startswith("/.well-known/"):
            assert not token
            found = self.metadata if scope["path"].endswith("/mcp") else None
            await reply(send, 200 if found else 404, body=found or b"")
            return
        if self.answer is not None and await self.answer(scope, headers, send):
            return
        if token in self.refused or (token, self.resource) not in self.lime.issued:
            await reply(send, 401, [(b"www-authenticate", self.challenge.encode())])
            return
        await self.app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[Self]:
        """Serve it on a port of its own, until the block is left."""
        self.meeting = asyncio.Event()
        config = uvicorn.Config(self, port=0, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        sock = config.bind_socket()
        self.url = f"http://localhost:{sock.getsockname()[1]}/mcp"
        task = asyncio.create_task(server._serve([sock]))
        # The socket listens already: whoever connects waits until the server takes it.
        sock.listen()
        try:
            yield self
        finally:
            server.should_exit = True
            await task


async def reply(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b""
) -> None:
    """Answer a request with this."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
