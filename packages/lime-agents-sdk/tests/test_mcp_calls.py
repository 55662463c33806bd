"""What an agent does at an MCP server, over loopback."""

import asyncio
import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import mcp
import pytest
from mcp.types import PromptReference

from lime_agents import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    McpAuthenticationError,
    TransportError,
)
from tests.support.mcp_site import Site, TokenLime, reply


@pytest.fixture
def lime(monkeypatch):
    monkeypatch.delenv("LIME_AGENT_TOKEN", raising=False)
    return TokenLime()


@pytest.fixture
async def servers():
    """What is entered here ends after the agents did, who say goodbye to their servers."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def site(lime, servers):
    return await servers.enter_async_context(Site(lime).served())


@pytest.fixture
async def agent(lime, servers):
    async with lime.agent(allow_private=True) as agent:
        yield agent


def add(agent, site):
    return agent.call_tool(site.url, "add", {"a": 1, "b": 2})


def text(result):
    return result.content[0].text


async def test_an_agent_lists_and_calls_with_one_token_from_the_short_form(agent, site, lime):
    assert [tool.name for tool in await agent.list_tools(site.url)] == ["add", "slow"]
    assert text(await add(agent, site)) == "3"
    assert lime.asked == [{"domain": "localhost"}]
    assert not any(lime.agent_token in str(seen) for seen in site.seen)


async def test_resources_prompts_completion_and_capabilities(agent, site):
    assert [r.name for r in await agent.list_resources(site.url)] == ["note"]
    assert [t.name for t in await agent.list_resource_templates(site.url)] == ["named"]
    assert (await agent.read_resource(site.url, "note://one")).contents[0].text == "first"
    assert [p.name for p in await agent.list_prompts(site.url)] == ["greet"]
    prompt = await agent.get_prompt(site.url, "greet", {"name": "Ada"})
    assert prompt.messages[0].content.text == "Hello Ada"
    ref = PromptReference(type="ref/prompt", name="greet")
    assert (await agent.complete(site.url, ref, {"name": "name", "value": "A"})).values == ["Ax"]
    found = await agent.complete(site.url, ref, {"name": "name", "value": "A"}, {"other": "1"})
    assert found.values == ["Ax"]
    assert (await agent.get_server_capabilities(site.url)).tools is not None
    async with agent.mcp_session(site.url) as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == ["add", "slow"]


async def test_what_the_server_says_of_a_call_comes_as_it_is(agent, site):
    with pytest.raises(mcp.MCPError):
        await agent.get_prompt(site.url, "nothing")
    assert text(await add(agent, site)) == "3"


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_calls_run_side_by_side_and_report_progress(agent, site, kind):
    reports = []

    def progress(*report):
        reports.append(report)
        if len(reports) == 2:
            site.meeting.set()

    async def later(*report):
        progress(*report)

    listener = progress if kind == "plain" else later
    calls = (agent.call_tool(site.url, "slow", progress=listener) for _ in range(2))
    assert [text(result) for result in await asyncio.gather(*calls)] == ["done", "done"]
    assert reports == [(1, 2, "half")] * 2


async def test_calls_wait_for_one_another_if_the_server_needs_that(lime, site):
    async with lime.agent(allow_private=True, serialize_mcp_per_url=True) as agent:
        begun = asyncio.Event()
        first = asyncio.create_task(
            agent.call_tool(site.url, "slow", progress=lambda *_: begun.set())
        )
        await begun.wait()
        second = asyncio.create_task(add(agent, site))
        await asyncio.sleep(0)
        assert not second.done()
        site.meeting.set()
        assert text(await first) == "done"
        assert text(await second) == "3"


async def test_a_cancelled_call_leaves_the_connection_to_the_others(agent, site):
    begun = asyncio.Event()
    call = asyncio.create_task(agent.call_tool(site.url, "slow", progress=lambda *_: begun.set()))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert text(await add(agent, site)) == "3"


async def test_a_refused_token_is_replaced_once_and_the_session_stays(agent, site, lime):
    await add(agent, site)
    site.refused = {token for token, _ in lime.issued}
    results = await asyncio.gather(*(add(agent, site) for _ in range(5)))
    assert [text(result) for result in results] == ["3"] * 5
    assert lime.asked == [{"domain": "localhost"}] * 2


async def test_a_server_that_takes_no_token_is_not_asked_for_ever(agent, site, lime):
    site.resource = "something else"
    for _ in range(2):
        with pytest.raises(McpAuthenticationError) as refused:
            await add(agent, site)
        assert refused.value.http_status == 401
    assert len(lime.asked) == 4
    site.resource = None
    assert text(await add(agent, site)) == "3"


def describe(site, **changes):
    document = {"resource": site.url, "authorization_servers": [site.lime.issuer]} | changes
    return json.dumps(document).encode()


@pytest.mark.parametrize("named", [True, False])
async def test_a_server_that_names_its_resource_gets_tokens_for_it(agent, site, lime, named):
    site.resource = site.url
    site.metadata = describe(site)
    if named:
        place = site.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
        site.challenge = f'Bearer error="invalid_token", resource_metadata="{place}"'
    assert text(await add(agent, site)) == "3"
    asked = {"grant_type": "client_credentials", "resource": site.url}
    assert lime.asked == [{"domain": "localhost"}, asked]
    token = await agent.get_mcp_access_token(site.url)
    assert (token.resource, token.token_type) == (site.url, "Bearer")
    assert token.access_token not in repr(token)
    # A new connection knows already; and a new token is one request.
    site.refused = {token.access_token}
    assert text(await add(agent, site)) == "3"
    assert lime.asked[2:] == [asked]
    assert await agent.get_mcp_access_token(site.url, force_refresh=True) != token
    assert lime.asked[3:] == [asked]


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": "https://bank.example/mcp"},
        {"resource": "http://[/mcp"},
        {"authorization_servers": ["https://other.example/oauth"]},
        {"authorization_servers": []},
    ],
)
async def test_metadata_for_another_server_or_another_issuer_is_refused(agent, site, lime, changes):
    site.resource, site.metadata = site.url, describe(site, **changes)
    with pytest.raises(McpAuthenticationError):
        await add(agent, site)
    assert lime.asked == [{"domain": "localhost"}]


async def test_a_challenge_that_points_elsewhere_is_not_followed(agent, site):
    site.resource = site.url
    site.challenge = "Bearer resource_metadata=http://10.0.0.1/latest"
    with pytest.raises(McpAuthenticationError, match="another host"):
        await add(agent, site)


@pytest.mark.parametrize("body", [b"x" * 70_000, b"not json", b"[" * 50_000])
async def test_metadata_that_cannot_be_read_counts_as_none(agent, site, body):
    site.resource, site.metadata = site.url, body
    with pytest.raises(McpAuthenticationError, match="does not accept"):
        await add(agent, site)


async def test_what_lime_says_instead_of_a_token_comes_first(agent, site, lime):
    lime.fail(401, "INVALID_AGENT_TOKEN")
    with pytest.raises(AuthenticationError):
        await add(agent, site)
    assert site.seen == []
    await add(agent, site)
    # And where a new token is needed in the middle of a call.
    site.refused = {token for token, _ in lime.issued}
    lime.fail(401, "INVALID_AGENT_TOKEN")
    with pytest.raises(AuthenticationError):
        await add(agent, site)


async def test_a_server_that_is_not_there_is_a_transport_error(agent, site):
    site.url = "http://127.0.0.1:9/mcp"
    with pytest.raises(TransportError, match=r"127\.0\.0\.1 ended early \(ConnectError\)"):
        await add(agent, site)


def redirect(status, location):
    """Return an answer that leads from `/mcp` to somewhere else, and nothing else anywhere."""

    async def answer(scope, headers, send):
        if scope["path"] != "/mcp":
            return False
        await reply(send, status, [(b"location", location.encode())])
        return True

    return answer


async def test_a_redirect_does_not_take_the_token_along(agent, site):
    site.answer = redirect(307, "https://thief.example/mcp")
    with pytest.raises(TransportError, match="localhost answered HTTP 307") as refused:
        await add(agent, site)
    assert refused.value.http_status == 307


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_on_the_same_server_is_followed(agent, site, status):
    site.answer, app = redirect(status, "/mounted/mcp"), site.app

    async def mounted(scope, receive, send):
        await app({**scope, "path": scope["path"].removeprefix("/mounted")}, receive, send)

    site.app = mounted
    assert text(await add(agent, site)) == "3"
    methods = {(method, path) for method, path, token in site.seen if token}
    assert methods == {("POST", "/mcp"), ("POST", "/mounted/mcp")}


@pytest.mark.parametrize(
    ("status", "location"),
    [(301, "/mounted/mcp"), (303, "/mounted/mcp"), (307, "/mcp"), (307, "http://localhost:1/mcp")],
)
async def test_a_redirect_that_leads_nowhere_ends_the_call_alone(
    agent, site, running, status, location
):
    before = len(site.seen)
    site.answer = redirect(status, location)
    with pytest.raises(TransportError, match=f"answered HTTP {status}"):
        await add(agent, site)
    site.answer = None
    # Neither once more as a GET, nor for ever.
    assert {method for method, _, _ in site.seen[before:]} == {"POST"}
    assert len(site.seen) - before <= 4


async def test_a_server_that_fell_over_is_a_server_to_connect_to_again(agent, site):
    await add(agent, site)

    async def hang_up(scope, headers, send):
        raise RuntimeError

    site.answer = hang_up
    with pytest.raises((TransportError, mcp.MCPError)):
        await add(agent, site)
    site.answer = None
    assert text(await add(agent, site)) == "3"


def refuse_add(status, body=b"", kind=b"application/json", gate=None, challenge=None):
    """Return an answer to calls of `add`, and to nothing else."""
    more = [] if challenge is None else [(b"www-authenticate", challenge)]

    async def answer(scope, headers, send):
        if headers.get("mcp-name") != "add":
            return False
        if gate is not None:
            await gate.wait()
        await reply(send, status, [(b"content-type", kind), *more], body)
        return True

    return answer


def error(code, message):
    said = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": said}).encode()


@pytest.fixture
async def running(agent, site):
    """A call that runs while another one goes wrong, and that must come to its own end."""
    begun = asyncio.Event()
    call = asyncio.create_task(agent.call_tool(site.url, "slow", progress=lambda *_: begun.set()))
    await begun.wait()
    yield call
    site.meeting.set()
    assert text(await call) == "done"
    # And the connection is still the same: a new one would ask what the server speaks.
    site.answer, before = None, len(site.seen)
    assert text(await add(agent, site)) == "3"
    assert len(site.seen) == before + 1


@pytest.mark.parametrize("code", [-32000, -32001, 408, -32600])
async def test_a_server_may_use_any_code_and_the_connection_stays(agent, site, running, code):
    site.answer = refuse_add(400, error(code, "out of stock"))
    with pytest.raises(mcp.MCPError, match="out of stock") as refused:
        await add(agent, site)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", error("x", "y"), error(1, 2), b"[" * 50_000, error(1, "x" * 65_536)],
)
async def test_a_server_that_fails_one_call_leaves_the_others_alone(agent, site, running, body):
    site.answer = refuse_add(503, body)
    with pytest.raises(TransportError, match=r"localhost answered HTTP 503\.") as failed:
        await add(agent, site)
    assert failed.value.http_status == 503


async def test_an_error_that_never_ends_is_not_read_for_ever(agent, site, running):
    async def endless(scope, headers, send):
        if headers.get("mcp-name") != "add":
            return False
        await send({"type": "http.response.start", "status": 500, "headers": []})
        part = {"type": "http.response.body", "body": b"x" * 4096, "more_body": True}
        while not left.is_set():
            await send(part)
            # Sending to nobody neither waits nor fails.
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})
        return True

    left = asyncio.Event()
    site.answer = endless
    with pytest.raises(TransportError, match="HTTP 500"):
        await add(agent, site)
    left.set()


@pytest.mark.parametrize(
    ("challenge", "wanted"),
    [
        (b'Bearer error="insufficient_scope", scope="mcp notes:write"', ": mcp notes:write."),
        (b"Bearer error=insufficient_scope", "."),
        (b'Bearer error="insufficient_scope", scope="\xe9\x9b"', r": \?\?\."),
    ],
)
async def test_a_server_that_wants_another_scope_says_which(
    agent, site, running, challenge, wanted
):
    site.answer = refuse_add(403, error(-32000, "no"), challenge=challenge)
    said = f"^localhost wants a scope that this agent's access token has not{wanted}$"
    with pytest.raises(McpAuthenticationError, match=said) as refused:
        await add(agent, site)
    assert (refused.value.code, refused.value.http_status) == ("insufficient_scope", 403)


async def test_any_other_403_is_what_the_server_says_of_the_call(agent, site, running):
    other = b'Bearer error="invalid_token", error_description="error=insufficient_scope"'
    site.answer = refuse_add(403, error(-32000, "not on Sundays"), challenge=other)
    with pytest.raises(mcp.MCPError, match="not on Sundays"):
        await add(agent, site)


@pytest.mark.parametrize("sent", [b"", b'data: {"jsonrpc', b": waiting\n\n"])
@pytest.mark.parametrize("ends", [True, False])
async def test_an_answer_that_breaks_off_is_a_transport_error(agent, site, running, sent, ends):
    async def break_off(scope, headers, send):
        if headers.get("mcp-name") != "add":
            return False
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": sent, "more_body": True})
        if not ends:
            raise RuntimeError
        await send({"type": "http.response.body", "body": b""})
        return True

    site.answer = break_off
    how = "ended early." if ends else r"ended early \(RemoteProtocolError\)"
    with pytest.raises(TransportError, match=how):
        await add(agent, site)


def no_more_tokens(site, lime):
    site.refused = {token for token, _ in lime.issued}
    lime.fail(401, "INVALID_AGENT_TOKEN")


async def test_a_call_without_a_token_leaves_the_others_alone(agent, site, lime, running):
    no_more_tokens(site, lime)
    with pytest.raises(AuthenticationError):
        await add(agent, site)
    site.refused = set()


async def test_what_the_server_says_of_a_call_is_not_replaced_by_the_failure_of_another(
    agent, site, lime, running
):
    gate = asyncio.Event()
    site.answer = refuse_add(400, error(-32000, "out of stock"), gate=gate)
    call = asyncio.create_task(add(agent, site))
    await asyncio.sleep(0)
    no_more_tokens(site, lime)
    with pytest.raises(AuthenticationError):
        await agent.list_tools(site.url)
    gate.set()
    with pytest.raises(mcp.MCPError, match="out of stock"):
        await call
    site.refused = set()


async def test_a_borrowed_session_raises_what_lime_says_too(agent, site, lime, running):
    async with agent.mcp_session(site.url) as session:
        with pytest.raises(mcp.MCPError):
            await session.get_prompt("nothing")
        no_more_tokens(site, lime)
    with pytest.raises(AuthenticationError):
        async with agent.mcp_session(site.url) as session:
            await session.list_tools()
    with pytest.raises(LookupError):
        async with agent.mcp_session(site.url):
            raise LookupError
    site.refused = set()


async def test_a_connection_that_begins_without_a_token_begins_again(agent, site, lime):
    await agent.get_mcp_access_token(site.url)
    no_more_tokens(site, lime)
    calls = await asyncio.gather(*(add(agent, site) for _ in range(3)), return_exceptions=True)
    assert [type(call) for call in calls] == [AuthenticationError] * 3
    # Asked once. That there was no token says nothing about which protocol it speaks.
    assert [path for _, path, _ in site.seen].count("/mcp") == 1
    assert text(await add(agent, site)) == "3"


async def test_an_answer_that_takes_too_long_is_a_transport_error(lime, site):
    async with lime.agent(allow_private=True, mcp_read_timeout=1) as agent:
        await add(agent, site)
        with pytest.raises(TransportError, match=r"localhost did not answer in time\."):
            await agent.call_tool(site.url, "slow")


async def test_whoever_borrows_a_session_may_call_meanwhile(lime, site):
    async with lime.agent(allow_private=True, serialize_mcp_per_url=True) as agent:
        async with asyncio.timeout(30), agent.mcp_session(site.url):
            other = asyncio.create_task(agent.list_tools(site.url))
            assert text(await add(agent, site)) == "3"
            assert not other.done()
        assert len(await other) == 2


async def test_calls_that_run_when_an_agent_closes_say_so(agent, site):
    begun = asyncio.Event()
    call = asyncio.create_task(agent.call_tool(site.url, "slow", progress=lambda *_: begun.set()))
    await begun.wait()
    await agent.aclose()
    with pytest.raises(ClosedError):
        await call


@pytest.fixture
async def legacy(lime, servers):
    site = Site(lime, stateless=False)

    async def no_discovery(scope, headers, send):
        if headers.get("mcp-method") == "server/discover":
            await reply(send, 404)
            return True
        if site.forgotten and headers.get("mcp-session-id") in site.forgotten:
            await reply(send, 404)
            return True
        if session := headers.get("mcp-session-id"):
            site.sessions.add(session)
            if site.forgetful:
                await reply(send, 404)
                return True
        return False

    site.answer, site.sessions, site.forgotten, site.forgetful = no_discovery, set(), set(), False
    return await servers.enter_async_context(site.served())


async def test_a_server_with_sessions_is_served_too(agent, legacy):
    assert text(await add(agent, legacy)) == "3"
    await agent.send_ping(legacy.url)
    await agent.send_progress_notification(legacy.url, "token", 0.5)
    with pytest.raises(mcp.MCPError):
        await agent.set_logging_level(legacy.url, "info")
    assert len(legacy.sessions) == 1


async def test_a_session_that_the_server_forgot_is_begun_again(agent, legacy):
    await add(agent, legacy)
    legacy.forgotten = set(legacy.sessions)
    assert text(await add(agent, legacy)) == "3"
    assert len(legacy.sessions) == 2


async def test_a_session_that_the_server_forgot_is_left_to_calls_that_run(agent, legacy):
    begun = asyncio.Event()
    call = asyncio.create_task(agent.call_tool(legacy.url, "slow", progress=lambda *_: begun.set()))
    await begun.wait()
    legacy.forgotten = set(legacy.sessions)
    assert text(await add(agent, legacy)) == "3"
    legacy.meeting.set()
    assert text(await call) == "done"
    assert len(legacy.sessions) == 2


async def test_a_notification_without_a_token_does_not_end_the_session(agent, legacy, lime):
    await add(agent, legacy)
    no_more_tokens(legacy, lime)
    await agent.send_progress_notification(legacy.url, "token", 0.5)
    # It comes behind, and so after the failure.
    assert text(await add(agent, legacy)) == "3"
    assert len(legacy.sessions) == 1


async def test_a_server_that_forgets_at_once_is_not_tried_for_ever(agent, legacy):
    await agent.list_tools(legacy.url)
    legacy.forgetful = True
    with pytest.raises((TransportError, mcp.MCPError)):
        await add(agent, legacy)


async def test_a_closed_agent_makes_no_calls(lime, site):
    agent = lime.agent(allow_private=True)
    await add(agent, site)
    await agent.aclose()
    await agent.aclose()
    for call in (add(agent, site), agent.get_mcp_access_token(site.url)):
        with pytest.raises(ClosedError):
            await call


async def test_a_blocking_program_has_the_same_calls(lime, site):
    def program():
        with lime.agent_sync(allow_private=True) as agent:
            names = [tool.name for tool in agent.list_tools(site.url)]
            reports = []
            site.meeting.set()
            agent.call_tool(site.url, "slow", progress=lambda *report: reports.append(report))
            ref = PromptReference(type="ref/prompt", name="greet")
            found = [
                agent.get_mcp_access_token(site.url).resource,
                text(agent.call_tool(site.url, "add", {"a": 1, "b": 2})),
                agent.list_resources(site.url)[0].name,
                agent.list_resource_templates(site.url)[0].name,
                agent.read_resource(site.url, "note://one").contents[0].text,
                agent.list_prompts(site.url)[0].name,
                agent.get_prompt(site.url, "greet", {"name": "A"}).messages[0].content.text,
                agent.complete(site.url, ref, {"name": "name", "value": "A"}).values,
                agent.get_server_capabilities(site.url).tools is not None,
            ]
            # The stateless protocol has none of these; a notification has no answer.
            agent.send_progress_notification(site.url, "token", 1)
            for call in (
                lambda: agent.send_ping(site.url),
                lambda: agent.set_logging_level(site.url, "info"),
            ):
                with pytest.raises(mcp.MCPError):
                    call()
            return names, reports, found

    names, reports, found = await asyncio.to_thread(program)
    assert (names, reports) == (["add", "slow"], [(1, 2, "half")])
    assert found == [None, "3", "note", "named", "first", "greet", "Hello A", ["Ax"], True]


async def test_a_closed_blocking_agent_makes_no_calls(lime, site):
    def program():
        agent = lime.agent_sync(allow_private=True)
        agent.close()
        for call in (agent.list_tools, agent.get_mcp_access_token):
            with pytest.raises(ClosedError):
                call(site.url)
        agent.close()
        assert "lime-mcp" not in [thread.name for thread in threading.enumerate()]

    await asyncio.to_thread(program)


async def test_a_callback_that_waits_for_its_own_blocking_agent_is_refused(lime, site):
    def program():
        refused = []

        def progress(*report):
            with pytest.raises(ConfigurationError) as error:
                agent.list_tools(site.url)
            refused.append(error.value)

        site.meeting.set()
        with lime.agent_sync(allow_private=True) as agent:
            assert text(agent.call_tool(site.url, "slow", progress=progress)) == "done"
        return refused

    assert len(await asyncio.to_thread(program)) == 1


async def test_calls_that_run_when_a_blocking_agent_closes_say_so(lime, site):
    def program():
        begun, agent = threading.Event(), lime.agent_sync(allow_private=True)
        with ThreadPoolExecutor(1) as others:
            call = others.submit(agent.call_tool, site.url, "slow", progress=lambda *_: begun.set())
            begun.wait()
            agent.close()
            with pytest.raises(ClosedError):
                call.result()

    await asyncio.to_thread(program)


async def test_a_call_that_needs_no_token_waits_for_no_other_thread(agent, site):
    await add(agent, site)
    asyncio.get_running_loop().set_default_executor(pool := ThreadPoolExecutor(1))
    release = threading.Event()
    pool.submit(release.wait)
    try:
        assert text(await asyncio.wait_for(add(agent, site), 30)) == "3"
    finally:
        release.set()
