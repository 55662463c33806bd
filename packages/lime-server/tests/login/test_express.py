"""The shorter way answers what the route answers, to the byte.

A query keeps a request off the shorter way, and the routes here ignore it: so everything can be
asked both ways.
"""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lime_server.modules.express import Call, ExpressRoute, Reply

REQUESTS = "/modules/agent-login/requests"
ACK = "/modules/agent-login/events/ack"
UNKNOWN = "0190a2b4-0000-7000-8000-000000000000"
LONG_WAY = "?way=long"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"

IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
CHALLENGE = re.compile(r'"pow_challenge":"[A-Za-z0-9_-]{43}"')

BODIES = [
    b"",
    b"{}",
    b" {} ",
    b"null",
    b"[]",
    b"{",
    b"\xff",
    b'{"unknown":1}',
    b'{"redirect_url":null}',
    b'{"redirect_url":"https://shop.example/in"}',
    b'{"redirect_url":"javascript:alert(1)"}',
    b'{"redirect_url":5}',
    b'{"redirect_url":"https://shop.example/in","redirect_url":"https://shop.example/in"}',
    b'{"redirect_url":"https://shop.example/' + b"x" * 3000 + b'"}',
    b'{"pow_nonce":""}',
    b'{"pow_nonce":null}',
    b'{"pow_nonce":5}',
    b'{"pow_nonce":"wrong"}',
    b'{"pow_nonce":"\\ud800"}',
    b'{"pow_nonce":NaN}',
    b'{"ids":[]}',
    b'{"ids":["x","0190a2b4-0000-7000-8000-000000000000"]}',
    b'{"ids":[5]}',
    b'{"ids":"x"}',
    b'{"ids":["' + b"x" * 65 + b'"]}',
    json.dumps({"ids": ["x"] * 1001}).encode(),
]
TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON",
    "text/plain",
    None,
]


def told(response):
    """What a caller sees, without what differs from one request to the next."""
    text = CHALLENGE.sub('"pow_challenge":"…"', IDS.sub("…", response.text))
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in {"x-request-id", "content-length"}
    }
    return response.status_code, headers, text


async def both_ways(api, method, path, **request):
    """The answers by the shorter way and by the longer one."""
    return [told(await api.client.request(method, path + way, **request)) for way in ("", LONG_WAY)]


@pytest.fixture
def tokens(api):
    """Everything that may stand where a credential belongs."""
    right = {**api.agent, **api.site}
    wrong = {"X-Agent-Token": "at_" + "x" * 43, "X-Site-Token": "st_" + "x" * 43}
    other = {
        "X-Agent-Token": api.site["X-Site-Token"],
        "X-Site-Token": api.agent["X-Agent-Token"],
    }
    passport = dict.fromkeys(right, JWT)
    return {"right": right, "none": {}, "wrong": wrong, "the other kind": other, "a JWT": passport}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.decode("latin-1")[:40])
@pytest.mark.parametrize("kind", TYPES)
async def test_every_body_is_answered_alike(api, small_world, body, kind):
    pending = await small_world.request()
    headers = {**api.agent, **api.site}
    if kind is not None:
        headers["Content-Type"] = kind
    for path in (REQUESTS, f"{REQUESTS}/{pending}/approve", ACK):
        short, long = await both_ways(api, "POST", path, content=body, headers=headers)
        assert short == long, path


@pytest.mark.parametrize("first", ["text/plain", "application/json"])
async def test_of_two_types_the_first_counts(api, first):
    second = "application/json" if first == "text/plain" else "text/plain"
    headers = [*api.site.items(), ("Content-Type", first), ("Content-Type", second)]
    twice = b'{"redirect_url":null,"redirect_url":"https://shop.example/in"}'
    for body in (b"{}", twice):
        short, long = await both_ways(api, "POST", REQUESTS, content=body, headers=headers)
        assert short == long
        assert short[0] == (201 if first == "application/json" and body == b"{}" else 400)


@pytest.mark.parametrize("who", ["right", "none", "wrong", "the other kind", "a JWT"])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"pow_nonce":"1"}', b'{"ids":[]}', b"{"])
async def test_every_credential_is_answered_alike(api, small_world, tokens, who, body):
    pending = await small_world.request()
    headers = {**tokens[who], "Content-Type": "application/json"}
    for path in (REQUESTS, f"{REQUESTS}/{pending}/approve", ACK):
        short, long = await both_ways(api, "POST", path, content=body, headers=headers)
        assert short == long, path


@pytest.mark.parametrize(
    "request_id", [UNKNOWN, "x", "", "a/b", "..%2F..%2Fcore", "%00", "a" * 1000, "%F0%9F%98%80"]
)
async def test_every_id_is_answered_alike(api, request_id):
    for method, path in (
        ("GET", f"/auth/requests/{request_id}"),
        ("HEAD", f"/auth/requests/{request_id}"),
        ("POST", f"/auth/requests/{request_id}"),
        ("POST", f"{REQUESTS}/{request_id}/approve"),
        ("POST", f"{REQUESTS}/{request_id}/approve/"),
        ("PUT", f"{REQUESTS}/{request_id}/approve"),
    ):
        short, long = await both_ways(api, method, path, headers=api.agent)
        assert short == long, (method, path)


async def test_a_login_is_answered_alike_in_every_state(api, small_world):
    world = small_world
    for spelling in (str.lower, str.upper):
        answers = []
        for way in ("", LONG_WAY):
            created = await api.post(REQUESTS + way, headers=api.site, json={})
            request_id = spelling(created.json()["data"]["login_request_id"])
            look, approve = f"/auth/requests/{request_id}", f"{REQUESTS}/{request_id}/approve"
            nonce = {"pow_nonce": await world.solved(request_id)}
            answers.append(
                [
                    told(created),
                    told(await api.get(look + way)),
                    told(await api.post(approve + way, headers=api.agent, json=nonce)),
                    told(await api.post(approve + way, headers=api.agent, json=nonce)),
                    told(await api.get(look + way)),
                    told(await api.post(ACK + way, headers=api.site, json={"ids": [request_id]})),
                    told(await api.post(approve + way, headers=api.agent, json=nonce)),
                ]
            )
        short, long = answers
        assert short == long
        assert [status for status, _, _ in short] == [201, 200, 200, 200, 404, 200, 200]
        assert '"DELIVERED"' in short[-1][2]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(st.sampled_from(["redirect_url", "pow_nonce", "ids", "x"]), json_values)
    | json_values
)
async def test_any_json_is_answered_alike(api, body):
    for path in (REQUESTS, f"{REQUESTS}/{UNKNOWN}/approve", ACK):
        headers = {**api.agent, **api.site}
        short, long = await both_ways(api, "POST", path, json=body, headers=headers)
        assert short == long, path


async def test_metrics_call_a_request_the_same_either_way(api, small_world):
    pending = await small_world.request()
    for way in ("", LONG_WAY):
        await api.get(f"/auth/requests/{pending}{way}")
    text = (await api.client.get("https://lime.example/metrics")).text
    counted = re.findall(r'request_seconds_count\{method="GET",route="([^"]+)"', text)
    assert counted == ["/auth/requests/{request_id}"]


def test_a_reply_and_a_route_are_values():
    async def answer(_call):
        return Reply(200, b"{}")

    assert ExpressRoute("GET", "/x", answer) == ExpressRoute("GET", "/x", answer)
    assert Call([], "", b"").header(b"x") is None
