"""The JSON routes, statuses and codes of protocol sections 2, 3 and 5, in memory."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import httpx
import pytest

import lime_server.modules.site_login.wire as wire_module
from lime_server.composition import build
from lime_server.core.errors import Unavailable

BASE = "https://lime.example/api/v1"
REQUESTS = "/modules/agent-login/requests"
ACK = "/modules/agent-login/events/ack"
NOT_IDS = ["x", "..%2F..%2Fcore", "%00", "0190a2b4-0000-7000-8000-00000000000g", "a" * 1000]
UNKNOWN = "0190a2b4-0000-7000-8000-000000000000"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"


def data(response, status=200):
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"ok", "data"}
    assert body["ok"] is True
    assert response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-store"
    return body["data"]


def failure(response, status):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["ok"] is False
    assert response.headers["x-request-id"]
    assert body["error"]["message"]
    return body["error"]["code"]


async def created(api, **body):
    return data(await api.post(REQUESTS, json=body, headers=api.site), 201)["login_request_id"]


async def nonce(api, help_, request_id):
    puzzle = data(await api.get(f"/auth/requests/{request_id}"))
    return help_.nonce_for(puzzle["pow_challenge"], puzzle["pow_difficulty"])


async def test_the_whole_conversation(api, help_, small_world):
    world = small_world
    made = data(await api.post(REQUESTS, json={}, headers=api.site), 201)
    request_id = made.pop("login_request_id")
    assert made == {
        "site_id": world.site.site_id,
        "status": "PENDING",
        "expires_at": "2026-11-23T10:05:00Z",
    }
    puzzle = data(await api.get(f"/auth/requests/{request_id}"))
    challenge = puzzle.pop("pow_challenge")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)
    assert puzzle == {
        "pow_difficulty": 1,
        "pow_algorithm": "sha256",
        "expires_at": "2026-11-23T10:05:00Z",
        "site": {
            "site_id": world.site.site_id,
            "display_name": "Shop",
            "domain": "shop.example",
            "domain_verified": False,
        },
    }
    body = {"pow_nonce": help_.nonce_for(challenge, 1)}
    approve = f"{REQUESTS}/{request_id}/approve"
    decision = {
        "request_id": request_id,
        "site_id": world.site.site_id,
        "status": "APPROVED",
        "expires_at": "2026-11-23T10:05:00Z",
        "approved_agent_id": world.agent.agent_id,
    }
    assert data(await api.post(approve, json=body, headers=api.agent)) == decision
    status = data(await api.get(f"{REQUESTS}/{request_id}", headers=api.site))
    assert status == {
        "login_request_id": request_id,
        "site_id": world.site.site_id,
        "status": "APPROVED",
        "expires_at": "2026-11-23T10:05:00Z",
        "redirect_url": None,
        "approved_agent_id": world.agent.agent_id,
        "agent_passport_jwt": None,
    }
    waited = data(await api.get(f"{REQUESTS}/{request_id}?wait=25", headers=api.site))
    assert world.claims(waited["agent_passport_jwt"], request_id)["sub"] == world.agent.agent_id
    assert data(await api.post(ACK, json={"ids": [request_id]}, headers=api.site)) == {}
    again = data(await api.post(approve, json=body, headers=api.agent))
    assert again == decision | {"status": "DELIVERED"}
    # Another worker of the site may wait for it too.
    waited = data(await api.get(f"{REQUESTS}/{request_id}?wait=0", headers=api.site))
    assert waited["status"] == "DELIVERED"
    assert waited["agent_passport_jwt"]


async def test_the_passport_is_no_longer_given_once_the_window_is_closed(api, help_, small_world):
    request_id = await created(api)
    body = {"pow_nonce": await nonce(api, help_, request_id)}
    data(await api.post(f"{REQUESTS}/{request_id}/approve", json=body, headers=api.agent))
    small_world.clock.advance(help_.WINDOW.total_seconds())
    late = data(await api.get(f"{REQUESTS}/{request_id}?wait=0", headers=api.site))
    assert (late["status"], late["agent_passport_jwt"]) == ("APPROVED", None)


async def test_a_refusal(api):
    request_id = await created(api, redirect_url="https://shop.example/")
    decision = data(await api.post(f"{REQUESTS}/{request_id}/deny", headers=api.agent))
    assert (decision["status"], decision["approved_agent_id"]) == ("DENIED", None)
    seen = data(await api.get(f"{REQUESTS}/{request_id}?wait=0", headers=api.site))
    assert (seen["status"], seen["agent_passport_jwt"]) == ("DENIED", None)
    assert (seen["approved_agent_id"], seen["redirect_url"]) == (None, "https://shop.example/")
    assert data(await api.post(f"{REQUESTS}/{request_id}/deny", json={}, headers=api.agent))


async def test_a_request_may_be_created_without_a_body(api):
    assert data(await api.post(REQUESTS, headers=api.site), 201)["status"] == "PENDING"


async def test_an_approval_without_a_nonce(api):
    path = f"{REQUESTS}/{await created(api)}/approve"
    for body in ({}, {"pow_nonce": None}, {"pow_nonce": ""}):
        answer = await api.post(path, json=body, headers=api.agent)
        assert failure(answer, 400) == "MISSING_POW_NONCE"
    assert failure(await api.post(path, headers=api.agent), 400) == "MISSING_POW_NONCE"


async def test_an_approval_with_a_wrong_nonce_leaves_the_request_pending(api, help_):
    request_id = await created(api)
    challenge = data(await api.get(f"/auth/requests/{request_id}"))["pow_challenge"]
    for wrong in (help_.wrong_nonce_for(challenge, 1), "9" * 65, "é", "\x00"):
        answer = await api.post(
            f"{REQUESTS}/{request_id}/approve", json={"pow_nonce": wrong}, headers=api.agent
        )
        assert failure(answer, 400) == "INVALID_POW"
    assert data(await api.get(f"/auth/requests/{request_id}"))["pow_challenge"] == challenge


@pytest.mark.parametrize("request_id", [*NOT_IDS, UNKNOWN])
async def test_what_names_no_request(api, request_id):
    path = f"{REQUESTS}/{request_id}"
    answers = [
        await api.get(f"/auth/requests/{request_id}"),
        await api.get(path, headers=api.site),
        await api.get(f"{path}?wait=1", headers=api.site),
        await api.post(f"{path}/approve", json={"pow_nonce": "1"}, headers=api.agent),
        await api.post(f"{path}/deny", headers=api.agent),
    ]
    expected = "NOT_FOUND" if "%2F" in request_id else "SITE_LOGIN_REQUEST_NOT_FOUND"
    assert {failure(answer, 404) for answer in answers} == {expected}


async def test_another_sites_request_is_not_found(api):
    answer = await api.get(f"{REQUESTS}/{await created(api)}", headers=api.other_site)
    assert failure(answer, 404) == "SITE_LOGIN_REQUEST_NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (REQUESTS, {"redirect_url": "http://shop.example/"}),
        (REQUESTS, {"redirect_url": 1}),
        (REQUESTS, {"redirect": "https://shop.example/"}),
        (REQUESTS, []),
        (ACK, {}),
        (ACK, {"ids": "x"}),
        (ACK, {"ids": [1]}),
        (ACK, {"ids": ["x" * 65]}),
        (ACK, {"ids": ["x"] * (wire_module.MAX_IDS + 1)}),
        (ACK, {"ids": [], "more": 1}),
    ],
)
async def test_a_body_that_is_not_what_the_route_takes(api, path, body):
    assert failure(await api.post(path, json=body, headers=api.site), 400) == "INVALID_REQUEST"


@pytest.mark.parametrize("body", [{"pow_nonce": 1}, {"pow_nonce": "1", "more": 1}])
async def test_an_approval_that_says_something_else(api, body):
    answer = await api.post(f"{REQUESTS}/{UNKNOWN}/approve", json=body, headers=api.agent)
    assert failure(answer, 400) == "INVALID_REQUEST"
    answer = await api.post(f"{REQUESTS}/{UNKNOWN}/deny", json=body, headers=api.agent)
    assert failure(answer, 400) == "INVALID_REQUEST"


@pytest.mark.parametrize("path", [REQUESTS + "/", "/core/agents/me/profile/"])
async def test_nobody_is_sent_to_the_host_that_a_request_names(api, path):
    headers = {"Host": "evil.example"} | api.agent | api.site
    for answer in (await api.post(path, headers=headers, json={}), await api.get(path)):
        assert failure(answer, 404) == "NOT_FOUND"
        assert "location" not in answer.headers


@pytest.mark.parametrize("wait", ["31", "-1", "x", "1.5", ""])
async def test_a_wait_that_is_none(api, wait):
    answer = await api.get(f"{REQUESTS}/{UNKNOWN}?wait={wait}", headers=api.site)
    assert failure(answer, 400) == "INVALID_REQUEST"


@pytest.mark.parametrize("consumer", ["", "x" * 65, "a b", "é", "%0a"])
async def test_a_consumer_that_is_none(api, consumer):
    answer = await api.get(f"/modules/agent-login/events?consumer={consumer}", headers=api.site)
    assert failure(answer, 400) == "INVALID_REQUEST"


# Who is asking (protocol section 2)

AGENT_ROUTES = [
    ("GET", "/core/agents/me/profile"),
    ("POST", f"{REQUESTS}/{UNKNOWN}/approve"),
    ("POST", f"{REQUESTS}/{UNKNOWN}/deny"),
]
SITE_ROUTES = [
    ("GET", "/foundation/sites/me"),
    ("POST", REQUESTS),
    ("GET", f"{REQUESTS}/{UNKNOWN}"),
    ("GET", "/modules/agent-login/events"),
    ("POST", ACK),
]


@pytest.mark.parametrize(("method", "path"), AGENT_ROUTES)
async def test_agent_routes_know_who_is_asking(api, small_world, method, path):
    async def answer(headers, status):
        return failure(await api.client.request(method, path, headers=headers), status)

    assert await answer({}, 401) == "MISSING_AGENT_TOKEN"
    assert await answer({"X-Agent-Token": ""}, 401) == "MISSING_AGENT_TOKEN"
    assert await answer(api.site, 401) == "MISSING_AGENT_TOKEN"
    for wrong in ("x", JWT, "at_" + "A" * 43, "at_" + "A" * 42, api.site["X-Site-Token"]):
        assert await answer({"X-Agent-Token": wrong}, 401) == "INVALID_AGENT_TOKEN"
    await small_world.backend.switch_agent(small_world.agent.agent_id, False)
    assert await answer(api.agent, 403) == "AGENT_INACTIVE"
    await small_world.backend.suspend_owner(small_world.owner.owner_id, True)
    assert await answer(api.agent, 403) == "AGENT_USER_SUSPENDED"


@pytest.mark.parametrize(("method", "path"), SITE_ROUTES)
async def test_site_routes_know_who_is_asking(api, small_world, method, path):
    body = {"json": {"ids": []}} if path == ACK else {}

    async def answer(headers, status):
        return failure(await api.client.request(method, path, headers=headers, **body), status)

    assert await answer({}, 401) == "SITE_TOKEN_MISSING"
    assert await answer(api.agent, 401) == "SITE_TOKEN_MISSING"
    for wrong in ("x", JWT, "st_" + "A" * 43, "st_" + "A" * 44, api.agent["X-Agent-Token"]):
        assert await answer({"X-Site-Token": wrong}, 401) == "SITE_TOKEN_INVALID"
    await small_world.backend.suspend_site(small_world.site.site_id, True)
    assert await answer(api.site, 403) == "SITE_SUSPENDED"
    await small_world.backend.suspend_site(small_world.site.site_id, False)
    await small_world.backend.suspend_owner(small_world.owner.owner_id, True)
    assert await answer(api.site, 403) == "SITE_SUSPENDED"


async def test_when_tokens_cannot_be_looked_up_nobody_is_let_in(api, small_world, help_):
    world = small_world
    world.agents._store = world.sites._store = help_.Broken(Unavailable(retry_after=3))
    answer = await api.get("/core/agents/me/profile", headers=api.agent)
    assert failure(answer, 503) == "AUTH_UNAVAILABLE"
    assert answer.headers["retry-after"] == "3"
    answer = await api.get("/foundation/sites/me", headers=api.site)
    assert failure(answer, 503) == "SITE_TOKEN_AUTH_UNAVAILABLE"


async def test_when_the_store_is_away_the_answer_is_503(api, parts, help_):
    app = build(replace(parts, logins=help_.Broken(Unavailable(retry_after=1))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        answer = await client.get(f"/auth/requests/{UNKNOWN}")
    assert failure(answer, 503) == "UNAVAILABLE"
    assert answer.headers["retry-after"] == "1"


async def test_holders_of_tokens_learn_who_they_are(api, small_world):
    world = small_world
    assert data(await api.get("/core/agents/me/profile", headers=api.agent)) == {
        "agent_id": world.agent.agent_id,
        "user_id": world.owner.owner_id,
        "display_name": "Agent",
        "avatar_url": None,
        "description": None,
    }
    assert data(await api.get("/foundation/sites/me", headers=api.site)) == {
        "site_id": world.site.site_id,
        "display_name": "Shop",
        "domain": "shop.example",
        "domain_verified": False,
    }


# The application as a whole


async def test_an_idempotency_key_makes_one_request_of_two(api):
    headers = api.site | {"Idempotency-Key": "one"}
    first = await api.post(REQUESTS, json={}, headers=headers)
    second = await api.post(REQUESTS, json={}, headers=headers)
    assert first.json() == second.json()
    other = await api.post(REQUESTS, json={"redirect_url": "https://x.example/"}, headers=headers)
    assert failure(other, 409) == "IDEMPOTENCY_KEY_REUSED"


async def test_draining_ends_streams_and_keeps_new_ones_from_staying(api):
    api.app.state.drain()
    answer = await api.get("/modules/agent-login/events", headers=api.site)
    assert answer.text == 'data: {"type":"goaway"}\n\n'
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_openapi_describes_routes_errors_and_headers(api):
    document = (await api.get("https://lime.example/openapi.json")).json()
    assert document == (await api.get("https://lime.example/openapi.json")).json()
    paths = document["paths"]
    assert "/api/v1/core/.well-known/jwks.json" in paths
    approve = paths["/api/v1" + REQUESTS + "/{request_id}/approve"]["post"]
    assert approve["security"] == [{"AgentToken": []}]
    for code in ("MISSING_POW_NONCE", "INVALID_POW"):
        assert code in approve["responses"]["400"]["description"]
    names = {parameter["name"] for parameter in approve["parameters"]}
    assert names == {"request_id", "X-Request-Id", "Idempotency-Key"}
    for operations in paths.values():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            assert "Retry-After" in operation["responses"]["429"]["headers"]
            for response in operation["responses"].values():
                assert "X-Request-Id" in response["headers"]
    look = paths["/api/v1/auth/requests/{request_id}"]["get"]
    assert "400" not in look["responses"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_openapi_says_which_credentials_and_keys_are_needed(api):
    paths = (await api.get("https://lime.example/openapi.json")).json()["paths"]
    agent = paths["/api/v1/core/agents/{agent_id}"]
    assert agent["get"]["security"] == [{"OwnerSession": []}]
    assert agent["delete"]["security"] == [{"OwnerSession": [], "CsrfToken": [], "CsrfCookie": []}]
    key = next(one for one in agent["delete"]["parameters"] if one["name"] == "Idempotency-Key")
    assert key["schema"] == {
        "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"
    }  # fmt: skip
    # Where answers are never repeated, a key means nothing.
    passkey = paths["/api/v1/foundation/users/login/passkey/options"]["post"]
    assert "Idempotency-Key" not in {one["name"] for one in passkey["parameters"]}
    # Of a request without body and query, the key alone can be wrong.
    assert "400" in agent["delete"]["responses"]
    assert "400" not in agent["get"]["responses"]


async def test_openapi_names_the_cookies_of_this_deployment(api):
    document = (await api.get("https://lime.example/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["OwnerSession"]["name"] == "__Host-lime_session"
    assert (schemes["CsrfCookie"]["in"], schemes["CsrfCookie"]["name"]) == ("cookie", "lime_csrf")


async def test_openapi_says_of_every_answer_what_it_always_holds(api):
    document = (await api.get("https://lime.example/openapi.json")).json()
    schemas = document["components"]["schemas"]
    envelopes = [schema for name, schema in schemas.items() if "Envelope" in name]
    assert len(envelopes) > 20
    assert all("ok" in schema["required"] for schema in envelopes)
    assert "status" in schemas["Done"]["required"]
    # Absent when there is none, and never null.
    assert schemas["ErrorBody"]["properties"]["detail"]["type"] == "object"
    frames = document["paths"]["/api/v1/modules/agent-login/events"]["get"]["responses"]["200"]
    event = frames["content"]["text/event-stream"]["schema"]
    kinds = event["properties"]["data"]["contentSchema"]["oneOf"]
    assert "approved" in [one["properties"]["type"]["const"] for one in kinds]


async def test_a_wrong_method_is_told_every_right_one(api):
    for path, methods in {
        "/core/agents/any": "DELETE, GET, PATCH",
        "/core/agents/register": "POST",
        "/core/.well-known/jwks.json": "GET, HEAD",
    }.items():
        answer = await api.client.options(path)
        assert failure(answer, 405) == "METHOD_NOT_ALLOWED"
        assert answer.headers["allow"] == methods


async def test_the_page_of_the_document_needs_no_script_and_nobody_else(api):
    answer = await api.get("https://lime.example/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" not in answer.text
    assert "//" not in answer.text.replace("https, or", "")
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    document = (await api.get("https://lime.example/openapi.json")).json()
    for path in document["paths"]:
        assert path in answer.text
    for code in ("MISSING_POW_NONCE", "SITE_TOKEN_AUTH_UNAVAILABLE", "IDEMPOTENCY_KEY_REUSED"):
        assert code in answer.text
    anchors = set(re.findall(r'href="#([^"]+)"', answer.text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', answer.text))


async def test_the_document_can_be_switched_off(parts):
    app = build(replace(parts, settings=parts.settings.model_copy(update={"docs": False})))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        for path in ("/docs", "/openapi.json"):
            assert failure(await client.get(f"https://lime.example{path}"), 404) == "NOT_FOUND"
