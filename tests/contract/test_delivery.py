"""Protocol section 5, delivery: at least once, whatever is killed, and to the right site only."""

import time
from datetime import UTC, datetime

import pytest

from tests.contract.promises import promise
from tests.support.deployment import Deployment, eventually
from tests.support.events import Frame
from tests.support.relay import Relay
from tests.support.server import ServeServer
from tests.support.tokens import parts, read
from tests.support.wire import Agent, Site, Wire, data


@promise("delivery:again")
@pytest.mark.parametrize("consumer", [None, "worker-1"])
def test_what_was_not_acknowledged_is_sent_again(
    brisk_wire: Wire, agent: Agent, site: Site, consumer: str | None
) -> None:
    request_id = brisk_wire.login(agent, site)
    # To a stream that goes away at once, and to the one that follows it.
    for _ in range(2):
        with brisk_wire.events(site, consumer=consumer) as stream:
            assert stream.of(request_id).type == "approved"


@promise("delivery:acknowledged")
@pytest.mark.parametrize("consumer", [None, "worker-1"])
def test_what_was_acknowledged_is_not_sent_again(
    brisk_wire: Wire, agent: Agent, site: Site, consumer: str | None
) -> None:
    request_id = brisk_wire.login(agent, site)
    with brisk_wire.events(site, consumer=consumer) as stream:
        data(brisk_wire.acknowledge(site, stream.of(request_id).id or ""))
        assert _about(request_id, stream.until_heartbeats(5)) == []
    with brisk_wire.events(site, consumer=consumer) as stream:
        assert _about(request_id, stream.until_heartbeats(3)) == []


def _about(request_id: str, frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.body.get("login_request_id") == request_id]


@promise("delivery:acknowledge:foreign")
def test_another_sites_acknowledgement_changes_nothing(
    brisk_wire: Wire, agent: Agent, site: Site, other_site: Site
) -> None:
    request_id = brisk_wire.login(agent, site)
    with brisk_wire.events(site) as stream:
        event_id = stream.of(request_id).id or ""
    foreign = brisk_wire.acknowledge(other_site, event_id)
    unknown = brisk_wire.acknowledge(other_site, "00000000-0000-4000-8000-000000000000")
    assert data(foreign) == data(unknown), "what is there must not be told from what is not"
    assert data(brisk_wire.view(site, request_id))["status"] == "APPROVED"
    with brisk_wire.events(site) as stream:
        assert stream.of(request_id).id == event_id


@promise("delivery:acknowledge:repeated")
def test_acknowledging_twice_is_no_error(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.login(agent, site)
    with wire.events(site) as stream:
        event_id = stream.of(request_id).id or ""
    for _ in range(2):
        data(wire.acknowledge(site, event_id))
    data(
        wire.acknowledge(
            site, event_id, event_id, "never-was", "00000000-0000-4000-8000-000000000000"
        )
    )
    assert data(wire.view(site, request_id))["status"] == "DELIVERED"


@promise("delivery:window")
def test_after_the_window_nothing_is_sent(deployment: Deployment, agent: Agent, site: Site) -> None:
    settings = {
        "LIME_DELIVERY_WINDOW": "4",
        "LIME_DELIVERY_LEASE": "0.5",
        "LIME_POLL_INTERVAL": "0.1",
        "LIME_KEEPALIVE_INTERVAL": "0.2",
    }
    with deployment.server("forgetful", **settings) as server, Wire(server.api_base) as wire:
        with wire.events(site, consumer="worker-1") as stream:
            request_id = wire.login(agent, site)
            assert stream.of(request_id).type == "approved"
            # Heartbeats are the clock: 30 of 0.2 s outlast the window, on a slow machine even more.
            again = _about(request_id, stream.until_heartbeats(30))
        assert again, "inside the window it is sent again and again"
        for consumer in ("worker-2", None):
            with wire.events(site, consumer=consumer) as stream:
                assert _about(request_id, stream.until_heartbeats(3)) == []
        assert data(wire.view(site, request_id)).get("agent_passport_jwt") is None


@promise("delivery:late-site", "delivery:minted-when-sent")
def test_a_late_site_gets_a_fresh_passport(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.login(agent, site)
    with wire.events(site) as stream:
        first = parts(stream.of(request_id).body["agent_passport_jwt"])[1]
    # Tokens count whole seconds, by the server's clock, which is not quite ours: another one begins
    # before the site comes back.
    while time.time() < first["iat"] + 2:
        data(wire.view(site, request_id))
    asked = int(datetime.now(UTC).timestamp())
    with wire.events(site) as stream:
        second = parts(stream.of(request_id).body["agent_passport_jwt"])[1]
    assert second["iat"] >= asked - 1 > first["iat"]
    assert second["exp"] - second["iat"] == first["exp"] - first["iat"]
    assert second["jti"] == first["jti"]


@promise("delivery:event-id")
def test_a_handler_can_tell_a_repeat(brisk_wire: Wire, agent: Agent, site: Site) -> None:
    request_id = brisk_wire.login(agent, site)
    seen = []
    for _ in range(3):
        with brisk_wire.events(site) as stream:
            frame = stream.of(request_id)
        seen.append((frame.id, parts(frame.body["agent_passport_jwt"])[1]["jti"]))
    assert len({each for pair in seen for each in pair}) == 1
    other = brisk_wire.login(agent, site)
    with brisk_wire.events(site) as stream:
        assert stream.of(other).id != seen[0][0]


@promise("delivery:silent-client")
def test_a_client_that_never_acknowledges_is_believed_after_a_heartbeat(
    brisk_wire: Wire, agent: Agent, site: Site
) -> None:
    request_id = brisk_wire.login(agent, site)
    with brisk_wire.events(site) as stream:
        stream.of(request_id)
        for _ in range(100):
            stream.until_heartbeats(1)
            if data(brisk_wire.view(site, request_id))["status"] == "DELIVERED":
                break
        assert data(brisk_wire.view(site, request_id))["status"] == "DELIVERED"
        # And it did not get it twice for its silence.
        assert len(_about(request_id, stream.seen)) == 1


@promise("delivery:consumers")
def test_two_workers_share_the_logins_of_their_site(wire: Wire, agent: Agent, site: Site) -> None:
    with wire.events(site, consumer="one") as one, wire.events(site, consumer="two") as two:
        logins = {wire.login(agent, site) for _ in range(12)}
        last = wire.login(agent, site)
        got: dict[str, list[str]] = {"one": [], "two": []}
        while sum(map(len, got.values())) < 13:
            for name, stream in (("one", one), ("two", two)):
                try:
                    frame = stream.event(timeout=0.1)
                except TimeoutError:
                    continue
                got[name].append(frame.request_id)
                data(wire.acknowledge(site, frame.id or ""))
        assert sorted(got["one"] + got["two"]) == sorted(logins | {last})


@promise("delivery:consumer-gone")
def test_what_a_worker_took_to_its_grave_goes_to_another(
    brisk_wire: Wire, agent: Agent, site: Site
) -> None:
    with brisk_wire.events(site, consumer="one") as one:
        request_id = brisk_wire.login(agent, site)
        lost = one.of(request_id)
    with brisk_wire.events(site, consumer="two") as two:
        found = two.of(request_id)
    assert found.id == lost.id


@promise("delivery:broadcast")
def test_without_a_consumer_every_stream_sees_everything(
    wire: Wire, agent: Agent, site: Site
) -> None:
    with wire.events(site) as one, wire.events(site) as two:
        for _ in range(3):
            request_id = wire.login(agent, site)
            frame = one.of(request_id)
            # Acknowledged by one, and still on its way to the other.
            data(wire.acknowledge(site, frame.id or ""))
            assert two.of(request_id).id == frame.id


@promise("delivery:isolation")
def test_a_site_never_sees_anothers_events(
    wire: Wire, agent: Agent, site: Site, other_site: Site
) -> None:
    with (
        wire.events(site) as mine,
        wire.events(other_site) as theirs,
        wire.events(other_site, consumer="x") as shared,
    ):
        ours = [wire.login(agent, site) for _ in range(3)]
        marker = wire.login(agent, other_site)
        for stream in (theirs, shared):
            assert stream.event().request_id == marker
        assert [mine.event().request_id for _ in ours] == ours


@promise("delivery:switched-off-meanwhile")
def test_no_passport_for_an_agent_that_was_switched_off(
    wire: Wire, deployment: Deployment, other_agent: Agent, site: Site
) -> None:
    agent = deployment.agent()
    request_id = wire.login(agent, site)
    deployment.switch_off(agent)
    marker = wire.login(other_agent, site)
    with wire.events(site) as stream:
        stream.of(marker)
        assert not [f for f in _about(request_id, stream.seen) if f.type == "approved"]
    assert data(wire.view(site, request_id)).get("agent_passport_jwt") is None


@promise("delivery:killed-server")
@pytest.mark.parametrize("connected", [False, True], ids=["nobody listening", "a stream open"])
def test_a_server_killed_after_the_approval_loses_nothing(
    deployment: Deployment, agent: Agent, site: Site, connected: bool
) -> None:
    # Its heartbeat is long, so that nothing but the start of a stream can bring the event.
    server = deployment.server("doomed", LIME_KEEPALIVE_INTERVAL="30", LIME_DELIVERY_LEASE="1")
    with server, Wire(server.api_base) as wire:
        if connected:
            with wire.events(site):
                request_id = wire.login(agent, site)
                server.kill()
        else:
            request_id = wire.login(agent, site)
            server.kill()
        server.start()
        with wire.events(site) as stream:
            frame = stream.of(request_id)
        assert (
            read(frame.body["agent_passport_jwt"], wire.jwks().json())["request_id"] == request_id
        )


@promise("delivery:deaf-redis")
def test_without_redis_logins_complete_and_readiness_says_degraded(
    deployment: Deployment, agent: Agent, site: Site
) -> None:
    with Relay(deployment.redis_address) as relay:
        server = deployment.server(
            "deaf", LIME_REDIS_URL=deployment.redis_through(relay), LIME_KEEPALIVE_INTERVAL="30"
        )
        with server, Wire(server.api_base) as wire, wire.events(site) as stream:
            assert _readiness(wire, server) == (200, "ok")
            relay.cut()
            for _ in range(3):
                request_id = wire.login(agent, site)
                frame = stream.of(request_id)
                data(wire.acknowledge(site, frame.id or ""))
                assert data(wire.view(site, request_id))["status"] == "DELIVERED"
            eventually(lambda: _readiness(wire, server) == (200, "degraded"))
            relay.mend()
            eventually(lambda: _readiness(wire, server) == (200, "ok"))
            assert stream.of(wire.login(agent, site)).type == "approved"


def _readiness(wire: Wire, server: ServeServer) -> tuple[int, str]:
    answer = wire.http.get(f"{server.public_url}/health/ready")
    return answer.status_code, answer.json()["status"]
