"""A small real MCP server on loopback, and a LIME that gives out tokens for it."""

import asyncio
import contextlib
import json
import secrets
from urllib.parse import parse_qs

import httpx
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import Completion

from lime_agents.testing import FakeLime

ISSUER = "https://lime.example/api/v1/modules/oauth"


class TokenLime(FakeLime):
    """A fake LIME that is an authorization server as well."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.issued = set()
        self.lifetime = 300
        self.issuer = ISSUER

    def _route(self, request, path):
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


class Site:
    """An MCP server that takes this LIME's tokens."""

    def __init__(self, lime, *, stateless=True):
        self.lime = lime
        self.seen = []  # (method, path, token)
        self.resource = None  # take tokens for this resource only
        self.metadata = None  # what the well-known path answers with
        self.challenge = "Bearer"
        self.refused = set()
        self.answer = None  # an ASGI app that answers instead
        self.meeting = None
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

        @server.completion()
        async def complete(ref, argument, context):
            return Completion(values=[argument.value + "x"])

        self.app = server.streamable_http_app(stateless_http=stateless, json_response=False)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        token = headers.get("authorization", "").removeprefix("Bearer ")
        self.seen.append((scope["method"], scope["path"], token))
        if scope["path"].startswith("/.well-known/"):
            assert not token
            found = self.metadata if scope["path"].endswith("/mcp") else None
            return await reply(send, 200 if found else 404, body=found or b"")
        if self.answer is not None and await self.answer(scope, headers, send):
            return None
        if token in self.refused or (token, self.resource) not in self.lime.issued:
            return await reply(send, 401, [(b"www-authenticate", self.challenge.encode())])
        return await self.app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def served(self):
        self.meeting = asyncio.Event()
        config = uvicorn.Config(self, port=0, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None
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


async def reply(send, status, headers=(), body=b""):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
