"""What goes over the wire, to the byte: protocol sections 1 to 5."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import respx

from lime_sites import LimeSite, LimeSiteSync
from lime_sites._setup import consumer_id

BASE = "https://lime.example/api/v1"
LOGIN = {
    "login_request_id": "login-1",
    "status": "PENDING",
    "expires_at": "2026-11-23T10:00:00Z",
    "site_id": "site-1",
    "a_field_of_a_newer_server": 7,
}
OK = {"ok": True, "data": LOGIN}


@pytest.fixture(params=[LimeSite, LimeSiteSync])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def _call(kind: Any, work: Any) -> Any:
    """Call `work(site)` and close the site, wherever it has to run."""

    async def in_loop() -> Any:
        async with LimeSite(site_token="st_secret", base_url=BASE) as site:
            return await work(site)

    def in_thread() -> Any:
        with LimeSiteSync(site_token="st_secret", base_url=BASE) as site:
            return work(site)

    return await (in_loop() if kind is LimeSite else asyncio.to_thread(in_thread))


async def test_a_login_is_asked_for(kind: Any, respx_mock: respx.MockRouter) -> None:
    route = respx_mock.post(f"{BASE}/modules/agent-login/requests").respond(201, json=OK)
    made = await _call(kind, lambda site: site.create_login_request())
    request = route.calls.last.request
    assert request.headers["x-site-token"] == "st_secret"
    assert request.headers["user-agent"].startswith("lime-sites-sdk/4.0.0 (python ")
    assert request.content == b"{}"
    assert made.request_id == "login-1"
    assert made.expires_at.isoformat() == "2026-11-23T10:00:00+00:00"
    assert made.site_id == "site-1"


async def test_a_redirect_url_is_sent_if_there_is_one(
    kind: Any, respx_mock: respx.MockRouter
) -> None:
    route = respx_mock.post(f"{BASE}/modules/agent-login/requests").respond(201, json=OK)
    await _call(kind, lambda site: site.create_login_request("https://shop.example/"))
    assert json.loads(route.calls.last.request.content) == {"redirect_url": "https://shop.example/"}


async def test_a_login_is_looked_at_with_and_without_waiting(
    kind: Any, respx_mock: respx.MockRouter
) -> None:
    route = respx_mock.get(url__startswith=f"{BASE}/modules/agent-login/requests/").respond(json=OK)
    await _call(kind, lambda site: site.get_login_request("login/1"))
    assert route.calls.last.request.url.raw_path.endswith(b"/requests/login%2F1")
    await _call(kind, lambda site: site.get_login_request("login-1", wait=25))
    assert route.calls.last.request.url.query == b"wait=25"


async def test_events_are_read_and_acknowledged(kind: Any, respx_mock: respx.MockRouter) -> None:
    frame = {"type": "denied", "login_request_id": "login-1"}
    events = respx_mock.get(f"{BASE}/modules/agent-login/events").mock(
        side_effect=[
            httpx.Response(
                200,
                headers={"content-type": "text/event-stream"},
                content=f"id: event-1\ndata: {json.dumps(frame)}\n\n".encode(),
            ),
            # The next visit would be another test.
            httpx.Response(401, json={"ok": False, "error": {"code": "SITE_TOKEN_INVALID"}}),
        ]
    )
    acks = respx_mock.post(f"{BASE}/modules/agent-login/events/ack")
    acks.respond(json={"ok": True, "data": {}})
    seen: list[Any] = []
    site = kind(site_token="st_secret", base_url=BASE, sse_backoff_base=0.001)
    site.on_error(lambda error: None)
    site.on_login(lambda *event: seen.append(event))
    while not acks.called:  # noqa: ASYNC110 - it happens in the mocked server
        await asyncio.sleep(0.001)
    await (site.aclose() if kind is LimeSite else asyncio.to_thread(site.close))
    request = events.calls[0].request
    assert dict(request.url.params) == {"consumer": consumer_id()}
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["x-site-token"] == "st_secret"
    assert json.loads(acks.calls.last.request.content) == {"ids": ["event-1"]}
    assert seen == [("login-1", None)]


async def test_the_token_does_not_go_along_for_the_keys(
    kind: Any, respx_mock: respx.MockRouter
) -> None:
    from lime_sites import InvalidPassportError

    route = respx_mock.get(f"{BASE}/core/.well-known/jwks.json").respond(json={"keys": []})
    with pytest.raises(InvalidPassportError):
        await _call(kind, lambda site: site.verify_passport("x.y.z", expected_request_id="1"))
    assert "x-site-token" not in route.calls.last.request.headers


async def test_an_answer_with_a_name_instead_of_a_time_is_refused(
    kind: Any, respx_mock: respx.MockRouter
) -> None:
    from lime_sites import ProtocolError

    bad = {"ok": True, "data": {**LOGIN, "expires_at": "2026-11-23T10:00:00"}}
    respx_mock.post(f"{BASE}/modules/agent-login/requests").respond(201, json=bad)
    with pytest.raises(ProtocolError, match="expires_at"):
        await _call(kind, lambda site: site.create_login_request())
