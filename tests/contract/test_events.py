"""Protocol section 5, frames: what travels on a site's event stream, to the byte."""

import json
import re
import threading
import time

import lime_sites
from tests.contract.promises import promise
from tests.support.deployment import Deployment
from tests.support.stub import Says, Stub
from tests.support.wire import Agent, Site, Wire, data, refusal


@promise("events:media-type")
def test_a_stream_is_an_event_stream_that_nobody_caches(wire: Wire, site: Site) -> None:
    with wire.events(site) as stream:
        assert stream.headers["content-type"].split(";")[0] == "text/event-stream"
        assert (
            "no-store" in stream.headers["cache-control"]
            or "no-cache" in stream.headers["cache-control"]
        )


@promise("events:frame")
def test_a_frame_is_one_data_line_with_one_object(
    brisk_wire: Wire, agent: Agent, site: Site
) -> None:
    with brisk_wire.events(site) as stream:
        approved = stream.of(brisk_wire.login(agent, site))
        denied_id = brisk_wire.new_request(site)
        brisk_wire.deny(agent, denied_id)
        denied = stream.of(denied_id)
        stream.until_heartbeats(1)
        heartbeat = stream.seen[-1]
    for frame in (approved, denied, heartbeat):
        # `Frame.parse` has refused CR, several data lines and anything but an object; the rest is seen here.
        assert re.fullmatch(
            rb"(id: ?[^\n]+\n)?(event: ?[^\n]+\n)?(id: ?[^\n]+\n)?data: ?\{[^\n]*\}\n", frame.raw
        )
    assert approved.id
    assert denied.id
    assert heartbeat.id is None


@promise("events:refused")
def test_without_a_good_token_there_is_no_stream(wire: Wire, agent: Agent) -> None:
    for headers, code in (
        ({}, "SITE_TOKEN_MISSING"),
        ({"X-Site-Token": f"st_{'A' * 43}"}, "SITE_TOKEN_INVALID"),
        (agent.headers, "SITE_TOKEN_MISSING"),
    ):
        answer = wire.http.get(
            "/modules/agent-login/events", headers={"Accept": "text/event-stream", **headers}
        )
        assert answer.headers["content-type"].split(";")[0] == "application/json"
        assert refusal(answer) == (401, code)


@promise("events:approved")
def test_approved_carries_the_passport(wire: Wire, agent: Agent, site: Site) -> None:
    with wire.events(site) as stream:
        plain = stream.of(wire.login(agent, site))
        back = stream.of(wire.login(agent, site, redirect_url="https://shop.example/"))
    assert set(plain.body) == {"type", "login_request_id", "agent_passport_jwt"}
    assert set(back.body) == {"type", "login_request_id", "agent_passport_jwt", "redirect_url"}
    assert plain.type == "approved"


@promise("events:expired")
def test_expired_says_that_nobody_came(hasty_wire: Wire, site: Site) -> None:
    with hasty_wire.events(site) as stream:
        request_id = hasty_wire.new_request(site)
        assert stream.of(request_id).body == {"type": "expired", "login_request_id": request_id}


@promise("events:denied")
def test_denied_says_which_login(wire: Wire, agent: Agent, site: Site) -> None:
    with wire.events(site) as stream:
        request_id = wire.new_request(site)
        data(wire.deny(agent, request_id))
        assert stream.of(request_id).body == {"type": "denied", "login_request_id": request_id}


@promise("events:keepalive")
def test_keepalives_come_while_nothing_happens(brisk_wire: Wire, site: Site) -> None:
    with brisk_wire.events(site) as stream:
        assert [stream.next().body for _ in range(4)] == [{"type": "keepalive"}] * 4


@promise("events:error")
def test_a_stream_says_why_it_ends(brisk_wire: Wire, deployment: Deployment) -> None:
    site = deployment.site()
    with brisk_wire.events(site) as stream:
        deployment.suspend(site)
        error = stream.event()
        assert error.type == "error"
        assert error.body["code"] == "SITE_SUSPENDED"
        assert error.body["message"]
        assert stream.until_end() == []


@promise("events:goaway")
def test_a_shutdown_says_goaway_and_is_prompt(
    deployment: Deployment, site: Site, other_site: Site
) -> None:
    server = deployment.server("leaving")
    with (
        server,
        Wire(server.api_base) as wire,
        wire.events(site) as one,
        wire.events(other_site) as two,
    ):
        wire.create(site)
        begin = time.monotonic()
        server.terminate()
        for stream in (one, two):
            assert [frame.body for frame in stream.until_end()][-1] == {"type": "goaway"}
        assert server.wait() == 0
        # Without draining, servers of this kind wait for open streams: 20 s and more. An order of magnitude, no timing.
        assert time.monotonic() - begin < 5


@promise("events:unknown-type")
def test_a_client_ignores_what_it_does_not_know() -> None:
    request_id = "3b0d9a1e-5f47-4d0e-9d5b-0a4c1a8f2f10"
    known = {"type": "expired", "login_request_id": request_id}
    frames = [
        {"type": "weather", "login_request_id": request_id, "agent_passport_jwt": "a.b.c"},
        {"type": "keepalive"},
        {"type": None},
        {"no": "type"},
        known,
    ]
    text = [f"id: {number}\ndata: {json.dumps(frame)}\n\n" for number, frame in enumerate(frames)]
    path = "/modules/agent-login/events"
    stub = Stub(
        {
            ("GET", path): lambda _: Says(frames=text),
            ("POST", f"{path}/ack"): lambda _: Says({"ok": True, "data": {"acknowledged": 1}}),
        }
    )
    heard: list[tuple[str, str | None]] = []
    done = threading.Event()
    with stub, lime_sites.LimeSiteSync(site_token=f"st_{'A' * 43}", base_url=stub.api_base) as site:

        @site.on_login
        def handle(request_id: str, passport: str | None) -> None:
            heard.append((request_id, passport))
            done.set()

        assert done.wait(20)
        stub.closing.set()
    assert heard == [(request_id, None)]


@promise("events:life")
def test_a_stream_ends_after_its_life_and_another_takes_over(
    deployment: Deployment, agent: Agent, site: Site
) -> None:
    server = deployment.server(
        "short-lived", LIME_STREAM_LIFETIME="0.5", LIME_KEEPALIVE_INTERVAL="0.2"
    )
    with server, Wire(server.api_base) as wire:
        with wire.events(site) as stream:
            ends = stream.until_end()
        assert {frame.type for frame in ends} <= {"keepalive", "goaway"}
        request_id = wire.login(agent, site)
        with wire.events(site) as stream:
            assert stream.of(request_id).type == "approved"
