"""Protocol section 1, over the wire."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.contract.promises import promise
from tests.support.deployment import Deployment
from tests.support.server import ServeServer
from tests.support.tokens import parts
from tests.support.wire import Agent, Site, Wire, data, refusal

REQUESTS = "/modules/agent-login/requests"


@promise("conventions:api-base")
def test_the_same_path_outside_the_api_base_is_not_there(server: ServeServer, site: Site) -> None:
    for prefix in ("", "/api", "/api/v2"):
        answer = httpx.post(f"{server.public_url}{prefix}{REQUESTS}", json={}, headers=site.headers)
        assert refusal(answer)[0] == 404


@promise("conventions:public-url")
@pytest.mark.parametrize(
    "forged",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example;proto=https", "X-Forwarded-Prefix": "/evil"},
    ],
)
def test_a_forged_host_reaches_no_passport(
    wire: Wire, server: ServeServer, agent: Agent, site: Site, forged: dict[str, str]
) -> None:
    wire.http.headers.update(forged)
    try:
        passport = wire.passport(agent, site)
    finally:
        for name in forged:
            del wire.http.headers[name]
    assert parts(passport)[1]["iss"] == server.public_url


@promise("conventions:json")
def test_a_name_in_any_script_survives_as_utf_8(wire: Wire, deployment: Deployment) -> None:
    site = deployment.site(display_name="Лаймовый сад 🍋 — ライム")
    answer = wire.http.get("/foundation/sites/me", headers=site.headers)
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert data(answer)["display_name"] == "Лаймовый сад 🍋 — ライム"
    assert "Лаймовый сад 🍋 — ライム".encode() in answer.content or b"\\u" in answer.content


@promise("conventions:times")
def test_times_are_rfc_3339_in_utc_with_a_z(wire: Wire, agent: Agent, site: Site) -> None:
    created = data(wire.create(site), 201)
    request_id = created["login_request_id"]
    challenge = data(wire.challenge(request_id))
    approval = wire.approved(agent, request_id)
    view = data(wire.view(site, request_id))
    for body in (created, challenge, approval, view):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", body["expires_at"])
        assert abs(datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)) < timedelta(
            hours=1
        )


@promise("conventions:ids")
def test_ids_are_canonical_uuids(wire: Wire, agent: Agent, site: Site) -> None:
    created = data(wire.create(site), 201)
    approval = wire.approved(agent, created["login_request_id"])
    profile = data(wire.http.get("/core/agents/me/profile", headers=agent.headers))
    for each in (
        created["login_request_id"],
        created["site_id"],
        approval["request_id"],
        approval["site_id"],
        approval["approved_agent_id"],
        profile["agent_id"],
        profile["user_id"],
    ):
        assert str(uuid.UUID(each)) == each


@promise("conventions:success-envelope")
def test_every_success_has_the_envelope_and_nothing_beside_it(
    wire: Wire, agent: Agent, site: Site
) -> None:
    request_id = data(wire.create(site), 201)["login_request_id"]
    data(wire.approve(agent, request_id, wire.solved(request_id)))
    data(wire.view(site, request_id))
    data(wire.acknowledge(site))
    data(wire.deny(agent, wire.new_request(site)))
    data(wire.http.get("/core/agents/me/profile", headers=agent.headers))
    data(wire.http.get("/foundation/sites/me", headers=site.headers))


@promise("conventions:error-envelope")
def test_every_refusal_has_the_error_envelope(wire: Wire, agent: Agent, site: Site) -> None:
    def post(body: bytes, kind: str = "application/json") -> httpx.Response:
        return wire.http.post(
            REQUESTS, content=body, headers={**site.headers, "Content-Type": kind}
        )

    assert refusal(wire.http.get("/no/such/path"))[0] == 404
    assert refusal(wire.http.delete(REQUESTS, headers=site.headers))[0] == 405
    assert refusal(post(b"{"))[0] == 400
    assert refusal(post(b"\xff\xfe{}"))[0] == 400
    assert refusal(post(b"[]"))[0] == 400
    assert refusal(post(b'{"unheard_of": 1}'))[0] == 400
    assert refusal(post(b'{"redirect_url": 7}'))[0] == 400
    assert refusal(post(b'{"redirect_url": "' + b"x" * 200_000 + b'"}'))[0] == 413
    assert refusal(wire.create(Site("", "")))[0] == 401
    assert refusal(wire.approve(agent, wire.new_request(site), None))[0] == 400


@promise("conventions:spec-documents")
def test_the_key_set_has_no_envelope(wire: Wire) -> None:
    answer = wire.jwks()
    assert answer.status_code == 200
    assert set(answer.json()) == {"keys"}


def _one_of_everything(
    wire: Wire, server: ServeServer, site: Site, **headers: str
) -> list[httpx.Response]:
    return [
        wire.http.post(REQUESTS, json={}, headers={**site.headers, **headers}),
        wire.http.post(REQUESTS, json={}, headers=headers),
        wire.http.post(REQUESTS, content=b"{", headers={**site.headers, **headers}),
        wire.http.get("/no/such/path", headers=headers),
        wire.http.get("/auth/requests/not-an-id", headers=headers),
        wire.http.delete(REQUESTS, headers=headers),
        wire.jwks(**headers),
        *(
            wire.http.get(f"{server.public_url}{path}", headers=headers)
            for path in ("/health/live", "/health/ready", "/metrics")
        ),
    ]


@promise("conventions:request-id:made")
def test_every_response_carries_its_own_request_id(
    wire: Wire, server: ServeServer, site: Site
) -> None:
    answers = _one_of_everything(wire, server, site)
    with wire.events(site) as stream:
        found = [answer.headers["x-request-id"] for answer in answers] + [
            stream.headers["x-request-id"]
        ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{8,}", each) for each in found)
    assert len(set(found)) == len(found)


@promise("conventions:request-id:accepted")
def test_a_sane_request_id_comes_back(wire: Wire, server: ServeServer, site: Site) -> None:
    for answer in _one_of_everything(wire, server, site, **{"X-Request-Id": "trace-0042.a_b"}):
        assert answer.headers["x-request-id"] == "trace-0042.a_b"


@promise("conventions:request-id:replaced")
@pytest.mark.parametrize("insane", ["", "a b", 'x"y', "<script>", "é", "x" * 1000, "a\tb", "{}"])
def test_an_insane_request_id_is_replaced(wire: Wire, insane: str) -> None:
    answer = wire.http.get("/no/such/path", headers=[(b"X-Request-Id", insane.encode())])
    assert refusal(answer)[0] == 404
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] != insane


@promise("conventions:rate-limit")
def test_too_many_requests_are_told_when_to_come_back(
    deployment: Deployment, site: Site, agent: Agent
) -> None:
    with (
        deployment.server("limited", LIME_RATE_PER_TOKEN="0.1:3") as limited,
        Wire(limited.api_base) as wire,
    ):
        answers = [wire.create(site) for _ in range(5)]
        assert [answer.status_code for answer in answers[:3]] == [201] * 3
        for answer in answers[3:]:
            assert refusal(answer) == (429, "RATE_LIMIT_EXCEEDED")
            assert re.fullmatch(r"[1-9]\d*", answer.headers["retry-after"])
            assert int(answer.headers["retry-after"]) <= 30
        # One caller's haste is not another's.
        data(wire.http.get("/core/agents/me/profile", headers=agent.headers))


@promise("conventions:idempotency:same")
def test_the_same_key_and_body_gives_the_first_answer(wire: Wire, site: Site) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"redirect_url": "https://shop.example/back"}
    first = wire.create(site, body, **key)
    again = wire.create(site, body, **key)
    assert data(first, 201) == data(again, 201)
    assert data(wire.create(site, body), 201) != data(first, 201)


@promise("conventions:idempotency:at-once")
async def test_ten_equal_requests_at_once_make_one_login_request(
    server: ServeServer, site: Site
) -> None:
    headers = {**site.headers, "Idempotency-Key": str(uuid.uuid4())}
    async with httpx.AsyncClient(base_url=server.api_base, timeout=20) as http:
        answers = await asyncio.gather(
            *(http.post(REQUESTS, json={}, headers=headers) for _ in range(10))
        )
        # Whoever did not get to wait is told to come back, and finds the answer then.
        late = [
            await http.post(REQUESTS, json={}, headers=headers)
            for answer in answers
            if answer.status_code == 409
        ]
    made = {
        data(each, 201)["login_request_id"] for each in [*answers, *late] if each.status_code != 409
    }
    assert len(made) == 1
    assert all("retry-after" in each.headers for each in answers if each.status_code == 409)


@promise("conventions:idempotency:other")
def test_the_same_key_with_another_body_is_refused(wire: Wire, site: Site) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    data(wire.create(site, {}, **key), 201)
    answer = wire.create(site, {"redirect_url": "https://shop.example/back"}, **key)
    assert refusal(answer) == (409, "IDEMPOTENCY_KEY_REUSED")


@promise("conventions:idempotency:scope")
def test_a_key_means_nothing_for_another_caller(wire: Wire, site: Site, other_site: Site) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    mine = data(wire.create(site, {}, **key), 201)
    theirs = data(wire.create(other_site, {}, **key), 201)
    assert mine["login_request_id"] != theirs["login_request_id"]
    assert theirs["site_id"] == other_site.site_id
