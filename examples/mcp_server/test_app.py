"""The MCP server on a socket, a real LIME, and the official client."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.auth import TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from examples.mcp_server import app
from examples.mcp_server.app import MAX_NOTE, create_app
from lime_sites.testing import FakeLime
from tests.support.server import DevServer

Running = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def running() -> AsyncIterator[str]:
    """Serve the example; its public URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # It listens already, so nobody has to wait until the server is ready.
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(create_app(url), ws="none", log_level="warning")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield url
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def calling(url: str, auth: httpx2.Auth) -> AsyncIterator[Client]:
    """Connect to the MCP server as who `auth` proves."""
    async with httpx2.AsyncClient(auth=auth) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport) as client:
            yield client


class Pocket(TokenStorage):
    """Keeps tokens for one client."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Bearer(httpx2.Auth):
    """One token, whatever the server says."""

    def __init__(self, token: str) -> None:
        self.token = token

    def auth_flow(self, request: httpx2.Request) -> Any:
        request.headers["authorization"] = f"Bearer {self.token}"
        yield request


def _said(result: Any) -> Any:
    assert not result.is_error, result
    found = result.structured_content
    return found.get("result", found)


async def test_an_agent_calls_tools_with_what_the_official_client_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DevServer(tmp_path) as lime:
        monkeypatch.setenv("LIME_API_BASE", lime.api_base)
        async with running() as url:
            auth = ClientCredentialsOAuthProvider(
                server_url=f"{url}/mcp",
                storage=Pocket(),
                client_id=lime.ready["agent_id"],
                client_secret=lime.ready["agent_token"],
                issuer=f"{lime.api_base}/modules/oauth",
            )
            async with calling(url, auth) as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == {
                    "whoami",
                    "note",
                }
                who = _said(await client.call_tool("whoami", {}))
                assert who["agent_id"] == who["client_id"] == lime.ready["agent_id"]
                assert who["scope"] == "mcp"
                assert _said(await client.call_tool("note", {"text": "a"})) == ["a"]


@pytest.fixture
def lime(monkeypatch: pytest.MonkeyPatch) -> Any:
    fake = FakeLime()
    monkeypatch.setenv("LIME_API_BASE", fake.base_url)
    with fake.mounted():
        yield fake


async def test_each_agent_sees_its_own_notes(lime: FakeLime) -> None:
    async with running() as url:
        for agent, text in (("agent-1", "mine"), ("agent-2", "hers")):
            token = lime.access_token(resource=f"{url}/mcp", agent_id=agent)
            async with calling(url, Bearer(token)) as client:
                assert _said(await client.call_tool("note", {"text": text})) == [text]


async def test_no_agent_can_fill_the_memory(
    lime: FakeLime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MAX_NOTES", 2)
    async with running() as url:
        token = lime.access_token(resource=f"{url}/mcp")
        async with calling(url, Bearer(token)) as client:
            assert (await client.call_tool("note", {"text": "x" * (MAX_NOTE + 1)})).is_error
            kept = [_said(await client.call_tool("note", {"text": text})) for text in "abc"]
            assert kept == [["a"], ["a", "b"], ["b", "c"]]


async def test_who_has_no_token_for_this_server_is_told_where_to_get_one(lime: FakeLime) -> None:
    async with running() as url, httpx.AsyncClient() as browser:
        for token in ("nonsense", lime.access_token(resource="https://other.example/mcp")):
            answer = await browser.post(
                f"{url}/mcp", json={}, headers={"authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 401
            challenge = answer.headers["www-authenticate"]
            metadata = f"{url}/.well-known/oauth-protected-resource/mcp"
            assert f'resource_metadata="{metadata}"' in challenge
            assert 'scope="mcp"' in challenge
            document = (await browser.get(metadata)).json()
            assert document["resource"] == f"{url}/mcp"
            assert document["authorization_servers"] == [lime.oauth_issuer]


@pytest.mark.usefixtures("lime")
async def test_a_server_with_a_name_takes_the_short_form_too(lime: FakeLime) -> None:
    token = lime.access_token(domain="notes.example")
    transport = httpx.ASGITransport(app=create_app("https://notes.example"))
    async with httpx.AsyncClient(transport=transport, base_url="https://notes.example") as browser:
        # Let in, and then told that this is no MCP request.
        answer = await browser.get("/other", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 404
