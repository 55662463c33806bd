"""Protocol section 3, the long-poll twin of the stream."""

import threading
from collections.abc import Callable
from datetime import datetime

import httpx
import pytest

from tests.contract.promises import promise
from tests.support.tokens import parts, read
from tests.support.wire import Agent, Site, Wire, data, refusal


def _while_waiting(
    wire: Wire, site: Site, request_id: str, act: Callable[[], object]
) -> httpx.Response:
    """The answer of a long poll that was under way, as far as a client can tell, when `act` happened."""
    found: list[httpx.Response] = []
    sent = threading.Event()
    url = f"{wire.api_base}/modules/agent-login/requests/{request_id}"

    def wait() -> None:
        with httpx.Client(timeout=40, event_hooks={"request": [lambda _: sent.set()]}) as http:
            found.append(http.get(url, params={"wait": 30}, headers=site.headers))

    waiting = threading.Thread(target=wait)
    waiting.start()
    sent.wait()
    act()
    waiting.join()
    return found[0]


@promise("site-login:wait:approved")
def test_a_long_poll_ends_with_the_passport(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    found = data(_while_waiting(wire, site, request_id, lambda: wire.approved(agent, request_id)))
    assert found["status"] == "APPROVED"
    assert read(found["agent_passport_jwt"], wire.jwks().json())["request_id"] == request_id
    # It is the twin of the stream's event: the same event, so the same jti.
    with wire.events(site) as stream:
        assert stream.of(request_id).id == parts(found["agent_passport_jwt"])[1]["jti"]


@promise("site-login:wait:denied")
def test_a_long_poll_ends_with_the_denial(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    found = data(_while_waiting(wire, site, request_id, lambda: data(wire.deny(agent, request_id))))
    assert found["status"] == "DENIED"
    assert found.get("agent_passport_jwt") is None


@promise("site-login:wait:expired")
def test_a_long_poll_ends_with_the_expiry(hasty_wire: Wire, site: Site) -> None:
    created = data(hasty_wire.create(site), 201)
    found = data(hasty_wire.view(site, created["login_request_id"], wait=15))
    assert found["status"] == "EXPIRED"
    assert found.get("agent_passport_jwt") is None
    assert datetime.fromisoformat(found["expires_at"]) == datetime.fromisoformat(
        created["expires_at"]
    )


@promise("site-login:wait:pending")
def test_a_long_poll_ends_with_its_seconds(wire: Wire, site: Site) -> None:
    found = data(wire.view(site, wire.new_request(site), wait=1))
    assert found["status"] == "PENDING"
    assert found.get("agent_passport_jwt") is None


@promise("site-login:wait:limit")
@pytest.mark.parametrize("wait", ["31", "-1", "x", "1e9", "nan", "inf"])
def test_a_long_poll_has_a_limit(wire: Wire, site: Site, wait: str) -> None:
    assert refusal(wire.view(site, wire.new_request(site), wait=wait))[0] == 400
