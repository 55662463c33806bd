"""Protocol section 9: a human binds an agent to an account at a site."""

import asyncio
import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt as pyjwt
import pytest

import lime_sites
from tests.contract.promises import promise
from tests.support.burst import at_once
from tests.support.deployment import Deployment, eventually
from tests.support.wire import Agent, Browser, Site, Wire, data, refusal

BINDINGS = "/modules/bindings"
CALLBACK = "https://shop.example/lime?from=account"
UNKNOWN = "0190a2b4-0000-7000-8000-000000000000"
GONE = (404, "BINDING_NOT_FOUND")
NO_CODE = (400, "BINDING_CODE_INVALID")


@pytest.fixture
def shop(deployment: Deployment, site: Site) -> Site:
    """A site whose browsers may return."""
    deployment.let_return_to(site, CALLBACK)
    return site


@pytest.fixture
def browser(deployment: Deployment) -> Browser:
    """That of the owner of all agents."""
    return deployment.browser()


def ask(wire: Wire, site: Site, **body: str) -> dict[str, Any]:
    wish = {"redirect_uri": CALLBACK, **body}
    return data(wire.http.post(f"{BINDINGS}/requests", json=wish, headers=site.headers), 201)


def answer(wire: Wire, browser: Browser, binding_id: str, agent: Agent) -> httpx.Response:
    return wire.http.post(
        f"{BINDINGS}/requests/{binding_id}/approve",
        json={"agent_id": agent.agent_id},
        headers=browser.headers,
    )


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def code_of(wire: Wire, browser: Browser, binding_id: str, agent: Agent) -> str:
    redirect_to = data(answer(wire, browser, binding_id, agent))["redirect_to"]
    return query_of(redirect_to)["binding_code"]


def exchange(wire: Wire, site: Site, code: str, **claim: str) -> httpx.Response:
    body = {"binding_code": code, **claim}
    return wire.http.post(f"{BINDINGS}/exchange", json=body, headers=site.headers)


def bind(wire: Wire, site: Site, browser: Browser, agent: Agent) -> str:
    """The whole conversation; the binding's id."""
    code = code_of(wire, browser, ask(wire, site)["binding_id"], agent)
    return str(data(exchange(wire, site, code))["binding_id"])


def like(name: str) -> set[str]:
    """The fields of a fixture."""
    fixture = json.loads((Path(__file__).parent / "fixtures" / f"{name}.json").read_text())
    return set(json.loads(fixture["bytes"])["data"])


@promise("binding:create", "fixtures:live")
def test_a_site_asks_for_a_binding(wire: Wire, shop: Site) -> None:
    created = ask(wire, shop, state="mine")
    public_url = wire.api_base.removesuffix("/api/v1")
    assert set(created) == like("binding-created")
    assert created["connect_url"] == f"{public_url}/connect?id={created['binding_id']}"
    assert (created["status"], created["state"]) == ("PENDING", "mine")
    assert created["site_id"] == shop.site_id
    assert len({ask(wire, shop)["state"] for _ in range(3)}) == 3


@promise("binding:redirect-uri")
@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK + "&x=1",
        CALLBACK.upper(),
        CALLBACK.replace("https", "http"),
        CALLBACK.replace("shop.example", "shop.example.evil.example"),
        CALLBACK.replace("shop.example", "shop.example@evil.example"),
        CALLBACK.partition("?")[0],
        "javascript:alert(1)",
    ],
)
def test_a_redirect_uri_is_one_of_the_list(wire: Wire, shop: Site, uri: str) -> None:
    response = wire.http.post(
        f"{BINDINGS}/requests", json={"redirect_uri": uri}, headers=shop.headers
    )
    assert refusal(response) == (400, "REDIRECT_URI_NOT_LISTED")


@promise("binding:look")
def test_a_human_sees_what_is_asked(wire: Wire, shop: Site, browser: Browser) -> None:
    created = ask(wire, shop)
    path = f"{BINDINGS}/requests/{created['binding_id']}"
    question = data(wire.http.get(path, headers=browser.headers))
    assert set(question) == {"binding_id", "site", "redirect_host", "expires_at", "learns"}
    assert question["site"] == {
        "site_id": shop.site_id,
        "display_name": "Site",
        "domain": None,
        "domain_verified": False,
    }
    assert question["redirect_host"] == "shop.example"
    assert {learned["claim"] for learned in question["learns"]} == {"sub", "user_id"}


@promise("binding:approve")
def test_the_browser_returns_with_a_code(
    wire: Wire, shop: Site, browser: Browser, agent: Agent
) -> None:
    created = ask(wire, shop, state="a&b=c")
    redirect_to = data(answer(wire, browser, created["binding_id"], agent))["redirect_to"]
    assert redirect_to.startswith(CALLBACK + "&")
    assert set(query_of(redirect_to)) == {"from", "binding_code", "state"}
    assert query_of(redirect_to)["state"] == "a&b=c"
    assert "eyJ" not in redirect_to
    assert refusal(answer(wire, browser, created["binding_id"], agent)) == GONE


@promise("binding:own-agents")
def test_only_an_own_agent_can_be_picked(
    wire: Wire, deployment: Deployment, shop: Site, browser: Browser, agent: Agent
) -> None:
    binding_id = ask(wire, shop)["binding_id"]
    stranger = deployment.agent(owner=deployment.owner())
    assert refusal(answer(wire, browser, binding_id, stranger)) == (404, "NOT_FOUND")
    assert refusal(answer(wire, browser, binding_id, Agent("x", ""))) == (404, "NOT_FOUND")
    off = deployment.agent()
    deployment.switch_off(off)
    assert refusal(answer(wire, browser, binding_id, off)) == (403, "AGENT_INACTIVE")
    assert code_of(wire, browser, binding_id, agent)


@promise("binding:refuse")
def test_a_refusal_returns_to_the_site(
    wire: Wire, shop: Site, browser: Browser, agent: Agent
) -> None:
    created = ask(wire, shop)
    path = f"{BINDINGS}/requests/{created['binding_id']}/refuse"
    redirect_to = data(wire.http.post(path, headers=browser.headers))["redirect_to"]
    assert query_of(redirect_to) == {
        "from": "account",
        "error": "access_denied",
        "state": created["state"],
    }
    assert refusal(answer(wire, browser, created["binding_id"], agent)) == GONE


@promise("binding:one-answer")
def test_of_fifty_answers_at_once_one_counts(
    wire: Wire, shop: Site, browser: Browser, agent: Agent
) -> None:
    path = f"{BINDINGS}/requests/{ask(wire, shop)['binding_id']}/approve"
    body = {"agent_id": agent.agent_id}
    request = [
        wire.http.build_request("POST", path, json=body, headers=browser.headers) for _ in range(50)
    ]
    answers = at_once(request)
    won = [each for each in answers if each.status_code == 200]
    assert len(won) == 1
    assert {refusal(each) for each in answers if each not in won} == {GONE}


@promise("binding:exchange", "fixtures:live")
def test_a_code_gives_a_passport(wire: Wire, shop: Site, browser: Browser, agent: Agent) -> None:
    created = ask(wire, shop)
    code = code_of(wire, browser, created["binding_id"], agent)
    exchanged = data(exchange(wire, shop, code))
    assert set(exchanged) == like("binding-exchanged")
    header = pyjwt.get_unverified_header(exchanged["passport"])
    assert (header["alg"], header["typ"]) == ("RS256", "lime-binding+jwt")
    key = pyjwt.PyJWKSet.from_dict(wire.jwks().json())[header["kid"]]
    claims = pyjwt.decode(
        exchanged["passport"], key.key, algorithms=["RS256"], audience="lime-binding", leeway=30
    )
    assert claims.pop("jti")
    assert claims.pop("exp") - claims.pop("iat") == 60
    assert claims == {
        "iss": wire.api_base.removesuffix("/api/v1"),
        "aud": "lime-binding",
        "sub": agent.agent_id,
        "binding_id": created["binding_id"],
        "user_id": browser.owner.owner_id,
        "site_id": shop.site_id,
    }


@promise("binding:exchange:once")
def test_of_fifty_exchanges_at_once_one_succeeds(
    wire: Wire, shop: Site, browser: Browser, agent: Agent
) -> None:
    code = code_of(wire, browser, ask(wire, shop)["binding_id"], agent)
    body = {"binding_code": code}
    path = f"{BINDINGS}/exchange"
    answers = at_once(
        [wire.http.build_request("POST", path, json=body, headers=shop.headers) for _ in range(50)]
    )
    won = [each for each in answers if each.status_code == 200]
    assert len(won) == 1
    assert {refusal(each) for each in answers if each not in won} == {NO_CODE}
    assert refusal(exchange(wire, shop, code)) == NO_CODE


@promise("binding:exchange:own-site")
def test_a_code_is_its_sites_alone(
    wire: Wire, shop: Site, other_site: Site, browser: Browser, agent: Agent
) -> None:
    code = code_of(wire, browser, ask(wire, shop)["binding_id"], agent)
    assert refusal(exchange(wire, other_site, code)) == NO_CODE
    assert refusal(exchange(wire, shop, "bc_" + "A" * 43)) == NO_CODE
    assert data(exchange(wire, shop, code))


@promise("binding:exchange:browser")
def test_a_code_is_for_the_browser_that_was_sent(
    wire: Wire, shop: Site, browser: Browser, agent: Agent
) -> None:
    verifier, other = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    created = ask(wire, shop, code_challenge=challenge, code_challenge_method="S256")
    code = code_of(wire, browser, created["binding_id"], agent)
    right = {
        "binding_id": created["binding_id"],
        "state": created["state"],
        "code_verifier": verifier,
    }
    for wrong in ({"binding_id": UNKNOWN}, {"state": "x"}, {"code_verifier": other}):
        assert refusal(exchange(wire, shop, code, **{**right, **wrong})) == NO_CODE
    assert refusal(exchange(wire, shop, code)) == NO_CODE
    assert data(exchange(wire, shop, code, **right))
    # Nor does a verifier fit where there was no challenge.
    code = code_of(wire, browser, ask(wire, shop)["binding_id"], agent)
    assert refusal(exchange(wire, shop, code, code_verifier=verifier)) == NO_CODE


@promise("binding:exchange:suspended")
def test_there_is_no_passport_for_a_suspended_owners_agent(
    wire: Wire, deployment: Deployment, shop: Site
) -> None:
    owner = deployment.owner()
    agent, browser = deployment.agent(owner=owner), deployment.browser(owner)
    code = code_of(wire, browser, ask(wire, shop)["binding_id"], agent)
    deployment.suspend_owner_of(agent)
    assert refusal(exchange(wire, shop, code)) == NO_CODE
    response = answer(wire, browser, ask(wire, shop)["binding_id"], agent)
    assert refusal(response) == (403, "OWNER_SUSPENDED")


@promise("binding:expiry")
def test_requests_and_codes_expire(
    deployment: Deployment, shop: Site, browser: Browser, agent: Agent
) -> None:
    settings = {"LIME_BINDING_LIFETIME": "2", "LIME_BINDING_CODE_LIFETIME": "1"}
    with (
        deployment.server("brief-bindings", **settings) as server,
        Wire(server.api_base) as wire,
    ):
        approved, unanswered = ask(wire, shop)["binding_id"], ask(wire, shop)["binding_id"]
        code = code_of(wire, browser, approved, agent)

        def expired() -> bool:
            views = [
                wire.http.get(f"{BINDINGS}/of-site/{each}", headers=shop.headers)
                for each in (approved, unanswered)
            ]
            return {data(view)["status"] for view in views} == {"EXPIRED"}

        eventually(expired)
        assert refusal(exchange(wire, shop, code)) == NO_CODE
        assert refusal(answer(wire, browser, unanswered, agent)) == GONE


@promise("binding:lists", "fixtures:live")
def test_both_sides_list_their_bindings(
    wire: Wire, deployment: Deployment, shop: Site, other_site: Site
) -> None:
    owner = deployment.owner()
    agent, browser = deployment.agent(owner=owner), deployment.browser(owner)
    first, second = [bind(wire, shop, browser, agent) for _ in range(2)]
    ask(wire, shop)
    data(wire.http.delete(f"{BINDINGS}/{first}", headers=browser.headers))
    for path, headers in ((BINDINGS, browser.headers), (f"{BINDINGS}/of-site", shop.headers)):
        page = data(wire.http.get(path, headers=headers))
        found = [(item["binding_id"], item["status"]) for item in page["items"]]
        assert found == [(second, "ACTIVE"), (first, "ENDED")]
        assert page["next_cursor"] is None
        page = data(wire.http.get(path, params={"limit": 1}, headers=headers))
        params = {"limit": 1, "cursor": page["next_cursor"]}
        rest = data(wire.http.get(path, params=params, headers=headers))
        assert [item["binding_id"] for item in rest["items"]] == [first]
    mine = data(wire.http.get(f"{BINDINGS}/of-site/{second}", headers=shop.headers))
    assert set(mine) == like("binding-of-site")
    assert (mine["agent_id"], mine["user_id"]) == (agent.agent_id, owner.owner_id)
    nobodys = data(wire.http.get(f"{BINDINGS}/of-site", headers=other_site.headers))
    assert nobodys == {"items": [], "next_cursor": None}


@promise("binding:end")
def test_either_side_ends_its_own(
    wire: Wire, deployment: Deployment, shop: Site, other_site: Site, browser: Browser, agent: Agent
) -> None:
    stranger = deployment.browser(deployment.owner())
    one, other = [bind(wire, shop, browser, agent) for _ in range(2)]
    for binding_id in (one, other):
        path = f"{BINDINGS}/{binding_id}"
        assert refusal(wire.http.delete(path, headers=stranger.headers)) == GONE
        path = f"{BINDINGS}/of-site/{binding_id}"
        assert refusal(wire.http.delete(path, headers=other_site.headers)) == GONE
    by_owner = data(wire.http.delete(f"{BINDINGS}/{one}", headers=browser.headers))
    by_site = data(wire.http.delete(f"{BINDINGS}/of-site/{other}", headers=shop.headers))
    assert (by_owner["status"], by_owner["ended_by"]) == ("ENDED", "owner")
    assert (by_site["status"], by_site["ended_by"]) == ("ENDED", "site")
    again = data(wire.http.delete(f"{BINDINGS}/of-site/{one}", headers=shop.headers))
    assert again["ended_by"] == "owner"
    pending = ask(wire, shop)["binding_id"]
    path = f"{BINDINGS}/of-site/{pending}"
    assert refusal(wire.http.delete(path, headers=shop.headers)) == GONE


@promise("binding:credentials")
def test_who_may_call_what(wire: Wire, shop: Site, browser: Browser, agent: Agent) -> None:
    ours = [
        ("POST", f"{BINDINGS}/requests"),
        ("POST", f"{BINDINGS}/exchange"),
        ("GET", f"{BINDINGS}/of-site"),
        ("GET", f"{BINDINGS}/of-site/{UNKNOWN}"),
        ("DELETE", f"{BINDINGS}/of-site/{UNKNOWN}"),
    ]
    theirs = [
        ("GET", BINDINGS),
        ("GET", f"{BINDINGS}/requests/{UNKNOWN}"),
        ("POST", f"{BINDINGS}/requests/{UNKNOWN}/approve"),
        ("POST", f"{BINDINGS}/requests/{UNKNOWN}/refuse"),
        ("DELETE", f"{BINDINGS}/{UNKNOWN}"),
    ]
    for method, path in ours:
        for headers in (browser.headers, agent.headers, {}):
            response = wire.http.request(method, path, headers=headers)
            assert refusal(response) == (401, "SITE_TOKEN_MISSING")
    for method, path in theirs:
        for headers in (shop.headers, agent.headers, {}):
            response = wire.http.request(method, path, headers=headers)
            assert refusal(response) == (401, "NOT_SIGNED_IN")
        if method != "GET":
            headers = {**browser.headers, "X-CSRF-Token": "another"}
            response = wire.http.request(method, path, headers=headers)
            assert refusal(response) == (403, "CSRF_FAILED")


@promise("sdks:binding")
@pytest.mark.parametrize("kind", [lime_sites.LimeSite, lime_sites.LimeSiteSync])
async def test_the_sdk_makes_and_ends_a_binding(
    wire: Wire, shop: Site, browser: Browser, agent: Agent, kind: Any
) -> None:
    site = kind(site_token=shop.token, base_url=wire.api_base)

    async def call(name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(site, name)
        if kind is lime_sites.LimeSite:
            return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    verifier = secrets.token_urlsafe(32)
    asked = await call("create_binding_request", redirect_uri=CALLBACK, code_verifier=verifier)
    code = await asyncio.to_thread(code_of, wire, browser, asked.binding_id, agent)
    mine = {"expected_binding_id": asked.binding_id, "state": asked.state}
    with pytest.raises(lime_sites.BindingCodeError):
        await call("exchange_binding_code", code, **mine)
    passport = await call("exchange_binding_code", code, **mine, code_verifier=verifier)
    # The same once more gives the first answer; anything else finds the code spent.
    assert await call("exchange_binding_code", code, **mine, code_verifier=verifier) == passport
    with pytest.raises(lime_sites.BindingCodeError):
        await call("exchange_binding_code", code, **mine)
    assert (passport.agent_id, passport.user_id) == (agent.agent_id, browser.owner.owner_id)
    assert (passport.binding_id, passport.site_id) == (asked.binding_id, shop.site_id)
    (listed,) = (await call("list_bindings", limit=10)).items
    assert listed == await call("get_binding", asked.binding_id)
    assert listed.is_active
    assert (await call("end_binding", asked.binding_id)).ended_by == "site"
    with pytest.raises(lime_sites.ApiError, match="redirect"):
        await call("create_binding_request", redirect_uri="https://evil.example/")
    await call("aclose" if kind is lime_sites.LimeSite else "close")
