"""The ready router, with a browser that keeps cookies."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from lime_sites import LimeSite
from lime_sites import fastapi as router_module
from lime_sites._cookies import SignedValue
from lime_sites.fastapi import LoginRouter, SignedInAgent, login_router
from lime_sites.testing import FakeLime

SECRET = "0123456789abcdef0123456789abcdef"
Browser = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def client(fake: FakeLime) -> AsyncIterator[LimeSite]:
    async with fake.site(max_retries=0) as site:
        yield site


@pytest.fixture
def login(client: LimeSite, clock: Any) -> LoginRouter:
    return login_router(client, secret=SECRET, wall_clock=clock)


@pytest.fixture
def app(login: LoginRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(login)

    @app.get("/me")
    async def me(agent: Annotated[SignedInAgent, Depends(login.current_agent)]) -> SignedInAgent:
        return agent

    return app


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browser]:
    browsers: list[httpx.AsyncClient] = []

    def open_one(base_url: str = "https://shop.example") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app)
        browsers.append(httpx.AsyncClient(transport=transport, base_url=base_url))
        return browsers[-1]

    yield open_one
    for one in browsers:
        await one.aclose()


async def _start(visitor: httpx.AsyncClient) -> str:
    answer = await visitor.post("/login/start")
    assert answer.status_code == 201
    body = answer.json()
    assert body["status"] == "PENDING"
    return str(body["request_id"])


async def test_an_agent_signs_a_browser_in_and_out(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    assert (await visitor.get("/me")).status_code == 401
    assert (await visitor.get("/login/status")).status_code == 401
    request_id = await _start(visitor)
    pending = await visitor.get("/login/status")
    assert pending.json() == {"status": "PENDING", "request_id": request_id}
    assert pending.headers["cache-control"] == "no-store"
    fake.approve(request_id, agent_id="agent-7", kyc_level=2)
    approved = {"status": "APPROVED", "agent_id": "agent-7"}
    # The first answer makes the session, the second only looks at it.
    for _ in range(2):
        assert (await visitor.get("/login/status")).json() == approved
    me = (await visitor.get("/me")).json()
    assert me == {"agent_id": "agent-7", "user_id": "owner-1", "kyc_level": 2}
    assert (await visitor.post("/login/logout")).status_code == 204
    assert (await visitor.get("/me")).status_code == 401


@pytest.mark.parametrize(("end", "status"), [("deny", "DENIED"), ("expire", "EXPIRED")])
async def test_when_nobody_comes_the_browser_is_told(
    browser: Browser, fake: FakeLime, end: str, status: str
) -> None:
    visitor = browser()
    getattr(fake, end)(await _start(visitor))
    assert (await visitor.get("/login/status")).json() == {"status": status}
    assert (await visitor.get("/login/status")).status_code == 401


async def test_only_the_browser_that_started_gets_in(browser: Browser, fake: FakeLime) -> None:
    visitor, stranger = browser(), browser()
    fake.approve(await _start(visitor))
    assert (await stranger.get("/login/status")).status_code == 401
    assert (await stranger.get("/login/events")).status_code == 404


@pytest.mark.parametrize(
    ("base_url", "prefix", "secure"),
    [
        ("https://shop.example", "__Host-", True),
        # Behind a proxy that ends TLS.
        ("http://shop.example", "__Host-", True),
        ("http://localhost:8000", "", False),
        ("http://app.localhost", "", False),
        ("http://127.0.0.1:8000", "", False),
        ("http://[::1]:8000", "", False),
        ("https://localhost", "__Host-", True),
    ],
)
async def test_cookies_are_out_of_reach_for_others(
    browser: Browser, base_url: str, prefix: str, secure: bool
) -> None:
    answer = await browser(base_url).post("/login/start")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name == f"{prefix}lime_site_login"
    assert {"httponly", "samesite=lax", "path=/", "max-age=300"} <= attributes
    assert ("secure" in attributes) is secure


@pytest.mark.parametrize(
    ("base_url", "secure", "name"),
    [
        # A proxy that puts its own address into `Host`.
        ("http://127.0.0.1:8000", True, "__Host-lime_site_login"),
        ("http://lab.example", False, "lime_site_login"),
    ],
)
async def test_an_application_may_say_how_safe_its_cookies_are(
    client: LimeSite, base_url: str, secure: bool, name: str
) -> None:
    app = FastAPI()
    app.include_router(login_router(client, secret=SECRET, secure=secure))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as visitor:
        cookie = (await visitor.post("/login/start")).headers["set-cookie"]
    assert cookie.startswith(f"{name}=")
    assert ("; secure" in cookie.lower()) is secure


async def test_logging_out_ends_a_login_that_was_begun(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    fake.approve(await _start(visitor))
    assert (await visitor.get("/login/status")).json()["status"] == "APPROVED"
    request_id = await _start(visitor)
    assert (await visitor.post("/login/logout")).status_code == 204
    assert not visitor.cookies
    fake.approve(request_id)
    assert (await visitor.get("/login/status")).status_code == 401
    assert (await visitor.get("/me")).status_code == 401


async def test_no_cookie_is_one_of_limes_own(browser: Browser, fake: FakeLime) -> None:
    visitor = browser("http://127.0.0.1:8001")
    await _start(visitor)
    pending = set(visitor.cookies)
    fake.approve(await _start(visitor))
    await visitor.get("/login/status")
    # What LIME's begin with is looked at in tests/attacks/test_sessions.py.
    assert pending | set(visitor.cookies) == {"lime_site_login", "lime_site_agent"}


async def test_cookies_end_with_their_time(browser: Browser, fake: FakeLime, clock: Any) -> None:
    visitor = browser()
    fake.approve(await _start(visitor))
    await visitor.get("/login/status")
    clock.advance(8 * 3600)
    assert (await visitor.get("/me")).status_code == 200
    clock.advance(1)
    assert (await visitor.get("/me")).status_code == 401


async def test_a_cookie_of_another_kind_or_maker_opens_nothing(
    browser: Browser, clock: Any
) -> None:
    visitor = browser()
    request_id = await _start(visitor)
    pending = visitor.cookies["__Host-lime_site_login"]
    agent = {"agent_id": "agent-7", "user_id": None, "kyc_level": None}
    other = SignedValue("x" * 32, kind="session", max_age=60, wall_clock=clock).dump(agent)
    own = SignedValue(SECRET, kind="session", max_age=60, wall_clock=clock)
    for value in (pending, other, own.dump(request_id), own.dump(agent)[:-1], "", "x"):
        stranger = browser()
        stranger.cookies.set("__Host-lime_site_agent", value)
        assert (await stranger.get("/me")).status_code == 401


@pytest.mark.parametrize("path", ["/login/start", "/login/logout"])
async def test_a_page_of_somebody_else_cannot_press_the_buttons(
    browser: Browser, path: str
) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert (await browser().post(path, headers=headers)).status_code == 403
    allowed = await browser().post(path, headers={"sec-fetch-site": "same-origin"})
    assert allowed.is_success


async def test_a_login_that_lime_has_forgotten_is_over(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    fake.logins.pop(await _start(visitor))
    assert (await visitor.get("/login/status")).json() == {"status": "EXPIRED"}


async def test_an_approval_without_passport_opens_nothing(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    fake.logins[await _start(visitor)].status = "APPROVED"
    fake.passport_of = lambda login: None  # type: ignore[assignment,method-assign,return-value]
    assert (await visitor.get("/login/status")).json() == {"status": "EXPIRED"}
    assert (await visitor.get("/me")).status_code == 401


async def test_a_state_of_a_newer_lime_opens_nothing(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    fake.logins[await _start(visitor)].status = "ALMOST_APPROVED"
    assert (await visitor.get("/login/status")).json()["status"] == "PENDING"


async def test_a_forged_passport_opens_nothing(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    request_id = await _start(visitor)
    fake.approve(request_id)
    fake.passport_of = lambda login: fake.forged_passport(request_id)  # type: ignore[method-assign]  # a lie
    assert (await visitor.get("/login/status")).status_code == 403
    assert (await visitor.get("/me")).status_code == 401


async def test_while_lime_is_away_the_site_says_so(
    browser: Browser, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = browser()
    fake.fail(503, "SITE_TOKEN_AUTH_UNAVAILABLE")
    assert (await visitor.post("/login/start")).status_code == 503
    request_id = await _start(visitor)
    limited = httpx.Response(429, json={}, headers={"retry-after": "7"})
    fake._planned.append(limited)
    answer = await visitor.get("/login/status")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    fake.fail(500, "INTERNAL_ERROR")
    assert (await visitor.get("/login/status")).status_code == 503
    assert "LIME could not be asked" in caplog.text
    fake.approve(request_id)
    assert (await visitor.get("/login/status")).json()["status"] == "APPROVED"


async def _told(answer: httpx.Response) -> list[str]:
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: "))["status"] for line in lines]


async def test_the_browser_hears_of_the_end(browser: Browser, fake: FakeLime) -> None:
    visitor = browser()
    request_id = await _start(visitor)
    listening = asyncio.create_task(visitor.get("/login/events"))
    path = ("GET", f"/modules/agent-login/requests/{request_id}")
    while path not in fake.calls:  # noqa: ASYNC110 - it happens in the fake
        await asyncio.sleep(0.001)
    fake.approve(request_id)
    answer = await listening
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert await _told(answer) == ["APPROVED"]


async def test_the_browser_sees_signs_of_life_meanwhile(
    browser: Browser, fake: FakeLime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_module, "EVENT_WAIT", 0.001)
    visitor = browser()
    request_id = await _start(visitor)
    looks = iter(["PENDING", "PENDING", "DENIED"])
    look = fake._look_at

    def change(request_id: str, **options: Any) -> httpx.Response:
        fake.logins[request_id].status = next(looks)
        return look(request_id, **options)

    monkeypatch.setattr(fake, "_look_at", change)
    assert await _told(await visitor.get("/login/events")) == ["PENDING", "PENDING", "DENIED"]
    assert fake.logins[request_id].status == "DENIED"


async def test_the_browser_is_told_when_lime_is_away(
    browser: Browser, fake: FakeLime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_module, "EVENT_WAIT", 0.001)
    visitor = browser()
    await _start(visitor)
    fake.go_down()
    assert await _told(await visitor.get("/login/events")) == ["UNAVAILABLE"]


def test_a_short_secret_is_refused(fake: FakeLime) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        login_router(fake.site(), secret="short")
