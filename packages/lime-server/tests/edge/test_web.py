"""The edge of an application, from the outside and layer by layer."""

import asyncio
import io
import json
from ipaddress import ip_network

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse

from lime_server.core.errors import NotFound, RateLimited, Unavailable
from lime_server.core.keyring import KeyRing, Keys
from lime_server.core.keys import Rules
from lime_server.core.ports import Limit
from lime_server.infrastructure.memory.answers import MemoryAnswers
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.keys import MemoryKeys
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.web.asgi import FULL
from lime_server.infrastructure.web.body import MOST_VALUES, Bodies, check_json
from lime_server.infrastructure.web.clients import client_address, login_request_id
from lime_server.infrastructure.web.edge import Edge, install
from lime_server.infrastructure.web.errors import Errors
from lime_server.infrastructure.web.limits import RateLimits
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.web.trace import Trace
from lime_server.logging import configure
from lime_server.settings import PRIVATE_NETWORKS, Settings
from tests.support.logs import lent_logging

JWKS = "/api/v1/core/.well-known/jwks.json"


PROXY = ip_network("10.0.0.7")


class Probe:
    """An engine that is there, or not."""

    def __init__(self) -> None:
        self.up = True

    async def ready(self) -> bool:
        return self.up


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


@pytest.fixture
async def ring(clock, maker, parse):
    store = MemoryKeys()
    keys = Keys(store, maker, clock=clock, rules=Rules(), bell=MemoryBell())
    ring = KeyRing(store, keys, parse=parse, clock=clock, rules=Rules())
    await ring.open()
    return ring


@pytest.fixture
def make_edge(ring, clock, derived):
    def make(**changes):
        common = {
            "ring": ring,
            "clock": clock,
            "tokens": derived.tokens,
            "counter": MemoryLimiter(lambda: 0.0),
            "limits": RateLimits(None, None, None),
            "watchers": PRIVATE_NETWORKS,
            "answers": MemoryAnswers(),
            "vital": {"postgres": Probe()},
        }
        return Edge(**{**common, **changes})

    return make


def application(edge):
    app = FastAPI()

    @app.get("/things/{name}")
    async def read(name: str):
        return {"name": name}

    @app.post("/things")
    async def write(body: Body):
        return body

    @app.get("/fail/{how}")
    async def fail(how: str):
        raise {
            "domain": NotFound("No such thing.", detail={"id": 1}),
            "later": Unavailable(retry_after=3),
            "http": HTTPException(400, "secret"),
            "teapot": HTTPException(418, "secret", headers={"X-Tea": "green"}),
            "bug": RuntimeError("at_" + "s" * 43),
        }[how]

    @app.get("/cut/{how}")
    async def cut(how: str):
        async def body():
            yield b"begun"
            raise {"domain": NotFound(), "bug": RuntimeError("oops")}[how]

        return StreamingResponse(body())

    install(app, edge)
    return app


@pytest.fixture
def edge(make_edge):
    return make_edge()


@pytest.fixture
async def client(edge):
    async with http(application(edge)) as client:
        yield client


def http(app, **options):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, **options)
    return httpx.AsyncClient(transport=transport, base_url="http://lime.example")


# Every answer


@pytest.mark.parametrize("path", ["/things/1", "/nowhere", "/fail/bug", "/fail/domain", JWKS])
async def test_every_answer_names_its_request_and_is_safe_to_show(client, path):
    answer = await client.get(path)
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers


async def test_nothing_is_cached_unless_it_says_so(client):
    assert (await client.get("/things/1")).headers["cache-control"] == "no-store"
    assert (await client.get(JWKS)).headers["cache-control"] == "public, max-age=300"


async def test_a_sane_request_id_of_the_caller_is_kept(client):
    given = {"X-Request-Id": "trace-1234.ab_C"}
    assert (await client.get("/things/1", headers=given)).headers["x-request-id"] == given[
        "X-Request-Id"
    ]


@pytest.mark.parametrize("given", ["", "short", "a" * 129, "white space here", "läßt-sich-nicht"])
async def test_any_other_request_id_is_replaced(client, given):
    headers = [(b"x-request-id", given.encode("latin-1"))]
    answer = await client.get("/things/1", headers=headers)
    assert len(answer.headers["x-request-id"]) == 32


async def test_a_server_behind_https_insists_on_it(make_edge):
    async with http(application(make_edge(secure=True))) as client:
        answer = await client.get("/things/1")
    assert answer.headers["strict-transport-security"] == "max-age=63072000"


async def test_pages_may_load_what_they_need(client):
    answer = await client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "content-security-policy" not in answer.headers


# Errors


async def test_domain_errors_are_envelopes(client):
    answer = await client.get("/fail/domain")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "ok": False,
        "error": {"code": "NOT_FOUND", "message": "No such thing.", "detail": {"id": 1}},
    }


async def test_an_error_that_passes_says_when(client):
    answer = await client.get("/fail/later")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


async def test_an_unknown_error_says_nothing_outside_and_everything_inside(client):
    stream = io.StringIO()
    with lent_logging():
        configure(stream=stream)
        answer = await client.get("/fail/bug")
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "code": "INTERNAL_ERROR",
        "message": "Something went wrong here.",
    }
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (failure,) = [line for line in lines if line["event"] == "unexpected error"]
    assert "RuntimeError" in failure["exception"]
    assert "sss" not in stream.getvalue()
    assert failure["request_id"] == answer.headers["x-request-id"]
    (access,) = [line for line in lines if line["event"] == "request"]
    assert (access["route"], access["status"]) == ("/fail/{how}", 500)
    assert access["request_id"] == answer.headers["x-request-id"]
    assert access["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("DELETE", "/things/1", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/fail/http", 400, "INVALID_REQUEST"),
        ("GET", "/fail/teapot", 418, "I_M_A_TEAPOT"),
    ],
)
async def test_errors_of_the_framework_are_envelopes_too(client, method, path, status, code):
    answer = await client.request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert "secret" not in answer.text


async def test_headers_of_such_errors_are_kept(client):
    assert (await client.get("/fail/teapot")).headers["x-tea"] == "green"
    assert (await client.delete("/things/1")).headers["allow"] == "GET"


async def test_an_invalid_request_is_explained_without_repeating_it(client):
    answer = await client.post("/things", json={"nom": "at_secret", "x" * 200: 1})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    places = [problem["where"] for problem in error["detail"]["problems"]]
    assert places == ["body.name", "body.nom", "body." + "x" * 64]
    assert "at_secret" not in answer.text


async def test_a_thousand_problems_get_a_short_answer(client):
    answer = await client.post("/things", json={f"k{n}": 1 for n in range(1000)})
    assert len(answer.json()["error"]["detail"]["problems"]) == 10


@pytest.mark.parametrize("how", ["domain", "bug"])
async def test_an_answer_that_breaks_off_is_not_completed(edge, how):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()

    await application(edge)(scope(path=f"/cut/{how}"), receive, send)
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"]


async def test_what_is_not_http_is_passed_on(make_edge):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    edge = make_edge()
    layers = [
        Errors(app),
        Bodies(app, max_bytes=1, timeout=1),
        Trace(app, metrics=Metrics(), monotonic=lambda: 0.0, secure=False, access_log=True),
    ]
    for layer in layers:
        await layer({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"] * 3
    # The whole stack too: a FastAPI application gets its lifespan through it.
    async with application(edge).router.lifespan_context(FastAPI()):
        pass


# Bodies


def scope(method="GET", path="/", headers=(), client=("192.0.2.1", 1)):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("lime.example", 80),
        "client": client,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


async def chunks(*parts):
    for part in parts:
        yield part


async def test_a_body_within_the_limit_arrives(client):
    answer = await client.post("/things", json={"name": "x" * 60000})
    assert answer.status_code == 200


@pytest.mark.parametrize("length", ["65537", "9" * 5000])
async def test_a_body_that_says_it_is_too_large_is_not_read(client, length):
    answer = await client.post("/things", content=b"{}", headers={"Content-Length": length})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")
    assert answer.headers["connection"] == "close"


async def test_a_body_that_turns_out_too_large_is_refused(client):
    answer = await client.post("/things", content=chunks(*[b" " * 9000] * 10))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "2"), ("transfer-encoding", "chunked")],
        [("content-length", "2"), ("content-length", "3")],
        [("content-length", "-2")],
        [("content-length", "+2")],
        [("content-length", "")],
    ],
)
async def test_a_body_of_ambiguous_length_is_refused(edge, headers):
    sent = []

    async def send(message):
        sent.append(message)

    await application(edge)(scope("POST", "/things", headers), None, send)
    assert sent[0]["status"] == 400


async def test_a_body_that_does_not_arrive_is_not_waited_for(make_edge):
    async def stalled():
        yield b'{"name"'
        await asyncio.Event().wait()

    class Stalled(httpx.AsyncByteStream):
        def __aiter__(self):
            return stalled()

    async with http(application(make_edge(body_timeout=0.01))) as client:
        answer = await client.post(
            "/things", content=stalled(), headers={"Content-Type": "application/json"}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "REQUEST_TIMEOUT")


async def test_a_client_that_leaves_in_the_middle_is_not_answered(edge):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [("content-length", "5")]
    await application(edge)(scope("POST", "/things", headers), receive, send)
    assert sent == []


async def test_after_the_body_the_client_can_be_heard_leaving():
    seen = []

    async def app(scope, receive, send):
        seen.append(await receive())
        seen.append(await receive())

    incoming = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request"},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return incoming.pop(0)

    await Bodies(app, max_bytes=10, timeout=1)(
        scope("POST", headers=[("transfer-encoding", "chunked")]), receive, None
    )
    assert seen == [
        {"type": "http.request", "body": b"ab", "more_body": False},
        {"type": "http.disconnect"},
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"a":NaN}',
        b"[Infinity]",
        b"{",
        b"[" * 9000,
    ],
)
async def test_json_that_could_be_read_in_two_ways_is_refused(client, body):
    for kind in ("application/json", "application/merge-patch+json; charset=utf-8"):
        answer = await client.post("/things", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
        assert answer.json()["error"]["message"] == "The body is not valid JSON."


@pytest.mark.parametrize("marks", [b"0,", b"[],", b'{"a":0},'])
async def test_json_of_too_many_values_is_not_read(client, monkeypatch, marks):
    def read(_body):
        raise AssertionError

    monkeypatch.setattr("lime_server.infrastructure.web.body.check_json", read)
    json = {"Content-Type": "application/json"}
    most = MOST_VALUES // (marks.count(b"[") + marks.count(b"{") + 1)
    body = b"[" + marks * (most + 1) + b"0]"
    answer = await client.post("/things", content=body, headers=json)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert answer.json()["error"]["message"] == "The body has too many values."


async def test_as_many_values_as_are_allowed_are_read(client):
    # Two of them are the object and its member, as they are counted: the rest are marks in a text.
    answer = await client.post("/things", json={"name": "," * (MOST_VALUES - 2)})
    assert answer.status_code == 200


def test_plain_json_is_fine():
    check_json(b"")
    check_json(b'{"a":[1,2.5,"\xc3\xa9",null],"b":{"a":1}}')


async def test_a_body_that_is_not_json_is_none_of_our_business(client):
    answer = await client.post("/things", content=b"a=1&a=2", headers={"Content-Type": "x/y"})
    assert "problems" in answer.json()["error"]["detail"]


# Rate limits


ONE = Limit(rate=0.01, burst=1)


async def test_too_many_from_one_address(make_edge):
    edge = make_edge(limits=RateLimits(ONE, None, None))
    app = application(edge)
    async with http(app) as client, http(app, client=("192.0.2.9", 1)) as other:
        assert (await client.get("/things/1")).status_code == 200
        refused = await client.get("/things/1")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert refused.headers["retry-after"] == "100"
        assert len(refused.headers["x-request-id"]) == 32
        assert (await other.get("/things/1")).status_code == 200
        # Those who watch over us are never turned away.
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 200
            # What is no watching is counted.
            assert (await client.post(path)).status_code == 429
    assert b"lime_rate_limited_total 4.0" in edge.metrics.render()


async def test_too_many_with_one_token(make_edge):
    edge = make_edge(limits=RateLimits(None, ONE, None))
    async with http(application(edge)) as client:
        for name in ("X-Agent-Token", "X-Site-Token"):
            mine, yours = {name: f"{name}-mine"}, {name: f"{name}-yours"}
            assert (await client.get("/things/1", headers=mine)).status_code == 200
            assert (await client.get("/things/1", headers=mine)).status_code == 429
            assert (await client.get("/things/1", headers=yours)).status_code == 200
        for _ in range(3):
            assert (await client.get("/things/1")).status_code == 200


async def test_too_many_for_one_login_request(make_edge):
    edge = make_edge(limits=RateLimits(None, None, ONE))
    async with http(application(edge)) as client:
        assert (await client.get("/api/v1/auth/requests/a")).status_code == 404
        approve = "/api/v1/modules/agent-login/requests/a/approve"
        assert (await client.post(approve)).status_code == 429
        assert (await client.get("/api/v1/auth/requests/b")).status_code == 404


async def test_no_token_reaches_the_limiter(make_edge):
    class Recorder:
        uses = ()

        async def take_all(self, uses):
            self.uses = uses
            raise RateLimited(retry_after=1)

    counter = Recorder()
    edge = make_edge(counter=counter, limits=RateLimits(ONE, ONE, ONE))
    async with http(application(edge)) as client:
        await client.get("/api/v1/auth/requests/a", headers={"X-Agent-Token": "at_secret"})
    keys = [key for key, _ in counter.uses]
    assert [key.partition(":")[0] for key in keys] == ["address", "token", "request"]
    assert "secret" not in "".join(keys)


@pytest.mark.parametrize(
    ("client", "trusted", "forwarded", "counted"),
    [
        ("192.0.2.1", "", [], "192.0.2.1"),
        ("192.0.2.1", "", ["198.51.100.1"], "192.0.2.1"),
        ("10.0.0.1", "10.0.0.0/8", ["198.51.100.1"], "198.51.100.1"),
        # What the client itself wrote stands further left, and is not believed.
        ("10.0.0.1", "10.0.0.0/8", ["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", "10.0.0.0/8", ["203.0.113.5", "198.51.100.1,10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", "10.0.0.0/8", [], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.0/8", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", "10.0.0.0/8", ["10.0.0.3,10.0.0.2"], "10.0.0.3"),
        ("2001:db8::5:1", "", [], "2001:db8::/64"),
        ("::ffff:192.0.2.1", "", [], "192.0.2.1"),
        ("::1", "::1", ["2001:db8:0:7::1"], "2001:db8:0:7::/64"),
        ("testclient", "", [], "local"),
        (None, "", [], "local"),
    ],
)
def test_who_a_client_is_when_it_is_counted(client, trusted, forwarded, counted):
    settings = Settings(
        public_url="https://a.example",
        database_url="postgresql:///x",
        master_key="x",
        trusted_proxies=trusted,
    )
    request = scope(
        headers=[("x-forwarded-for", value) for value in forwarded],
        client=(client, 1) if client else None,
    )
    assert client_address(request, settings.trusted_proxies) == counted


@pytest.mark.parametrize(
    ("path", "ident"),
    [
        ("/api/v1/auth/requests/abc", "abc"),
        ("/api/v1/auth/requests/AbC", "abc"),
        ("/api/v1/modules/agent-login/requests/abc/approve", "abc"),
        ("/api/v1/modules/agent-login/requests", None),
        ("/api/v1/modules/agent-login/events", None),
        ("/x/api/v1/auth/requests/abc", None),
    ],
)
def test_which_login_a_path_names(path, ident):
    assert login_request_id(scope(path=path)) == ident


@pytest.mark.parametrize(
    ("client", "forwarded", "logged"),
    [
        ("10.0.0.7", "203.0.113.9", {"client": "203.0.113.9", "via": "10.0.0.7"}),
        ("::ffff:10.0.0.7", "2001:db8::9", {"client": "2001:db8::/64", "via": "10.0.0.7"}),
        # Nobody brought these, or nobody whose word is taken.
        ("10.0.0.7", "", {"client": "10.0.0.7"}),
        ("203.0.113.9", "192.0.2.1", {"client": "203.0.113.9"}),
        ("2001:db8::9", "", {"client": "2001:db8::/64"}),
        (None, "203.0.113.9", {"client": "local"}),
    ],
)
async def test_the_log_names_the_client_and_the_proxy_that_brought_it(
    make_edge, client, forwarded, logged
):
    edge = make_edge(limits=RateLimits(None, None, None, trusted_proxies=[PROXY]))
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    stream = io.StringIO()
    with lent_logging():
        configure(stream=stream)
        async with http(application(edge), client=client and (client, 1)) as caller:
            await caller.get("/things/x", headers=headers)
    lines = map(json.loads, stream.getvalue().splitlines())
    (line,) = (line for line in lines if line["event"] == "request")
    assert {name: line[name] for name in ("client", "via") if name in line} == logged


# Health, metrics, keys


async def test_a_server_that_runs_is_alive(client):
    for method in ("GET", "HEAD"):
        assert (await client.request(method, "/health/live")).status_code == 200


@pytest.mark.parametrize(
    ("postgres", "redis", "status", "word"),
    [
        (True, True, 200, "ok"),
        (True, False, 200, "degraded"),
        (False, True, 503, "unavailable"),
        (False, False, 503, "unavailable"),
    ],
)
async def test_readiness_tells_weak_from_broken(make_edge, postgres, redis, status, word):
    vital, helpful = Probe(), Probe()
    vital.up, helpful.up = postgres, redis
    edge = make_edge(vital={"postgres": vital}, helpful={"redis": helpful})
    async with http(application(edge)) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == status
    state = {True: "up", False: "down"}
    assert answer.json() == {
        "status": word,
        "engines": {"postgres": state[postgres], "redis": state[redis]},
    }


@pytest.mark.parametrize(
    ("postgres", "redis", "word"),
    [(True, True, "full"), (True, False, "full"), (False, True, "unavailable")],
)
async def test_a_full_server_is_not_ready_and_says_why(make_edge, postgres, redis, word):
    vital, helpful = Probe(), Probe()
    vital.up, helpful.up = postgres, redis
    app = application(make_edge(vital={"postgres": vital}, helpful={"redis": helpful}))

    async def full(scope, receive, send):
        await app({**scope, "extensions": {FULL: {}}}, receive, send)

    async with http(full) as client:
        answer = await client.get("/health/ready")
        assert (await client.get("/health/live")).status_code == 200
    assert (answer.status_code, answer.json()["status"]) == (503, word)
    assert answer.json()["engines"].keys() == {"postgres", "redis"}


WATCHED = ("/health/ready", "/metrics")


@pytest.mark.parametrize("path", WATCHED)
@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (("127.0.0.1", 1), {}),
        (("::1", 1), {}),
        (("::ffff:10.1.2.3", 1), {}),
        (("10.0.0.7", 1), {}),
        (("10.0.0.7", 1), {"X-Forwarded-For": "192.168.1.1"}),
        # What the client itself wrote, left of what the proxy did, says nothing.
        (("10.0.0.7", 1), {"X-Forwarded-For": "192.0.2.9, 192.168.1.1"}),
        # A Unix socket.
        (None, {}),
    ],
)
async def test_those_who_watch_over_us_are_let_in(make_edge, path, client, headers):
    edge = make_edge(limits=RateLimits(None, None, None, trusted_proxies=[PROXY]))
    async with http(application(edge), client=client) as caller:
        assert (await caller.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", WATCHED)
@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (("192.0.2.9", 1), {}),
        (("2001:db8::1", 1), {}),
        (("192.0.2.9", 1), {"X-Forwarded-For": "127.0.0.1"}),
        (("10.0.0.7", 1), {"X-Forwarded-For": "192.0.2.9"}),
        (("10.0.0.7", 1), {"X-Forwarded-For": "127.0.0.1, 192.0.2.9"}),
        # A proxy that nobody told us of: whose request it brings, nobody knows.
        (("10.0.0.8", 1), {"X-Forwarded-For": "10.1.1.1"}),
        (("127.0.0.1", 1), {"Forwarded": "for=10.1.1.1"}),
        (None, {"X-Forwarded-For": "10.1.1.1"}),
    ],
)
async def test_to_everybody_else_there_is_nothing_to_watch(make_edge, path, client, headers):
    edge = make_edge(limits=RateLimits(None, None, None, trusted_proxies=[PROXY]))
    async with http(application(edge), client=client) as caller:
        hidden = await caller.get(path, headers=headers)
        unknown = await caller.get("/no/such/path", headers=headers)
        assert (hidden.status_code, hidden.json()) == (404, unknown.json())
        assert (await caller.get("/health/live", headers=headers)).status_code == 200


async def test_metrics_hold_patterns_and_never_what_a_caller_chose(client, edge):
    await client.get("/things/very-private")
    await client.request("BREW", "/things/also-private")
    await client.get("/some/where/private")
    edge.metrics.login("approved")
    edge.metrics.login("expired", 3)
    edge.metrics.stream_opened()
    edge.metrics.stream_opened()
    edge.metrics.stream_closed()
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "private" not in answer.text
    assert "BREW" not in answer.text
    assert 'method="GET",route="/things/{name}",status="200"' in answer.text
    assert 'method="OTHER"' in answer.text
    assert 'route="unmatched",status="404"' in answer.text
    assert 'lime_logins_total{outcome="created"} 0.0' in answer.text
    assert 'lime_logins_total{outcome="approved"} 1.0' in answer.text
    assert 'lime_logins_total{outcome="expired"} 3.0' in answer.text
    assert "lime_event_streams 1.0" in answer.text


class Silent:
    """An engine that does not answer."""

    async def ready(self) -> bool:
        await asyncio.Event().wait()


async def test_metrics_say_which_engines_answer_and_wait_for_none(make_edge, monkeypatch):
    monkeypatch.setattr("lime_server.infrastructure.web.health.PATIENCE", 0.01)
    probe = Probe()
    edge = make_edge(vital={"postgres": probe}, helpful={"redis": Silent()})
    async with http(application(edge)) as client:
        text = (await client.get("/metrics")).text
        assert 'lime_engine_up{engine="postgres"} 1.0' in text
        assert 'lime_engine_up{engine="redis"} 0.0' in text
        probe.up = False
        assert 'lime_engine_up{engine="postgres"} 0.0' in (await client.get("/metrics")).text


async def test_the_time_of_a_request_ends_where_its_answer_begins():
    now = 0.0

    async def app(scope, receive, send):
        nonlocal now
        now = 0.02
        await send({"type": "http.response.start", "status": 200})
        now = 300.0
        await send({"type": "http.response.body"})

    async def send(message):
        pass

    metrics = Metrics()
    trace = Trace(app, metrics=metrics, monotonic=lambda: now, secure=False, access_log=False)
    await trace(scope(), None, send)
    assert b"lime_http_request_seconds_sum" in metrics.render()
    assert b'le="0.025",method="GET",route="unmatched",status="200"} 1.0' in metrics.render()


async def test_a_client_that_left_before_an_answer_is_counted_as_such(caplog):
    async def app(scope, receive, send):
        pass

    metrics = Metrics()
    trace = Trace(app, metrics=metrics, monotonic=lambda: 1.0, secure=False, access_log=True)
    await trace(scope(client=None), None, None)
    assert b'status="0"' in metrics.render()


async def test_the_keys_are_published_as_they_are(client, ring):
    answer = await client.get(JWKS)
    assert answer.content == ring.jwks.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    head = await client.head(JWKS)
    assert head.status_code == 200
    assert head.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("how", ["{}", "W/{}", '"other", {}', "*"])
async def test_keys_that_are_known_are_not_sent_again(client, ring, how):
    answer = await client.get(JWKS, headers={"If-None-Match": how.format(ring.jwks.etag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == ring.jwks.etag
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_other_keys_are_sent(client):
    answer = await client.get(JWKS, headers={"If-None-Match": '"other"'})
    assert answer.status_code == 200


async def test_the_document_describes_the_keys(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths[JWKS]) == {"get"}
    assert "/metrics" not in paths
