"""Servers that let agents in: plain ones, the official SDK's, and FastMCP's."""

import sys
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from mcp.server.auth.provider import TokenVerifier
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lime_sites import ConfigurationError
from lime_sites.mcp import (
    AgentAccess,
    ChallengeScopes,
    LimeTokenVerifier,
    RequireToken,
    metadata_route,
    remote_auth_provider,
)
from lime_sites.testing import FakeLime

RESOURCE = "https://mcp.example.com/mcp"
METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
async def verifier(fake: FakeLime) -> AsyncIterator[LimeTokenVerifier]:
    client = httpx.AsyncClient(transport=fake.transport)
    async with LimeTokenVerifier(
        resource=RESOURCE, base_url=fake.base_url, http_client=client
    ) as verifier:
        yield verifier


def _browser(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="https://mcp.example.com")


@pytest.fixture(params=["fastapi", "starlette"])
def app(request: pytest.FixtureRequest, verifier: LimeTokenVerifier) -> Any:
    agent = RequireToken(verifier)
    if request.param == "fastapi":
        app = FastAPI()

        @app.get("/who", response_class=PlainTextResponse)
        async def who(access: Annotated[AgentAccess, Depends(agent)]) -> str:
            return access.agent_id

        app.router.routes.append(metadata_route(verifier, name="Reports"))
        return app

    async def answer(asked: Request) -> PlainTextResponse:
        return PlainTextResponse((await agent(asked)).agent_id)

    return Starlette(routes=[Route("/who", answer), metadata_route(verifier, name="Reports")])


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_good_token_opens_a_plain_server(app: Any, fake: FakeLime) -> None:
    token = fake.access_token(resource=RESOURCE, agent_id="agent-7")
    answer = await _browser(app).get("/who", headers=_bearer(token))
    assert (answer.status_code, answer.text) == (200, "agent-7")


async def test_without_a_token_the_challenge_says_how_to_come_by_one(app: Any) -> None:
    answer = await _browser(app).get("/who", headers={"authorization": "Basic YTpi"})
    assert answer.status_code == 401
    # No error code: nothing was wrong with the token (RFC 6750, section 3.1).
    assert (
        answer.headers["www-authenticate"] == f'Bearer scope="mcp", resource_metadata="{METADATA}"'
    )
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_in_the_url_is_not_looked_at(app: Any, fake: FakeLime) -> None:
    token = fake.access_token(resource=RESOURCE)
    answer = await _browser(app).get("/who", params={"access_token": token})
    assert answer.status_code == 401


async def test_a_token_for_another_server_is_invalid_here(app: Any, fake: FakeLime) -> None:
    token = fake.access_token(resource="https://other.example/mcp")
    answer = await _browser(app).get("/who", headers=_bearer(token))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert METADATA in answer.headers["www-authenticate"]


async def test_every_token_that_proves_nothing_gets_the_same_answer(
    app: Any,
    fake: FakeLime,
    with_kid: Callable[[str, str], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = fake.access_token(resource=RESOURCE)
    head, claims, _ = good.split(".")
    past = {"iat": 1_000_000_000, "exp": 1_000_000_060}
    tokens = {
        "MalformedTokenError": "a.b.c",
        "UnsupportedHeaderError": fake.passport("request-1"),
        "does not publish": with_kid(good, "nobody"),
        "InvalidSignatureError": f"{head}.{claims}.{'A' * 342}",
        "ExpiredTokenError": fake.access_token(resource=RESOURCE, claims=past),
        "claim domain": fake.access_token(resource="https://other.example/mcp"),
        "another resource": fake.access_token(resource=f"{RESOURCE}/other"),
        "claims of another shape": fake.access_token(resource=RESOURCE, claims={"scope": ["mcp"]}),
    }
    said = set()
    for reason, token in tokens.items():
        caplog.clear()
        answer = await _browser(app).get("/who", headers=_bearer(token))
        said.add((answer.status_code, answer.content, tuple(sorted(answer.headers.items()))))
        assert reason in caplog.text
        assert token not in caplog.text
    assert len(said) == 1


async def test_a_token_without_the_scope_is_told_which_one(app: Any, fake: FakeLime) -> None:
    token = fake.access_token(resource=RESOURCE, scope="other")
    answer = await _browser(app).get("/who", headers=_bearer(token))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="mcp"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("values", [["Bearer a", "Bearer b"], ["Bearer a b"]])
async def test_an_ambiguous_request_is_refused(values: list[str], app: Any) -> None:
    headers = [("authorization", value) for value in values]
    answer = await _browser(app).get("/who", headers=headers)
    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


async def test_while_no_token_can_be_verified_clients_keep_theirs(app: Any, fake: FakeLime) -> None:
    fake.go_down()
    token = fake.access_token(resource=RESOURCE)
    answer = await _browser(app).get("/who", headers=_bearer(token))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "www-authenticate" not in answer.headers


async def test_a_place_may_need_other_scopes_than_its_server(
    verifier: LimeTokenVerifier, fake: FakeLime
) -> None:
    app = FastAPI()

    @app.get("/admin", dependencies=[Depends(RequireToken(verifier, scopes=["admin"]))])
    async def admin() -> str:
        return "in"

    browser = _browser(app)
    for scope, status in (("mcp", 403), ("mcp admin", 200)):
        token = fake.access_token(resource=RESOURCE, scope=scope)
        assert (await browser.get("/admin", headers=_bearer(token))).status_code == status


async def test_the_metadata_can_be_read_from_anywhere(app: Any, fake: FakeLime) -> None:
    browser = _browser(app)
    answer = await browser.get(METADATA)
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_servers": [fake.oauth_issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["mcp"],
        "resource_name": "Reports",
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "max-age" in answer.headers["cache-control"]
    asked = await browser.options(METADATA)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-headers"] == "*"


# The official SDK.


async def test_the_official_sdks_server_takes_the_verifier_and_its_settings(
    verifier: LimeTokenVerifier, fake: FakeLime
) -> None:
    as_the_sdk_wants_it: TokenVerifier = verifier
    server = MCPServer("Reports", token_verifier=as_the_sdk_wants_it, auth=verifier.auth_settings())
    app = server.streamable_http_app(
        json_response=True, stateless_http=True, host="mcp.example.com"
    )
    async with app.router.lifespan_context(app):
        browser = _browser(ChallengeScopes(app, verifier))
        document = (await browser.get(METADATA)).json()
        assert document["resource"] == RESOURCE
        assert document["authorization_servers"] == [fake.oauth_issuer]
        statuses = {}
        for name, token in {
            "none": None,
            "good": fake.access_token(resource=RESOURCE),
            "other server": fake.access_token(resource="https://mcp.example.com/other"),
            "no scope": fake.access_token(resource=RESOURCE, scope=""),
        }.items():
            answer = await browser.post(
                "/mcp",
                json={
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "initialize",
                    "params": {
                        "protocolVersion": "2025-06-18",
                        "capabilities": {},
                        "clientInfo": {"name": "test", "version": "1"},
                    },
                },
                headers={
                    "accept": "application/json, text/event-stream",
                    **({} if token is None else _bearer(token)),
                },
            )
            statuses[name] = answer.status_code
            if name in {"none", "no scope"}:
                assert 'scope="mcp"' in answer.headers["www-authenticate"]
        assert statuses == {"none": 401, "good": 200, "other server": 401, "no scope": 403}


@pytest.mark.parametrize(
    ("status", "said", "becomes"),
    [
        (401, "Bearer", 'Bearer scope="mcp"'),
        (401, 'bearer error="invalid_token"', 'Bearer error="invalid_token", scope="mcp"'),
        (403, 'Bearer scope="other"', 'Bearer scope="other"'),
        (401, 'Basic realm="x"', 'Basic realm="x"'),
        (200, "Bearer", "Bearer"),
    ],
)
async def test_only_challenges_without_scopes_are_completed(
    status: int, said: str, becomes: str, verifier: LimeTokenVerifier
) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("", status, {"www-authenticate": said})

    app = ChallengeScopes(Starlette(routes=[Route("/", answer)]), verifier)
    assert (await _browser(app).get("/")).headers["www-authenticate"] == becomes


async def test_where_no_scope_is_needed_none_is_named(fake: FakeLime) -> None:
    free = LimeTokenVerifier(resource=RESOURCE, base_url=fake.base_url, required_scopes=[])

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("", 401, {"www-authenticate": "Bearer"})

    app = ChallengeScopes(Starlette(routes=[Route("/", answer)]), free)
    assert (await _browser(app).get("/")).headers["www-authenticate"] == "Bearer"


# FastMCP.


class _TokenVerifier:
    def __init__(self, *, required_scopes: list[str]) -> None:
        self.required_scopes = required_scopes


class _Remote:
    def __init__(self, **options: Any) -> None:
        self.options = options


@pytest.fixture
def fastmcp(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is used of FastMCP; with the real one it is tested by the interoperability suite."""
    auth = SimpleNamespace(
        TokenVerifier=_TokenVerifier, RemoteAuthProvider=_Remote, AccessToken=SimpleNamespace
    )
    monkeypatch.setitem(sys.modules, "fastmcp.server.auth", auth)


@pytest.mark.usefixtures("fastmcp")
async def test_fastmcp_gets_a_provider_that_verifies_and_advertises(
    verifier: LimeTokenVerifier, fake: FakeLime
) -> None:
    provider = remote_auth_provider(verifier, name="Reports")
    assert provider.options["authorization_servers"] == [fake.oauth_issuer]
    assert provider.options["base_url"] == "https://mcp.example.com"
    assert provider.options["resource_name"] == "Reports"
    assert "resource_documentation" not in provider.options
    bridge = provider.options["token_verifier"]
    assert bridge.required_scopes == ["mcp"]
    found = await bridge.verify_token(fake.access_token(resource=RESOURCE, agent_id="agent-7"))
    assert (found.subject, found.resource) == ("agent-7", RESOURCE)
    assert await bridge.verify_token("x") is None


@pytest.mark.parametrize("path", ["/other", "mcp"])
def test_fastmcps_path_must_be_the_resources(path: str, verifier: LimeTokenVerifier) -> None:
    with pytest.raises(ConfigurationError, match="does not end in"):
        remote_auth_provider(verifier, mcp_path=path)


def test_without_fastmcp_the_error_says_what_to_install(
    verifier: LimeTokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastmcp.server.auth", None)
    with pytest.raises(ConfigurationError, match="pip install fastmcp"):
        remote_auth_provider(verifier)
