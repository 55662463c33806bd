"""The page that shows a login in progress, as a browser without scripts and one with them see it."""

import hashlib
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from lime_sites import LimeSite
from lime_sites._waiting import LONGEST_PATH, Waiting, same_site_path, waiting_path
from lime_sites.fastapi import login_router
from lime_sites.testing import FakeLime

SECRET = "0123456789abcdef0123456789abcdef"
XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
STATES = ["NONE", "PENDING", "DENIED", "EXPIRED", "REFUSED", "UNAVAILABLE", "BUSY", "ALMOST"]


class Page(HTMLParser):
    """What stands in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, str] = {}
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within in {"script", "style"}:
            self.inline[self._within] = data

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def first(self, tag: str, **attributes: str) -> dict[str, str | None]:
        """The attributes of the first such element."""
        return next(
            has for name, has in self.tags if name == tag and attributes.items() <= has.items()
        )


@pytest.fixture
def fake(clock: Any) -> FakeLime:
    """A LIME that agrees with the site about the time."""
    return FakeLime(wall_clock=clock)


@pytest.fixture
async def site(fake: FakeLime, clock: Any) -> AsyncIterator[LimeSite]:
    async with fake.site(max_retries=0, wall_clock=clock) as site:
        yield site


@pytest.fixture
async def visitor(site: LimeSite, clock: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at an application that has the login below another path."""
    app = FastAPI()
    login = login_router(site, secret=SECRET, after_login="/members", wall_clock=clock)
    app.include_router(login, prefix="/shop")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as browser:
        yield browser


async def begin(visitor: httpx.AsyncClient, onward: str = "/members") -> tuple[str, httpx.URL]:
    """Press the button; the request's id and the page's address."""
    form = {"next": onward}
    answer = await visitor.post("/shop/login/begin", data=form)
    assert answer.status_code == 303
    where = answer.request.url.join(answer.headers["location"])
    page = Page((await visitor.get(where)).text)
    assert page.first("p", role="status")
    shown = re.search(r'<code id="request">([^<]+)</code>', (await visitor.get(where)).text)
    assert shown is not None
    return shown[1], where


async def test_a_login_from_the_button_to_the_members_page(
    visitor: httpx.AsyncClient, fake: FakeLime
) -> None:
    first = await visitor.get("/shop/login/waiting", params={"next": "/orders?open=1"})
    assert first.status_code == 200
    form = Page(first.text)
    assert form.first("form") == {"method": "post", "action": "begin"}
    onward = form.first("input", name="next")["value"]
    request_id, where = await begin(visitor, str(onward))
    assert where.path == "/shop/login/waiting"
    waiting = await visitor.get(where)
    assert "Waiting for your agent" in waiting.text
    assert ">5:00</span>" in waiting.text
    fake.approve(request_id, agent_id="agent-7")
    gone = await visitor.get(where)
    assert (gone.status_code, gone.headers["location"]) == (303, "/orders?open=1")
    # Who comes back is already in.
    again = await visitor.get(where)
    assert (again.status_code, again.headers["location"]) == (303, "/orders?open=1")
    assert (await visitor.get("/shop/login/status")).json()["agent_id"] == "agent-7"


async def test_the_time_that_is_left_is_shown(visitor: httpx.AsyncClient, clock: Any) -> None:
    _, where = await begin(visitor)
    clock.advance(61.5)
    assert Page((await visitor.get(where)).text).first("span", id="left")["data-seconds"] == "239"


@pytest.mark.parametrize(
    ("end", "says"), [("deny", "refused to log in"), ("expire", "No agent came in time")]
)
async def test_the_page_says_how_it_ended_and_offers_another_try(
    visitor: httpx.AsyncClient, fake: FakeLime, end: str, says: str
) -> None:
    request_id, where = await begin(visitor, "/orders")
    getattr(fake, end)(request_id)
    over = await visitor.get(where)
    assert says in over.text
    assert Page(over.text).first("input", name="next")["value"] == "/orders"
    assert request_id not in over.text
    # It is not asked about again.
    assert "Log in with an agent" in (await visitor.get(where)).text


async def test_a_passport_that_is_not_valid_ends_the_login(
    visitor: httpx.AsyncClient, fake: FakeLime
) -> None:
    request_id, where = await begin(visitor)
    fake.approve(request_id)
    fake.passport_of = lambda login: fake.forged_passport(request_id)  # type: ignore[method-assign]  # a lie
    refused = await visitor.get(where)
    assert refused.status_code == 403
    assert "not valid" in refused.text
    assert (await visitor.get("/shop/login/status")).status_code == 401


async def test_while_lime_is_away_the_page_tries_again(
    visitor: httpx.AsyncClient, fake: FakeLime
) -> None:
    request_id, where = await begin(visitor)
    fake._planned.append(httpx.Response(429, json={}, headers={"retry-after": "7"}))
    away = await visitor.get(where)
    assert (away.status_code, away.headers["retry-after"]) == (503, "7")
    assert Page(away.text).first("meta", **{"http-equiv": "refresh"})
    fake.approve(request_id)
    assert (await visitor.get(where)).status_code == 303


async def test_a_login_that_cannot_begin_is_said_to_be_that(
    visitor: httpx.AsyncClient, fake: FakeLime
) -> None:
    fake.fail(503, "UNAVAILABLE")
    busy = await visitor.post("/shop/login/begin", data={"next": "/orders"})
    assert busy.status_code == 503
    assert "cannot be started" in busy.text
    assert Page(busy.text).first("input", name="next")["value"] == "/orders"
    assert "set-cookie" not in busy.headers


async def test_another_browser_sees_nothing_of_it(
    visitor: httpx.AsyncClient, site: LimeSite
) -> None:
    request_id, where = await begin(visitor)
    visitor.cookies.clear()
    assert request_id not in (await visitor.get(where)).text


async def test_a_page_of_somebody_else_cannot_press_the_button(visitor: httpx.AsyncClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert (await visitor.post("/shop/login/begin", headers=headers)).status_code == 403


# Where it goes

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/ok\r\nLocation: https://evil.example",
    " /members",
    "javascript:alert(1)",
    "members",
    "",
    "/" + "x" * LONGEST_PATH,
    "/\u2215evil",
]


@pytest.mark.parametrize("onward", ELSEWHERE)
async def test_it_goes_to_a_path_of_this_site_only(
    visitor: httpx.AsyncClient, fake: FakeLime, onward: str
) -> None:
    request_id, where = await begin(visitor, onward)
    assert dict(where.params) == {"next": "/members"}
    fake.approve(request_id)
    gone = await visitor.get("/shop/login/waiting", params={"next": onward})
    assert (gone.status_code, gone.headers["location"]) == (303, "/members")


@pytest.mark.parametrize("path", ["/", "/members", "/a/b?c=d&e=//f#g", "/%2F%2Fevil.example"])
def test_paths_of_this_site_are_taken_as_they_are(path: str) -> None:
    assert same_site_path(path, "/members") == path
    assert httpx.URL(f"https://shop.example/{waiting_path(path)}").params["next"] == path


async def test_it_does_not_go_in_circles(visitor: httpx.AsyncClient, fake: FakeLime) -> None:
    request_id, _ = await begin(visitor)
    fake.approve(request_id)
    circle = {"next": "/shop/login/waiting?next=/x"}
    assert (await visitor.get("/shop/login/waiting", params=circle)).headers[
        "location"
    ] == "/members"


async def test_a_form_that_is_too_large_is_not_read(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.post("/shop/login/begin", content=b"next=/" + b"x" * 5 * LONGEST_PATH)
    assert answer.headers["location"] == waiting_path("/members")


@pytest.mark.parametrize("path", ["", "//evil.example", "members", "https://evil.example"])
def test_the_application_names_a_path_of_its_own(fake: FakeLime, path: str) -> None:
    with pytest.raises(ValueError, match="path of this site"):
        login_router(fake.site(), secret=SECRET, after_login=path)


# What the page is made of


@pytest.mark.parametrize("state", STATES)
def test_nothing_that_was_written_runs(state: str) -> None:
    page = Page(Waiting(state, XSS, XSS, 60).page)
    scripts = [has for tag, has in page.tags if tag == "script"]
    assert len(scripts) == (state in {"PENDING", "ALMOST"})
    assert not any(tag == "img" for tag, _ in page.tags)
    # No attribute runs anything or loads anything, so the policy has nothing to forbid.
    for _, has in page.tags:
        assert not any(name.startswith("on") or name in {"src", "href", "style"} for name in has)


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_announced_and_has_one_heading(state: str) -> None:
    page = Page(Waiting(state, "/members", "id", 60).page)
    assert page.first("html")["lang"] == "en"
    assert page.first("p", role="status") is not None
    assert page.first("meta", name="viewport")
    assert [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)] == ["h1"]


async def test_the_policy_names_what_stands_in_the_page_and_nothing_else(
    visitor: httpx.AsyncClient,
) -> None:
    _, where = await begin(visitor)
    answer = await visitor.get(where)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    for kind, directive in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(Page(answer.text).inline[kind].encode()).digest()
        assert policy.pop(directive) == f"'sha256-{b64encode(digest).decode()}'"
    assert policy == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
        "connect-src": "'self'",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_without_scripts_the_page_asks_again_by_itself(visitor: httpx.AsyncClient) -> None:
    _, where = await begin(visitor)
    text = (await visitor.get(where)).text
    assert '<noscript><meta http-equiv="refresh" content="4"></noscript>' in text
    # And a button that needs scripts is not there.
    assert "hidden" in Page(text).first("button", id="copy")
