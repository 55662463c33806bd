import asyncio
import threading

import httpx
import pytest
import respx

from lime_agents import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    LimeAgent,
    LimeAgentSync,
    LoginRefusedError,
    _pow,
)
from lime_pow import Solver

BASE = "https://lime.example/api/v1"
PROFILE = {"agent_id": "a1", "user_id": "u1"}


def test_an_agent_can_be_made_from_the_environment(monkeypatch):
    monkeypatch.setenv("LIME_AGENT_TOKEN", "at_x")
    monkeypatch.setenv("LIME_API_BASE", BASE)
    assert repr(LimeAgent()) == f"LimeAgent(base_url='{BASE}')"
    assert repr(LimeAgentSync()) == f"LimeAgentSync(base_url='{BASE}')"


@pytest.mark.parametrize("kind", [LimeAgent, LimeAgentSync])
def test_what_is_missing_is_named(kind, monkeypatch):
    monkeypatch.delenv("LIME_AGENT_TOKEN", raising=False)
    monkeypatch.delenv("LIME_API_BASE", raising=False)
    with pytest.raises(AuthenticationError, match="LIME_AGENT_TOKEN"):
        kind(base_url=BASE)
    with pytest.raises(ConfigurationError, match="LIME_API_BASE"):
        kind(agent_token="at_x")


@pytest.mark.parametrize("kind", [LimeAgent, LimeAgentSync])
@pytest.mark.parametrize(
    "option", [{"timeout": 0}, {"max_retries": -1}, {"pow_timeout": 0}, {"max_difficulty": 99}]
)
def test_impossible_settings_are_refused_at_once(kind, option):
    with pytest.raises(ConfigurationError, match=next(iter(option))):
        kind(agent_token="at_x", base_url=BASE, **option)


@pytest.mark.parametrize("kind", [LimeAgent, LimeAgentSync])
def test_plain_http_to_another_machine_needs_consent(kind):
    with pytest.raises(ConfigurationError, match="clear text"):
        kind(agent_token="at_x", base_url="http://lime.example/api/v1")
    kind(agent_token="at_x", base_url="http://lime.example/api/v1", allow_insecure_http=True)


@respx.mock
async def test_the_wire_is_what_the_protocol_says():
    route = respx.get(f"{BASE}/core/agents/me/profile").respond(json={"ok": True, "data": PROFILE})
    async with LimeAgent(agent_token="at_x", base_url=BASE) as agent:
        assert (await agent.get_profile()).owner_id == "u1"
    sent = route.calls.last.request
    assert sent.headers["x-agent-token"] == "at_x"
    assert sent.headers["user-agent"].startswith("lime-agents-sdk/4.0.0 (python 3.")
    with pytest.raises(ClosedError):
        await agent.get_profile()


@respx.mock
def test_the_blocking_wire_is_the_same():
    route = respx.get(f"{BASE}/core/agents/me/profile").respond(json={"ok": True, "data": PROFILE})
    with LimeAgentSync(agent_token="at_x", base_url=BASE) as agent:
        assert agent.get_profile().agent_id == "a1"
    assert route.calls.last.request.headers["x-agent-token"] == "at_x"
    with pytest.raises(ClosedError):
        agent.get_profile()


async def test_a_custom_client_is_used_and_left_open(fake):
    async with httpx.AsyncClient(transport=fake.transport) as client:
        async with LimeAgent(
            agent_token=fake.agent_token, base_url=fake.base_url, http_client=client
        ) as agent:
            await agent.get_profile()
        assert not client.is_closed


async def test_allow_may_be_async(fake):
    async def allow(site):
        await asyncio.sleep(0)
        return site.domain == "shop.example"

    agent = fake.agent()
    login = fake.new_login(domain="shop.example")
    assert (await agent.login(login.request_id, allow=allow)).status == "DELIVERED"
    with pytest.raises(LoginRefusedError):
        await agent.login(fake.new_login(domain="other.example").request_id, allow=allow)


def test_an_async_allow_is_refused_by_the_blocking_client(fake):
    async def allow(site):
        raise AssertionError

    login = fake.new_login()
    with pytest.raises(TypeError, match="blocking"):
        fake.agent_sync().login(login.request_id, allow=allow)
    assert login.status == "PENDING"


async def test_cancelling_a_login_stops_its_work(fake):
    searching = asyncio.Event()

    async def allow(site):
        searching.set()
        return True

    login = fake.new_login(difficulty=32)
    agent = fake.agent(max_difficulty=32, pow_timeout=3600)
    task = asyncio.create_task(agent.login(login.request_id, allow=allow))
    await searching.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [method for method, _ in fake.calls] == ["GET"]
    assert login.status == "PENDING"


async def test_the_event_loop_is_free_while_the_puzzle_is_solved(fake, monkeypatch):
    # The search waits for the loop: if it held the loop up, neither would ever go on.
    loop_is_free = threading.Event()

    class Waiting:
        def __init__(self, challenge, difficulty):
            self.solver = Solver(challenge, difficulty)
            self.threads, self.stop = self.solver.threads, self.solver.stop

        def advance(self, attempts):
            assert loop_is_free.wait(60)
            return self.solver.advance(attempts)

    monkeypatch.setattr(_pow, "Solver", Waiting)
    login = fake.new_login()
    asyncio.get_running_loop().call_later(0, loop_is_free.set)
    assert (await fake.agent().login(login.request_id)).status == "DELIVERED"


async def test_fifty_logins_at_once_share_one_agent(fake):
    logins = [fake.new_login() for _ in range(50)]
    agent = fake.agent()
    results = await asyncio.gather(*(agent.login(login.request_id) for login in logins))
    assert {result.request_id for result in results} == set(fake.logins)


def test_approving_twice_gives_the_same_outcome(client, fake):
    # The first answer is lost on its way; the second is the same.
    login = fake.new_login()
    running = client()
    original = fake.transport.handler
    lose = iter([True])

    def once(request):
        answer = original(request)
        if request.method == "POST" and next(lose, False):
            raise httpx.ReadError("lost", request=request)
        return answer

    fake.transport.handler = once
    assert running.do("login", login.request_id).status == "DELIVERED"
    assert [path.rpartition("/")[2] for _, path in fake.calls][1:] == ["approve", "approve"]
