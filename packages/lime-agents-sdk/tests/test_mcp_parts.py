"""Targets, tokens, and the older line of the official SDK: no server needed."""

import asyncio
import json
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from threading import Event
from types import ModuleType, SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lime_agents import (
    ApiError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    InvalidMcpTargetError,
    LimeError,
    McpAuthenticationError,
    OAuthCapabilityError,
    ProtocolError,
    RateLimitError,
    TransportError,
    extract_and_normalize_domain,
    resolve_mcp_http_url,
)
from lime_agents._mcp import bearer, discovery, flows, generations, sessions
from lime_agents._mcp.background import Background
from lime_agents._mcp.bearer import Bearer
from lime_agents._mcp.targets import McpTarget
from lime_agents._mcp.tokens import McpTokens
from lime_agents._mcp.wire import ResourceMetadata
from lime_agents.testing import FakeLime
from lime_sdk_core import Reply, Request


@pytest.mark.parametrize(
    ("text", "url", "domain"),
    [
        ("mcp.example.com", "https://mcp.example.com/mcp", "mcp.example.com"),
        (" MCP.Example.com:8443\n", "https://mcp.example.com:8443/mcp", "mcp.example.com"),
        ("mcp.example.com/x", "https://mcp.example.com/x", "mcp.example.com"),
        ("https://mcp.example.com/mcp/", "https://mcp.example.com/mcp", "mcp.example.com"),
        ("mcp.example.com/x/?dir=/a/", "https://mcp.example.com/x?dir=/a/", "mcp.example.com"),
        ("https://mcp.example.com/A?b=C", "https://mcp.example.com/A?b=C", "mcp.example.com"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_target_is_a_url_or_a_host_name(text, url, domain):
    assert (resolve_mcp_http_url(text), extract_and_normalize_domain(text)) == (url, domain)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "x" * 2049 + ".example.com",
            "two words.example.com",
            "a\tb.example.com",
            "bücher.de",
        ),
        *("ftp://a.example.com", "https://", "https://a.example.com:", "https://a.example.com:0"),
        *("https://a.example.com:x/", "https://a.example.com:99999", "https://[::1", "//a.b.com"),
        *("https://u:p@a.example.com", "https://a.example.com/#x", "https://a.example.com\\@b.com"),
        *("127.0.0.1", "https://127.1", "https://0x7f.1", "https://2130706433", "https://[::1]/"),
        *("https://0177.0.0.1", "https://[::ffff:127.0.0.1]", "https://a.example.com.", "a..com"),
        *("localhost", "a.localhost", "printer.local", "metadata.google.internal", "intranet"),
        *("127.0.0.1.nip.io", "x.kubernetes", "http://a.example.com", "-a.example.com", "a.1"),
    ],
)
def test_what_is_no_server_for_an_agent_is_refused(text):
    with pytest.raises(InvalidMcpTargetError) as refused:
        resolve_mcp_http_url(text)
    assert isinstance(refused.value, ValueError)
    assert "u:p" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("http://localhost:1/mcp", True),
        ("http://127.0.0.1:1/mcp", False),
        ("http://[::1]:1", False),
        ("http://mcp:8000/mcp", True),
    ],
)
def test_private_servers_are_let_in_when_asked_for(text, named):
    target = McpTarget.parse(text, allow_private=True)
    assert (target.private, target.named, target.url) == (True, named, text)


@pytest.mark.parametrize("text", ["http://10.0.0.1", "http://a.example.com", "http://0x7f.1"])
def test_asking_for_private_servers_lets_nothing_else_in(text):
    with pytest.raises(InvalidMcpTargetError):
        McpTarget.parse(text, allow_private=True)


@given(st.text())
def test_any_text_is_a_public_https_url_or_refused(text):
    try:
        target = McpTarget.parse(text)
    except InvalidMcpTargetError:
        return
    assert target.url.startswith("https://")
    assert "@" not in target.url


TARGET = McpTarget.parse("https://mcp.example.com:443/v1/mcp?a=1")


def test_metadata_is_looked_for_where_the_specification_says():
    base = "https://mcp.example.com/.well-known/oauth-protected-resource"
    assert TARGET.origin == "https://mcp.example.com"
    assert discovery.places(TARGET, "Bearer") == [f"{base}/v1/mcp", base]
    assert discovery.places(McpTarget.parse("https://a.example.com"), "") == [
        "https://a.example.com/.well-known/oauth-protected-resource"
    ]
    named = 'Basic, Bearer resource_metadata="https://mcp.example.com/x"'
    assert discovery.places(TARGET, named) == ["https://mcp.example.com/x"]


@pytest.mark.parametrize(
    ("resource", "covers"),
    [
        ("https://mcp.example.com/v1/mcp", True),
        ("https://mcp.example.com/v1/mcp?a=1", True),
        ("https://MCP.example.com", True),
        ("https://mcp.example.com/v1/mcp?a=2", False),
        ("https://mcp.example.com/v1/m", False),
        ("https://mcp.example.com/v1/mcp#x", False),
        ("https://mcp.example.com:8443/v1/mcp", False),
        ("http://mcp.example.com/v1/mcp", False),
    ],
)
def test_a_resource_is_the_server_or_above_it(resource, covers):
    found = ResourceMetadata(resource=resource, authorization_servers=("i",))
    if covers:
        assert discovery.resource_of(found, TARGET, "i") == resource
    else:
        with pytest.raises(LimeError):
            discovery.resource_of(found, TARGET, "i")


def ask(reply):
    flow = flows.short_token("mcp.example.com")
    assert next(flow) == Request(
        "POST", "/modules/oauth/token", json={"domain": "mcp.example.com"}, idempotent=True
    )
    with pytest.raises(StopIteration) as done:
        flow.send(reply)
    return done.value.value


TOKEN = {"access_token": "a.b.c", "token_type": "bearer", "expires_in": 300}


def test_a_token_is_not_shown():
    found = ask(Reply(200, {}, json.dumps(TOKEN | {"scope": "mcp"}).encode()))
    assert found.access_token == "a.b.c"
    assert "a.b.c" not in repr(found)


@pytest.mark.parametrize(
    "change",
    [{"access_token": "a b"}, {"access_token": "a\nb"}, {"token_type": "mac"}, {"expires_in": 0}],
)
def test_what_is_no_token_is_refused(change):
    with pytest.raises(ProtocolError):
        ask(Reply(200, {}, json.dumps(TOKEN | change).encode()))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": "invalid_client", "error_description": "No."}, AuthenticationError),
        (400, {"error": "invalid_client"}, AuthenticationError),
        (403, {"error": "access_denied"}, OAuthCapabilityError),
        (429, {"error": "slow_down"}, RateLimitError),
        (400, {"error": "invalid_request", "error_description": 1}, ApiError),
        (503, {"ok": False, "error": {"code": "AUTH_UNAVAILABLE", "message": "x"}}, ApiError),
        (200, {"error": "invalid_request"}, ProtocolError),
        (200, None, ProtocolError),
    ],
)
def test_refusals_of_the_token_endpoint_become_errors(status, body, kind):
    content = json.dumps(body).encode() if body is not None else b"\xff"
    with pytest.raises(kind) as refused:
        ask(Reply(status, {"x-request-id": "r1"}, content))
    assert type(refused.value) is kind or kind is ApiError


class Lime:
    """Answers flows, and counts."""

    def __init__(self, lifetime=300):
        self.asked, self.lifetime, self.gate = [], lifetime, None
        self.begun = asyncio.Event()

    async def run(self, flow):
        step = next(flow)
        self.asked.append(step.path)
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        body = {**TOKEN, "access_token": f"t{len(self.asked)}", "expires_in": self.lifetime}
        if step.path.endswith("profile"):
            body = {"ok": True, "data": {"agent_id": "a1", "user_id": "u1"}}
        elif step.method == "GET":
            body = {"issuer": "https://lime"}
        try:
            flow.send(Reply(200, {}, json.dumps(body).encode()))
        except StopIteration as done:
            return done.value


def book(lime, now, draw=0.0):
    return McpTokens(lime.run, skew=30, clock=lambda: now[0], wall=lambda: 7.0, draw=lambda: draw)


@pytest.mark.parametrize(
    ("lifetime", "draw", "renewed"), [(300, 0.0, 270), (300, 0.5, 255), (20, 0.0, 10)]
)
async def test_a_token_is_renewed_before_it_ends(lifetime, draw, renewed):
    now, lime = [0.0], Lime(lifetime)
    tokens = book(lime, now, draw)
    first = await tokens.get(TARGET)
    now[0] = renewed - 0.5
    assert await tokens.get(TARGET) is first
    now[0] = renewed
    assert (await tokens.get(TARGET)).access_token == "t2"
    assert first.issued_at == 7.0


async def test_fifty_calls_ask_once_and_a_cancelled_one_does_not_stop_the_others():
    lime = Lime()
    lime.gate = asyncio.Event()
    tokens = book(lime, [0.0])
    calls = [asyncio.create_task(tokens.get(TARGET)) for _ in range(50)]
    await lime.begun.wait()
    calls[0].cancel()
    lime.gate.set()
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert {token.access_token for token in found[1:]} == {"t2"}
    assert len(lime.asked) == 2


async def test_a_server_without_a_name_gets_a_token_for_its_url():
    lime = Lime()
    tokens = book(lime, [0.0])
    target = McpTarget.parse("http://127.0.0.1:1/mcp", allow_private=True)
    assert (await tokens.get(target)).resource == target.url
    assert (await tokens.renewed(target)).resource == target.url
    assert [await tokens.issuer(), await tokens.issuer()] == ["https://lime"] * 2
    profile = "/core/agents/me/profile"
    assert lime.asked.count(profile) == 1
    assert len(lime.asked) == 4


async def test_a_new_token_can_be_asked_for_before_there_is_one():
    assert (await book(Lime(), [0.0]).renewed(TARGET)).access_token == "t1"


def test_tokens_outlive_an_event_loop():
    lime = Lime()
    tokens = book(lime, [0.0])
    found = [asyncio.run(tokens.get(TARGET)) for _ in range(2)]
    assert found[0] is found[1]
    asyncio.run(tokens.renewed(TARGET))
    assert len(lime.asked) == 2


@pytest.mark.parametrize("options", [{"mcp_token_refresh_skew": -1}, {"mcp_read_timeout": 0}])
def test_impossible_times_are_refused(options):
    with pytest.raises(ConfigurationError):
        FakeLime().agent(**options)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigurationError, match=r"lime-agents-sdk\[mcp\]"):
        generations.types()


# `mcp` 1, whose shape is known here; a check of its own runs the real one.


class FirstSession:
    def __init__(self, read, write, read_timeout_seconds):
        assert (read, write) == ("read", "write")
        assert read_timeout_seconds.total_seconds() == 5

    async def initialize(self):
        return SimpleNamespace(capabilities="capabilities")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return None


class Client:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return None


@pytest.mark.parametrize("name", ["streamable_http_client", "streamablehttp_client"])
async def test_the_first_line_of_the_sdk_is_spoken_to_in_its_own_way(monkeypatch, name):
    client = Client()

    @asynccontextmanager
    async def transport(url, http_client=None, httpx_client_factory=None):
        assert (http_client or httpx_client_factory(timeout=1)) is client
        yield ("read", "write", None)

    module = ModuleType("mcp.client.streamable_http")
    setattr(module, name, transport)
    monkeypatch.setitem(sys.modules, "mcp.client.streamable_http", module)
    mcp = ModuleType("mcp")
    mcp.ClientSession, mcp.McpError = FirstSession, KeyError
    assert generations.http_library(mcp).__name__ == "httpx"
    assert generations.error_types(mcp) == (KeyError,)
    async with generations.open_session(mcp, "https://x", client, 5) as opened:
        assert isinstance(opened.session, FirstSession)
        assert opened.protocol is opened.session
        assert opened.capabilities == "capabilities"


async def test_lists_are_read_to_their_end_but_not_for_ever():
    asked = []

    async def page(cursor=None):
        asked.append(cursor)
        return SimpleNamespace(resourceTemplates=[len(asked)], nextCursor="more")

    found = await generations.all_pages(page, "resource_templates")
    assert len(found) == generations.MAX_PAGES
    assert asked[:2] == [None, "more"]


def test_a_fork_begins_a_thread_of_its_own(monkeypatch):
    background = Background()

    async def answer():
        return 1

    assert background.call(answer()) == 1
    loop, thread = background._loop, background._thread
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert background.call(answer()) == 1
    assert background._loop is not loop
    background.close()
    background.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_what_goes_wrong_elsewhere_is_raised_here():
    background = Background()

    async def fails():
        raise LookupError

    with pytest.raises(LookupError):
        background.call(fails())
    background.close()


def test_a_closed_thread_takes_no_work_and_stays_closed():
    background = Background()

    async def answer():
        raise AssertionError

    background.close()
    with pytest.raises(ClosedError):
        background.call(answer())
    assert background._thread is None


def test_whoever_waits_when_the_thread_ends_is_told_so():
    background, begun = Background(), Event()

    async def for_ever():
        begun.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(background.call, for_ever())
        begun.wait()
        background.close()
        with pytest.raises(ClosedError):
            waiting.result()


def test_an_interrupted_wait_cancels_the_work(monkeypatch):
    background, ended = Background(), Event()

    async def for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def interrupt(future):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            background.call(for_ever())
    assert ended.wait(10)
    background.close()


def test_what_runs_in_the_thread_cannot_wait_for_it():
    background, refused = Background(), []

    async def answer():
        raise AssertionError

    async def callback():
        for again in (lambda: background.call(answer()), background.close):
            with pytest.raises(ConfigurationError, match="its own blocking agent"):
                again()
            refused.append(again)
        return len(refused)

    assert background.call(callback()) == 2
    background.close()


def test_slow_work_aside_leaves_the_threads_of_the_loop_alone():
    background, release = Background(), Event()

    async def both():
        threads = [asyncio.ensure_future(background.aside(release.wait)) for _ in range(50)]
        # Names of servers are looked up there.
        await asyncio.to_thread(release.set)
        return await asyncio.gather(*threads)

    assert background.call(both()) == [True] * 50
    background.close()


def test_nothing_is_left_open_when_the_thread_ends():
    background, ended = Background(), []

    async def frames():
        try:
            yield 1
        finally:
            ended.append("generator")

    async def for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async def begin():
        background.kept = asyncio.ensure_future(for_ever()), (generator := frames())
        return await anext(generator)

    assert background.call(begin()) == 1
    background.close()
    assert ended == ["task", "generator"]


def test_network_errors_are_told_from_others():
    assert sessions._is_network(httpx.ConnectError("x"))
    assert sessions._is_network(OSError())
    assert not sessions._is_network(TransportError("x"))
    assert not sessions._is_network(LookupError())
    answer = httpx.Response(502, request=httpx.Request("GET", "https://x"))
    error = httpx.HTTPStatusError("x", request=answer.request, response=answer)
    assert sessions._said(error) == "HTTP 502"


# Connections, with a server that is a script.


class Script:
    """What `open_session` does instead of connecting."""

    def __init__(self, monkeypatch):
        self.broken, self.stuck, self.opened = asyncio.Event(), asyncio.Event(), 0
        self.obstinate, self.begun = False, asyncio.Event()
        monkeypatch.setattr(generations, "open_session", self.open)

    @asynccontextmanager
    async def open(self, mcp, url, client, read_timeout):
        self.opened += 1
        self.begun.set()
        loop = asyncio.get_running_loop()
        yielding = loop.create_task(self._break(asyncio.current_task()))
        try:
            yield generations.Opened("session", None)
        except asyncio.CancelledError:
            if self.broken.is_set():
                raise OSError from None
            raise
        finally:
            yielding.cancel()
            await client.aclose()
            if self.obstinate:
                await self.stuck.wait()

    async def _break(self, owner):
        await self.broken.wait()
        owner.cancel()


async def forever(opened):
    await asyncio.Event().wait()


async def works(opened):
    return opened.session


def many(lime, **options):
    options = {"read_timeout": 5, "serialize": False} | options
    return sessions.Sessions(book(lime, [0.0]), **options)


async def test_a_call_ends_with_its_connection(monkeypatch):
    script, pool = Script(monkeypatch), many(Lime())
    assert await pool.run(TARGET, works) == "session"
    call = asyncio.create_task(pool.run(TARGET, forever))
    await asyncio.sleep(0)
    script.broken.set()
    with pytest.raises(TransportError, match=r"mcp\.example\.com ended early \(OSError\)"):
        await call
    script.broken.clear()
    assert await pool.run(TARGET, works) == "session"
    assert script.opened == 2
    await pool.aclose()
    with pytest.raises(ClosedError):
        await pool.run(TARGET, works)


async def test_a_server_that_does_not_say_goodbye_is_left(monkeypatch):
    script, pool = Script(monkeypatch), many(Lime())
    script.obstinate = True
    monkeypatch.setattr(sessions, "GOODBYE", 0.01)
    await pool.run(TARGET, works)
    call = asyncio.create_task(pool.run(TARGET, forever))
    await asyncio.sleep(0)
    await pool.aclose()
    with pytest.raises(ClosedError):
        await call


async def test_a_session_that_is_forgotten_again_is_an_error(monkeypatch):
    Script(monkeypatch)
    pool = many(Lime())

    async def forgotten(opened):
        raise sessions.SessionLostError

    with pytest.raises(TransportError, match="forgets its sessions"):
        await pool.run(TARGET, forgotten)
    await pool.aclose()


class SaidError(Exception):
    """What the official SDK raises for an answer that is an error."""

    def __init__(self, code, data=None):
        self.error = SimpleNamespace(code=code, data=data)


async def test_a_call_that_hears_first_that_the_connection_ended_says_why(monkeypatch):
    script, pool = Script(monkeypatch), many(Lime())
    monkeypatch.setattr(sessions, "NOTICE", 30)

    async def hears(opened):
        script.broken.set()
        raise SaidError(generations.CONNECTION_CLOSED)

    with pytest.raises(TransportError, match=r"ended early \(OSError\)"):
        await pool.run(TARGET, hears)
    await pool.aclose()


async def test_a_connection_that_nobody_can_write_to_is_left(monkeypatch):
    script, pool = Script(monkeypatch), many(Lime())

    async def cannot(opened):
        raise OSError

    with pytest.raises(TransportError, match=r"ended early \(OSError\)"):
        await pool.run(TARGET, cannot)
    assert await pool.run(TARGET, works) == "session"
    assert script.opened == 2
    await pool.aclose()


async def test_a_connection_that_ends_for_no_reason_says_that_it_ended(monkeypatch):
    script, pool = Script(monkeypatch), many(Lime())
    call = asyncio.create_task(pool.run(TARGET, forever))
    await script.begun.wait()
    pool._connections[TARGET.url]._stop.set()
    with pytest.raises(TransportError, match=r"ended early\.$"):
        await call
    await pool.aclose()


async def test_the_connection_unused_for_longest_makes_room_when_its_calls_are_done(monkeypatch):
    script, pool = Script(monkeypatch), many(Lime())
    monkeypatch.setattr(sessions, "MAX_CONNECTIONS", 2)
    others = [McpTarget.parse(f"https://{name}.example.com") for name in "abc"]
    release = asyncio.Event()

    async def waits(opened):
        await release.wait()
        return "done"

    call = asyncio.create_task(pool.run(others[0], waits))
    await script.begun.wait()
    await pool.run(others[1], works)
    await pool.run(others[2], works)
    assert list(pool._connections) == [target.url for target in others[1:]]
    [leaving] = pool._leaving
    assert not leaving.done()
    release.set()
    assert await call == "done"
    await leaving
    await asyncio.sleep(0)
    assert not pool._leaving
    # Used again, so the other one is next.
    await pool.run(others[1], works)
    await pool.run(others[0], works)
    assert list(pool._connections) == [others[1].url, others[0].url]
    await pool.aclose()


# Requests, with a server that is a function.


class Wire:
    """A client with tokens, whose requests come to `answer`."""

    def __init__(self, answer=None):
        self.bearer = Bearer(TARGET, book(Lime(), [0.0]))
        self.client = self.bearer.client(httpx, 5)
        self.client._transport = httpx.MockTransport(answer or self.fail)

    @staticmethod
    def fail(request):
        raise httpx.ReadError(str(request.headers["authorization"]))

    async def ask(self, message, method="POST", url=TARGET.url):
        return await self.client.request(method, url, json=message)


CALL = {"jsonrpc": "2.0", "id": "7", "method": "tools/call"}


def as_raised(answer):
    error = answer.json()["error"]
    return SaidError(error["code"], error["data"])


async def test_a_token_goes_to_no_other_origin():
    wire = Wire(lambda request: pytest.fail("sent"))
    answer = await wire.ask(CALL, url="https://mcp.example.com.thief.example/v1/mcp")
    failure = wire.bearer.meant(as_raised(answer))
    assert isinstance(failure, McpAuthenticationError)
    assert "redirect" in str(failure)
    assert "authorization" not in answer.request.headers


async def test_what_goes_wrong_with_a_request_is_its_answer():
    wire = Wire()
    answers = [await wire.ask(CALL) for _ in range(2)]
    failures = [wire.bearer.meant(as_raised(answer)) for answer in answers]
    assert [str(failure) for failure in failures] == [
        "The connection to mcp.example.com ended early (ReadError)."
    ] * 2
    assert failures[0] is not failures[1]
    assert [answer.json()["id"] for answer in answers] == ["7", "7"]
    assert not any("t1" in answer.text for answer in answers)


@pytest.mark.parametrize(
    ("method", "message", "status"),
    [
        ("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled"}, 202),
        # An answer to what the server asked.
        ("POST", {"jsonrpc": "2.0", "id": 1, "result": {}}, 202),
        ("GET", None, 405),
        ("DELETE", None, 405),
    ],
)
async def test_what_nobody_waits_for_is_answered_without_harm(method, message, status):
    assert (await Wire().ask(message, method)).status_code == status
    refusing = Wire(lambda request: httpx.Response(500, json={"error": {"code": 1, "message": ""}}))
    found = await refusing.ask(message, method)
    assert found.status_code == (202 if method == "POST" else 500)


@pytest.mark.parametrize(
    "data", [None, {}, {"lime-agents-sdk": "guessed"}, {"lime-agents-sdk": []}]
)
async def test_no_server_can_answer_with_an_error_of_ours(data):
    wire = Wire()
    await wire.ask(CALL)
    assert wire.bearer.meant(SaidError(-32603, data)) is None


async def test_errors_that_nobody_looks_for_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(bearer, "MAX_KEPT", 2)
    wire = Wire()
    answers = [as_raised(await wire.ask(CALL)) for _ in range(3)]
    assert [wire.bearer.meant(answer) is None for answer in answers] == [True, False, False]


async def test_a_request_that_follows_a_redirect_can_be_answered_too():
    wire = Wire()
    body = httpx.ByteStream(json.dumps(CALL).encode())
    answer = await wire.client.send(httpx.Request("POST", TARGET.url, stream=body))
    assert wire.bearer.meant(as_raised(answer)) is not None


class Events(httpx.AsyncByteStream):
    def __init__(self, *parts):
        self.parts = parts

    async def __aiter__(self):
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part


@pytest.mark.parametrize("encoding", [{}, {"content-encoding": "identity"}])
@pytest.mark.parametrize("error", [(), (httpx.ReadError("x"),)])
async def test_events_that_can_be_asked_for_again_are(encoding, error):
    headers = {"content-type": "text/event-stream", **encoding}
    events = Events(b"i", b"d: 1\n", b"data:\n\n", *error)
    wire = Wire(lambda request: httpx.Response(200, headers=headers, stream=events))
    expected = pytest.raises(httpx.ReadError) if error else nullcontext()
    async with wire.client.stream("POST", TARGET.url, json=CALL) as answer:
        with expected:
            assert await answer.aread() == b"id: 1\ndata:\n\n"


@pytest.mark.parametrize("context", [None, TimeoutError(), ValueError()])
def test_only_the_own_clock_is_a_timeout(context):
    error = SaidError(-32001)
    error.__context__ = context
    assert generations.timed_out(error) is isinstance(context, TimeoutError)
