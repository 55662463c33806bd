"""The routes of protocol section 9: statuses, codes, and who is asking."""

from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from lime_server.core.errors import NotSignedIn
from lime_server.core.urls import API_PATH
from lime_server.foundation.sessions import Session, SessionRules
from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.errors import Errors
from lime_server.modules.binding.routes import BindingParts, router

UNKNOWN = "0190a2b4-0000-7000-8000-000000000000"
BINDINGS = "/modules/bindings"


class Door:
    """Lets owners in who name themselves; the real one has tests of its own."""

    rules = SessionRules(origin="https://lime.example")

    def __init__(self, world) -> None:
        self._world = world

    async def authenticate(self, unverified_cookie: str | None) -> Session:
        owner = await self._world.owners.find(f"{unverified_cookie}@example.com")
        if owner is None:
            raise NotSignedIn
        now = self._world.clock.now()
        return Session(UNKNOWN, owner, now, now, now)

    async def count_change(self, _session: Session) -> None:
        """The rest of the tests changes as much as it likes."""

    def is_csrf_token(self, unverified_cookie: str, unverified_csrf: str) -> bool:
        return unverified_csrf == f"csrf-{unverified_cookie}"


def as_owner(name: str) -> dict[str, str]:
    return {
        "Cookie": f"__Host-lime_session={name}; lime_csrf=csrf-{name}",
        "X-CSRF-Token": f"csrf-{name}",
        "Origin": "https://lime.example",
    }


@pytest.fixture
async def api(small_world):
    """A client of the routes, and who it can pretend to be."""
    world = small_world
    app = FastAPI()
    parts = BindingParts(world.bindings, Door(world), world.sites, "https://lime.example")
    app.include_router(router(parts), prefix=API_PATH)
    errors.install(app)
    app.add_middleware(Errors)
    transport = httpx.ASGITransport(app)
    base = f"https://lime.example{API_PATH}"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield SimpleNamespace(
            client=client,
            get=client.get,
            post=client.post,
            delete=client.delete,
            site={"X-Site-Token": world.site_token.text},
            other_site={"X-Site-Token": world.other_token.text},
            ada=as_owner("ada"),
            bob=as_owner("bob"),
        )


def data(response, status=200):
    assert response.status_code == status, response.text
    body = response.json()
    assert (body["ok"], body.keys()) == (True, {"ok", "data"})
    assert response.headers["cache-control"] == "no-store"
    return body["data"]


def failure(response, status):
    assert response.status_code == status, response.text
    assert response.json()["ok"] is False
    return response.json()["error"]["code"]


async def asked(api, help_, **body):
    body = {"redirect_uri": help_.CALLBACK, **body}
    return data(await api.post(f"{BINDINGS}/requests", json=body, headers=api.site), 201)


async def approved(api, help_, small_world, **body):
    binding_id = (await asked(api, help_, **body))["binding_id"]
    answer = await api.post(
        f"{BINDINGS}/requests/{binding_id}/approve",
        json={"agent_id": small_world.agent.agent_id},
        headers=api.ada,
    )
    return help_.query_of(data(answer)["redirect_to"])["binding_code"]


async def made(api, help_, small_world):
    body = {"binding_code": await approved(api, help_, small_world)}
    answer = await api.post(f"{BINDINGS}/exchange", json=body, headers=api.site)
    return data(answer)["binding_id"]


async def test_the_whole_conversation(api, help_, small_world):
    world = small_world
    created = await asked(api, help_, state="s", code_challenge="A" * 43)
    binding_id = created["binding_id"]
    assert created == {
        "binding_id": binding_id,
        "connect_url": f"https://lime.example/connect?id={binding_id}",
        "status": "PENDING",
        "expires_at": "2026-11-23T10:10:00Z",
        "site_id": world.site.site_id,
        "state": "s",
    }
    site = {
        "site_id": world.site.site_id,
        "display_name": "Shop",
        "domain": "shop.example",
        "domain_verified": False,
    }
    question = data(await api.get(f"{BINDINGS}/requests/{binding_id}", headers=api.ada))
    assert [learned.keys() for learned in question.pop("learns")] == [{"claim", "meaning"}] * 2
    assert question == {
        "binding_id": binding_id,
        "site": site,
        "redirect_host": "shop.example",
        "expires_at": "2026-11-23T10:10:00Z",
    }
    code = await approved(api, help_, world)
    exchanged = data(
        await api.post(f"{BINDINGS}/exchange", json={"binding_code": code}, headers=api.site)
    )
    assert exchanged.keys() == {"passport", "binding_id"}
    claims = world.claims(exchanged["passport"], binding_id=exchanged["binding_id"])
    assert claims["sub"] == world.agent.agent_id
    owners = data(await api.get(BINDINGS, headers=api.ada))
    assert owners == {
        "items": [
            {
                "binding_id": exchanged["binding_id"],
                "status": "ACTIVE",
                "site": site,
                "agent": {"agent_id": world.agent.agent_id, "display_name": "Agent"},
                "bound_at": "2026-11-23T10:00:00Z",
                "ended_at": None,
                "ended_by": None,
            }
        ],
        "next_cursor": None,
    }
    sites = data(await api.get(f"{BINDINGS}/of-site", headers=api.site))
    one = {
        "binding_id": exchanged["binding_id"],
        "site_id": world.site.site_id,
        "status": "ACTIVE",
        "expires_at": "2026-11-23T10:01:00Z",
        "agent_id": world.agent.agent_id,
        "user_id": world.ada,
        "bound_at": "2026-11-23T10:00:00Z",
        "ended_at": None,
        "ended_by": None,
    }
    assert sites == {"items": [one], "next_cursor": None}
    path = f"{BINDINGS}/of-site/{exchanged['binding_id']}"
    assert data(await api.get(path, headers=api.site)) == one


async def test_a_refusal_goes_back_to_the_site(api, help_):
    binding_id = (await asked(api, help_, state="s"))["binding_id"]
    path = f"{BINDINGS}/requests/{binding_id}/refuse"
    first = data(await api.post(path, headers=api.ada))
    assert first == {"redirect_to": help_.CALLBACK + "&error=access_denied&state=s"}
    assert data(await api.post(path, json={}, headers=api.ada)) == first
    assert failure(await api.post(path, headers=api.bob), 404) == "BINDING_NOT_FOUND"


async def test_whose_agent_it_is_shows_only_once_the_code_was_exchanged(api, help_, small_world):
    await approved(api, help_, small_world)
    (binding_id,) = small_world.backend.bindings.bindings
    seen = data(await api.get(f"{BINDINGS}/of-site/{binding_id}", headers=api.site))
    assert (seen["status"], seen["agent_id"], seen["user_id"]) == ("APPROVED", None, None)


async def test_either_side_ends_a_binding(api, help_, small_world):
    one, other = [await made(api, help_, small_world) for _ in range(2)]
    ended = data(await api.delete(f"{BINDINGS}/{one}", headers=api.ada))
    assert (ended["status"], ended["ended_by"]) == ("ENDED", "owner")
    assert ended["ended_at"] == "2026-11-23T10:00:00Z"
    ended = data(await api.delete(f"{BINDINGS}/of-site/{other}", headers=api.site))
    assert (ended["status"], ended["ended_by"]) == ("ENDED", "site")
    for binding_id in (one, other):
        path = f"{BINDINGS}/of-site/{binding_id}"
        assert failure(await api.delete(path, headers=api.other_site), 404) == "BINDING_NOT_FOUND"
        assert failure(await api.get(path, headers=api.other_site), 404) == "BINDING_NOT_FOUND"
        path = f"{BINDINGS}/{binding_id}"
        assert failure(await api.delete(path, headers=api.bob), 404) == "BINDING_NOT_FOUND"
    assert data(await api.get(BINDINGS, headers=api.bob))["items"] == []


async def test_lists_come_in_pages(api, help_, small_world):
    ids = []
    for _ in range(3):
        small_world.clock.advance(0.001)
        ids.append(await made(api, help_, small_world))
    for path, who in ((BINDINGS, api.ada), (f"{BINDINGS}/of-site", api.site)):
        first = data(await api.get(path, params={"limit": 2}, headers=who))
        assert [item["binding_id"] for item in first["items"]] == ids[:0:-1]
        query = {"limit": 2, "cursor": first["next_cursor"]}
        second = data(await api.get(path, params=query, headers=who))
        assert [item["binding_id"] for item in second["items"]] == ids[:1]
        assert second["next_cursor"] is None
        for query in ({"limit": 0}, {"limit": 1000}, {"cursor": "x"}):
            answer = await api.get(path, params=query, headers=who)
            assert failure(answer, 400) == "INVALID_REQUEST"


async def test_an_agent_that_was_deleted_keeps_its_line(api, help_, small_world):
    await made(api, help_, small_world)
    del small_world.backend.bindings._identities.agents[small_world.agent.agent_id]
    (item,) = data(await api.get(BINDINGS, headers=api.ada))["items"]
    assert item["agent"] == {
        "agent_id": small_world.agent.agent_id,
        "display_name": "Deleted agent",
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/requests", {}),
        ("/requests", {"redirect_uri": 1}),
        ("/requests", {"redirect_uri": "x" * 2049}),
        ("/requests", {"redirect_uri": "x", "status": "ACTIVE"}),
        ("/requests", {"redirect_uri": "x", "code_challenge_method": "plain"}),
        ("/requests", {"redirect_uri": "x", "state": "x" * 513}),
        ("/exchange", {}),
        ("/exchange", {"binding_code": 1}),
        ("/exchange", {"binding_code": "x" * 513}),
        ("/exchange", {"binding_code": "x", "agent_id": UNKNOWN}),
    ],
)
async def test_a_body_that_is_not_what_the_route_takes(api, path, body):
    answer = await api.post(BINDINGS + path, json=body, headers=api.site)
    assert failure(answer, 400) == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("approve", {}),
        ("approve", {"agent_id": 1}),
        ("approve", {"agent_id": "x", "owner_id": UNKNOWN}),
        ("refuse", {"because": "no"}),
    ],
)
async def test_an_answer_that_says_something_else(api, help_, path, body):
    binding_id = (await asked(api, help_))["binding_id"]
    path = f"{BINDINGS}/requests/{binding_id}/{path}"
    assert failure(await api.post(path, json=body, headers=api.ada), 400) == "INVALID_REQUEST"


async def test_what_can_be_wrong_with_a_wish_or_a_claim(api, help_):
    path = f"{BINDINGS}/requests"
    body = {"redirect_uri": "https://evil.example/"}
    answer = await api.post(path, json=body, headers=api.site)
    assert failure(answer, 400) == "REDIRECT_URI_NOT_LISTED"
    body = {"redirect_uri": help_.CALLBACK, "code_challenge": "short"}
    answer = await api.post(path, json=body, headers=api.site)
    assert failure(answer, 400) == "INVALID_REQUEST"
    body = {"binding_code": "bc_" + "A" * 43}
    answer = await api.post(f"{BINDINGS}/exchange", json=body, headers=api.site)
    assert failure(answer, 400) == "BINDING_CODE_INVALID"


SITE_ROUTES = [
    ("POST", "/requests"),
    ("POST", "/exchange"),
    ("GET", "/of-site"),
    ("GET", f"/of-site/{UNKNOWN}"),
    ("DELETE", f"/of-site/{UNKNOWN}"),
]
OWNER_ROUTES = [
    ("GET", ""),
    ("GET", f"/requests/{UNKNOWN}"),
    ("POST", f"/requests/{UNKNOWN}/approve"),
    ("POST", f"/requests/{UNKNOWN}/refuse"),
    ("DELETE", f"/{UNKNOWN}"),
]


@pytest.mark.parametrize(("method", "path"), SITE_ROUTES)
async def test_site_routes_take_a_site_token_and_nothing_else(api, method, path):
    for headers in ({}, api.ada):
        answer = await api.client.request(method, BINDINGS + path, headers=headers)
        assert failure(answer, 401) == "SITE_TOKEN_MISSING"
    answer = await api.client.request(method, BINDINGS + path, headers={"X-Site-Token": "x"})
    assert failure(answer, 401) == "SITE_TOKEN_INVALID"


@pytest.mark.parametrize(("method", "path"), OWNER_ROUTES)
async def test_owner_routes_take_a_session_and_the_page_that_has_it(api, small_world, method, path):
    async def answer(headers, status):
        response = await api.client.request(method, BINDINGS + path, headers=headers)
        return failure(response, status)

    for headers in ({}, api.site):
        assert await answer(headers, 401) == "NOT_SIGNED_IN"
    if method != "GET":
        for change in ({"X-CSRF-Token": "x"}, {"Origin": "https://evil.example"}):
            assert await answer(api.ada | change, 403) == "CSRF_FAILED"
    await small_world.backend.suspend_owner(small_world.ada, True)
    assert await answer(api.ada, 403) == "OWNER_SUSPENDED"


@pytest.mark.parametrize("name", ["x", "..%2F..%2Fcore", "%00", UNKNOWN, "a" * 1000])
async def test_what_names_no_binding(api, small_world, name):
    agent = {"agent_id": small_world.agent.agent_id}
    answers = [
        await api.get(f"{BINDINGS}/requests/{name}", headers=api.ada),
        await api.post(f"{BINDINGS}/requests/{name}/approve", json=agent, headers=api.ada),
        await api.post(f"{BINDINGS}/requests/{name}/refuse", headers=api.ada),
        await api.delete(f"{BINDINGS}/{name}", headers=api.ada),
        await api.get(f"{BINDINGS}/of-site/{name}", headers=api.site),
        await api.delete(f"{BINDINGS}/of-site/{name}", headers=api.site),
    ]
    codes = {failure(answer, 404) for answer in answers}
    assert codes == {"NOT_FOUND" if "%2F" in name else "BINDING_NOT_FOUND"}


async def test_another_owners_agent_is_not_found(api, help_, small_world):
    binding_id = (await asked(api, help_))["binding_id"]
    path = f"{BINDINGS}/requests/{binding_id}/approve"
    body = {"agent_id": small_world.stranger.agent_id}
    assert failure(await api.post(path, json=body, headers=api.ada), 404) == "NOT_FOUND"
    await small_world.backend.switch_agent(small_world.agent.agent_id, False)
    body = {"agent_id": small_world.agent.agent_id}
    assert failure(await api.post(path, json=body, headers=api.ada), 403) == "AGENT_INACTIVE"
