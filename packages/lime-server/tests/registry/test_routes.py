"""The routes: who may ask, what is taken, what is answered."""

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from lime_server.composition.registry import owners_desk
from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.errors import Errors
from lime_server.modules.delivery_monitor.response import MonitorResponse
from lime_server.modules.site_login.model import State
from lime_server.settings import Settings
from tests.support.accounts import memory_accounts, sign_in_as

AGENTS = "/core/agents"
SITES = "/foundation/sites"
NOBODY = "0190a2b4-0000-7000-8000-000000000000"


@pytest.fixture
async def api(small_world):
    """A client that Ada has signed in with, one of Bob's, and one of nobody's."""
    world = small_world
    settings = Settings(
        public_url="https://lime.example",
        database_url="postgresql://unused",
        master_key="00" * 32,
        access_log=False,
    )
    identities = world.transactions._states[0]
    office = memory_accounts(
        settings,
        identities,
        tokens=world.agents._tokens,
        transactions=world.transactions,
        audit=world.audit,
        clock=world.clock,
    )
    sessions = office.routes.sessions
    desk = owners_desk(
        world.registry,
        agents=world.agents,
        sites=world.sites,
        sessions=sessions,
        delivery=world.delivery,
        transactions=world.transactions,
        audit=world.audit,
        bell=world.bell,
        clock=world.clock,
        loopback_too=False,
    )
    app = FastAPI()
    for routes in desk.routes:
        app.include_router(routes)
    errors.install(app)
    app.add_middleware(Errors)

    async def browser(owner_id):
        kwargs = {}
        if owner_id is not None:
            signed_in = await sign_in_as(office, identities.owners[owner_id])
            kwargs = {"cookies": signed_in.cookies, "headers": signed_in.headers}
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="https://lime.example", **kwargs)

    ada, bob, nobody = [await browser(one) for one in (world.ada, world.bob, None)]
    async with ada, bob, nobody:
        yield SimpleNamespace(ada=ada, bob=bob, nobody=nobody, desk=desk, app=app)


def data(response, status=200):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["ok"] is True
    assert response.headers["cache-control"] == "no-store"
    return body["data"]


def code(response, status):
    assert response.status_code == status, response.text
    return response.json()["error"]["code"]


async def test_the_life_of_an_agent(api, small_world):
    body = {"display_name": "Bot", "description": "Buys", "avatar_url": "https://x.example/a.png"}
    made = data(await api.ada.post(f"{AGENTS}/register", json=body), 201)
    token, agent_id = made.pop("agent_token"), made["agent_id"]
    assert token.startswith("at_")
    assert made == body | {
        "agent_id": agent_id,
        "active": True,
        "suspended": False,
        "capabilities": [],
        "created_at": "2026-11-23T10:00:00Z",
        "last_used_at": None,
    }
    own = f"{AGENTS}/{agent_id}"
    assert data(await api.ada.get(own)) == made
    listed = data(await api.ada.get(f"{AGENTS}?limit=1"))
    assert len(listed["items"]) == 1
    rest = data(await api.ada.get(AGENTS, params={"cursor": listed["next_cursor"]}))
    assert rest["next_cursor"] is None
    ids = {one["agent_id"] for one in listed["items"] + rest["items"]}
    assert ids == {agent_id, small_world.agent.agent_id}
    changed = data(
        await api.ada.patch(
            own, json={"display_name": " New ", "avatar_url": None, "active": False}
        )
    )
    assert changed == made | {"display_name": "New", "avatar_url": None, "active": False}
    assert data(await api.ada.patch(own, json={})) == changed
    able = data(await api.ada.put(f"{own}/capabilities", json={"capabilities": ["oauth:mcp"]}))
    assert able["capabilities"] == ["oauth:mcp"]
    small_world.clock.advance(1)
    rotated = data(await api.ada.post(f"{own}/tokens", json={"overlap_seconds": 60}), 201)
    assert rotated["agent_token"].startswith("at_")
    tokens = data(await api.ada.get(f"{own}/tokens"))
    assert [one["expires_at"] for one in tokens["items"]] == [None, "2026-11-23T10:01:01Z"]
    assert tokens["items"][0]["token_id"] == rotated["token_id"]
    assert "token" not in json.dumps(tokens).replace("token_id", "")
    data(await api.ada.post(f"{own}/tokens"), 201)
    assert data(await api.ada.delete(own)) == {}
    assert code(await api.ada.get(own), 404) == "NOT_FOUND"


async def test_the_life_of_a_site(api, small_world):
    body = {"display_name": "Shop", "domain": "shop.example"}
    made = data(await api.ada.post(f"{SITES}/register", json=body), 201)
    token, site_id = made.pop("site_token"), made["site_id"]
    assert token.startswith("st_")
    assert made == body | {
        "site_id": site_id,
        "domain_verified": False,
        "redirect_uris": [],
        "active": True,
        "created_at": "2026-11-23T10:00:00Z",
        "last_used_at": None,
    }
    own = f"{SITES}/{site_id}"
    assert data(await api.ada.get(own)) == made
    assert len(data(await api.ada.get(SITES))["items"]) == 2
    changed = data(await api.ada.patch(own, json={"display_name": "Store"}))
    assert changed == made | {"display_name": "Store"}
    assert data(await api.ada.patch(own, json={"active": False}))["active"] is False
    uris = ["https://shop.example/back"]
    listed = data(await api.ada.put(f"{own}/redirect-uris", json={"redirect_uris": uris}))
    assert listed["redirect_uris"] == uris
    claim = data(await api.ada.post(f"{own}/domain", json={"domain": "store.example"}))
    value = claim["dns"]["value"]
    assert claim == {
        "domain": "store.example",
        "dns": {"name": "_lime.store.example", "value": value},
        "file": {"url": "https://store.example/.well-known/lime-site", "content": value},
    }
    missing = data(await api.ada.post(f"{own}/domain/check", json={"method": "file"}))
    assert missing["domain_verified"] is False
    assert "could not be reached" in missing["problem"]
    small_world.proofs.records[claim["dns"]["name"]] = [value]
    found = data(await api.ada.post(f"{own}/domain/check", json={"method": "dns"}))
    assert found == {"domain_verified": True, "problem": None}
    data(await api.ada.post(f"{own}/tokens", json={"overlap_seconds": 60}), 201)
    assert len(data(await api.ada.get(f"{own}/tokens"))["items"]) == 2
    assert data(await api.ada.delete(own)) == {}
    assert code(await api.ada.get(own), 404) == "NOT_FOUND"


async def test_both_sides_see_a_login_afterwards(api, small_world):
    world = small_world
    request_id = await world.login(site=world.strange_site)
    seen = data(await api.ada.get(f"{AGENTS}/{world.agent.agent_id}/logins"))
    also = data(await api.bob.get(f"{SITES}/{world.strange_site.site_id}/logins"))
    assert seen == also
    (record,) = seen["items"]
    assert record["login_request_id"] == request_id
    assert record["status"] == "APPROVED"
    assert record["site"]["display_name"] == "Strange site"
    assert record["agent"] == {"agent_id": world.agent.agent_id, "display_name": "Agent"}
    await world.login(State.PENDING)
    (pending,) = data(await api.ada.get(f"{SITES}/{world.site.site_id}/logins"))["items"]
    assert pending["agent"] is None
    answer = await api.ada.get(f"{SITES}/{world.site.site_id}/logins?cursor=x")
    assert code(answer, 400) == "INVALID_REQUEST"


async def test_a_site_is_not_told_who_refused(api, small_world):
    await small_world.login(State.DENIED)
    site = f"{SITES}/{small_world.site.site_id}"
    (record,) = data(await api.ada.get(f"{site}/logins"))["items"]
    assert (record["status"], record["agent"]) == ("DENIED", None)
    (event,) = data(await api.ada.get(f"{site}/delivery"))["undelivered"]
    assert (event["type"], event["agent_id"]) == ("denied", None)
    agent = f"{AGENTS}/{small_world.agent.agent_id}"
    (record,) = data(await api.ada.get(f"{agent}/logins"))["items"]
    assert record["agent"]["agent_id"] == small_world.agent.agent_id


async def test_deliveries_are_seen_and_helped_along(api, small_world):
    world = small_world
    delivery = f"{SITES}/{world.site.site_id}/delivery"
    request_id = await world.login(State.DELIVERED)
    with world.delivery.seat(world.site.site_id, "worker") as seat:
        state = data(await api.ada.get(delivery))
        assert state["streams"] == [{"consumer": "worker", "since": "2026-11-23T10:00:00.010000Z"}]
        assert data(await api.ada.post(f"{delivery}/test"), 202) == {}
        assert seat.test_wanted
    assert state["undelivered"] == []
    (event,) = state["delivered"]
    assert (event["event_id"], event["type"]) == (request_id, "approved")
    assert data(await api.ada.post(f"{delivery}/{request_id}/redeliver"), 202) == {}
    assert len(data(await api.ada.get(delivery))["undelivered"]) == 1


OWN = [
    ("GET", AGENTS, None),
    ("POST", f"{AGENTS}/register", {"display_name": "x"}),
    ("GET", AGENTS + "/{agent}", None),
    ("PATCH", AGENTS + "/{agent}", {"display_name": "Mine"}),
    ("DELETE", AGENTS + "/{agent}", None),
    ("GET", AGENTS + "/{agent}/tokens", None),
    ("POST", AGENTS + "/{agent}/tokens", {"overlap_seconds": 0}),
    ("PUT", AGENTS + "/{agent}/capabilities", {"capabilities": ["oauth:mcp"]}),
    ("GET", AGENTS + "/{agent}/logins", None),
    ("GET", SITES, None),
    ("POST", f"{SITES}/register", {"display_name": "x"}),
    ("GET", SITES + "/{site}", None),
    ("PATCH", SITES + "/{site}", {"display_name": "Mine"}),
    ("DELETE", SITES + "/{site}", None),
    ("GET", SITES + "/{site}/tokens", None),
    ("POST", SITES + "/{site}/tokens", {"overlap_seconds": 0}),
    ("PUT", SITES + "/{site}/redirect-uris", {"redirect_uris": []}),
    ("POST", SITES + "/{site}/domain", {"domain": "evil.example"}),
    ("POST", SITES + "/{site}/domain/check", {"method": "dns"}),
    ("GET", SITES + "/{site}/logins", None),
    ("GET", SITES + "/{site}/delivery", None),
    ("GET", SITES + "/{site}/delivery/stream", None),
    ("POST", SITES + "/{site}/delivery/test", None),
    ("POST", SITES + "/{site}/delivery/" + NOBODY + "/redeliver", None),
]


def test_every_route_is_in_the_table(api):
    routes = {
        (method, route.path)
        for router in api.desk.routes
        for route in router.routes
        for method in route.methods
    }
    table = {
        (method, path.format(agent="{agent_id}", site="{site_id}").replace(NOBODY, "{event_id}"))
        for method, path, _ in OWN
    }
    assert table == routes


@pytest.mark.parametrize(("method", "path", "body"), OWN)
async def test_every_route_wants_a_session_and_a_page_of_ours(api, small_world, method, path, body):
    world = small_world
    path = path.format(agent=world.agent.agent_id, site=world.site.site_id)
    assert code(await api.nobody.request(method, path, json=body), 401) == "NOT_SIGNED_IN"
    if method != "GET":
        api.ada.headers.pop("X-CSRF-Token")
        assert code(await api.ada.request(method, path, json=body), 403) == "CSRF_FAILED"
    assert await world.log() == []


@pytest.mark.parametrize(("method", "path", "body"), [one for one in OWN if "{" in one[1]])
@pytest.mark.parametrize("ident", ["theirs", NOBODY, "x", "%00"])
async def test_what_is_another_owners_is_not_there(api, small_world, method, path, body, ident):
    world = small_world
    agent, site = ident, ident
    if ident == "theirs":
        agent, site = world.agent.agent_id, world.site.site_id
    answer = await api.bob.request(method, path.format(agent=agent, site=site), json=body)
    assert code(answer, 404) == "NOT_FOUND"
    assert await world.log() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [one for one in OWN if one[0] == "DELETE" or one[:2][1].endswith("}/tokens")],
)
async def test_tokens_and_deletion_need_a_fresh_proof(api, small_world, method, path, body):
    if method == "GET":
        return
    world = small_world
    world.clock.advance(601)
    path = path.format(agent=world.agent.agent_id, site=world.site.site_id)
    assert code(await api.ada.request(method, path, json=body), 403) == "STEP_UP_REQUIRED"
    assert await world.log() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{AGENTS}/register", {"display_name": "x", "owner_id": NOBODY}),
        ("POST", f"{AGENTS}/register", {"display_name": "x", "active": True}),
        ("POST", f"{AGENTS}/register", {"display_name": ""}),
        ("POST", f"{AGENTS}/register", {"display_name": "a\nb"}),
        ("POST", f"{AGENTS}/register", {"display_name": "x", "description": "a\0b"}),
        ("POST", f"{AGENTS}/register", {"display_name": "x", "avatar_url": "javascript:1"}),
        ("PATCH", AGENTS + "/{agent}", {"display_name": None}),
        ("PATCH", AGENTS + "/{agent}", {"active": "no"}),
        ("PATCH", AGENTS + "/{agent}", {"suspended": False}),
        ("PATCH", AGENTS + "/{agent}", {"kyc_level": 3}),
        ("PATCH", AGENTS + "/{agent}", {"capabilities": ["oauth:mcp"]}),
        ("PUT", AGENTS + "/{agent}/capabilities", {"capabilities": ["root"]}),
        ("POST", AGENTS + "/{agent}/tokens", {"overlap_seconds": 604801}),
        ("POST", AGENTS + "/{agent}/tokens", {"overlap_seconds": -1}),
        ("POST", AGENTS + "/{agent}/tokens", {"token": "at_mine"}),
        ("GET", AGENTS + "?limit=0", None),
        ("GET", AGENTS + "?limit=201", None),
        ("GET", AGENTS + "?cursor=1", None),
        ("POST", f"{SITES}/register", {"display_name": "x", "domain_verified": True}),
        ("POST", f"{SITES}/register", {"display_name": "x", "domain": "localhost"}),
        ("PATCH", SITES + "/{site}", {"domain_verified": True}),
        ("PATCH", SITES + "/{site}", {"suspended": False}),
        ("PATCH", SITES + "/{site}", {"domain": "other.example"}),
        ("PUT", SITES + "/{site}/redirect-uris", {"redirect_uris": ["http://x.example/"]}),
        ("PUT", SITES + "/{site}/redirect-uris", {"redirect_uris": ["https://x/"] * 21}),
        ("POST", SITES + "/{site}/domain/check", {"method": "magic"}),
        ("POST", SITES + "/{site}/domain/check", {"method": "dns"}),
    ],
)
async def test_what_is_unfit_or_too_much_changes_nothing(api, small_world, method, path, body):
    world = small_world
    path = path.format(agent=world.agent.agent_id, site=world.site.site_id)
    assert code(await api.ada.request(method, path, json=body), 400) == "INVALID_REQUEST"
    assert await world.log() == []


async def test_the_monitors_stream_is_server_sent_events(api, small_world):
    world = small_world
    response = MonitorResponse(world.monitor, world.ada, world.site.site_id)
    sent, leaves = [], asyncio.Event()
    framed = asyncio.Event()

    async def receive():
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message.get("body"):
            framed.set()

    running = asyncio.create_task(response({"type": "http"}, receive, send))
    await framed.wait()
    leaves.set()
    await running
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert sent[1]["body"].startswith(b'data: {"streams":[],"undelivered":[]')
    assert world.monitor._viewers == {}


async def test_a_browser_gets_the_stream_of_its_own_site(api, small_world, monkeypatch):
    world = small_world
    timing = type(world.monitor.timing)(look_every=0.001, pause=0, lifetime=0.01)
    monkeypatch.setattr(api.desk.monitor, "timing", timing)
    answer = await api.ada.get(f"{SITES}/{world.site.site_id}/delivery/stream")
    assert answer.text.startswith("data: {")
