"""The guide for MCP servers: its programs run as they stand."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest

from lime_sites.testing import FakeLime

_BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[3] / "docs/guides/mcp.md").read_text(),
    re.DOTALL,
)


def _run(containing: str) -> dict[str, Any]:
    (found,) = [block for block in _BLOCKS if containing in block]
    # FastAPI and the official SDK look up annotations in the module of a function.
    module = ModuleType("a_guide")
    exec(found, module.__dict__)
    return module.__dict__


async def test_the_server_of_the_official_sdk_lets_agents_in(
    fake_lime_for_sites: FakeLime,
) -> None:
    names = _run("MCPServer(")
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    token = fake_lime_for_sites.access_token(resource="https://mcp.example.com/mcp")
    transport = httpx.ASGITransport(app=names["app"])
    headers = {"accept": "application/json, text/event-stream"}
    async with (
        names["server"].session_manager.run(),
        httpx.AsyncClient(transport=transport, base_url="https://mcp.example.com") as browser,
    ):
        refused = await browser.post("/mcp", json=call, headers=headers)
        assert refused.status_code == 401
        assert 'scope="mcp"' in refused.headers["www-authenticate"]
        headers["authorization"] = f"Bearer {token}"
        assert (await browser.post("/mcp", json=call, headers=headers)).status_code == 200


async def test_the_fastapi_application_lets_agents_in(fake_lime_for_sites: FakeLime) -> None:
    names = _run("app = FastAPI()")
    token = fake_lime_for_sites.access_token(
        resource="https://reports.example.com/api", agent_id="a-7"
    )
    transport = httpx.ASGITransport(app=names["app"])
    async with httpx.AsyncClient(
        transport=transport, base_url="https://reports.example.com"
    ) as browser:
        answer = await browser.get("/api/reports", headers={"authorization": f"Bearer {token}"})
        assert answer.json() == "a-7"
        place = "/.well-known/oauth-protected-resource/api"
        assert (await browser.get(place)).json()["resource_name"] == "Reports"


@pytest.mark.usefixtures("fake_lime_for_sites")
def test_the_fastmcp_server_is_given_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(*given: Any, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(given=given, **options)

    class Verifier:
        def __init__(self, **options: Any) -> None:
            self.options = options

    auth = SimpleNamespace(TokenVerifier=Verifier, RemoteAuthProvider=keep)
    monkeypatch.setitem(sys.modules, "fastmcp", SimpleNamespace(FastMCP=keep))
    monkeypatch.setitem(sys.modules, "fastmcp.server.auth", auth)
    assert _run("from fastmcp")["server"].auth.base_url == "https://mcp.example.com"
