"""Both of our SDKs against a real server: the whole login, as an application would write it."""

import asyncio
import queue

import pytest

import lime_agents
import lime_sites
from tests.contract.promises import promise
from tests.support.server import DevServer
from tests.support.stub import Stub, ok
from tests.support.wire import PATIENCE

HOSTILE = [
    "../../core/agents/me/profile",
    "..",
    ".",
    "a/b",
    "a\\b",
    "%2e%2e%2fcore",
    "x?admin=1",
    "x#y",
    "x\r\nX-Agent-Token: y",
    "\x00",
    "//evil.example/x",
    "http://evil.example/",
    "é",
    "x" * 10_000,
    "",
    " ",
]


@promise("sdks:async")
async def test_both_sdks_complete_a_login_on_asyncio(dev: DevServer) -> None:
    heard: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()
    base, tokens = dev.api_base, dev.ready
    async with (
        lime_sites.LimeSite(site_token=tokens["site_token"], base_url=base) as site,
        lime_agents.LimeAgent(agent_token=tokens["agent_token"], base_url=base) as agent,
    ):

        @site.on_login
        async def handle(request_id: str, passport: str | None) -> None:
            await heard.put((request_id, passport))

        request = await site.create_login_request()
        approval = await agent.login(request.request_id)
        request_id, passport = await asyncio.wait_for(heard.get(), PATIENCE)
        assert passport is not None
        verified = await site.verify_passport(passport, expected_request_id=request_id)
        unbound = await site.verify_passport(passport)
    assert request_id == request.request_id == approval.request_id
    assert approval.approved_agent_id == verified.agent_id == unbound.agent_id == tokens["agent_id"]
    assert verified.valid is True
    assert verified.claims["request_id"] == request_id
    assert verified.site_id == tokens["site_id"]


@promise("sdks:blocking")
def test_both_sdks_complete_a_login_without_asyncio(dev: DevServer) -> None:
    heard: queue.Queue[tuple[str, str | None]] = queue.Queue()
    base, tokens = dev.api_base, dev.ready
    with (
        lime_sites.LimeSiteSync(site_token=tokens["site_token"], base_url=base) as site,
        lime_agents.LimeAgentSync(agent_token=tokens["agent_token"], base_url=base) as agent,
    ):

        @site.on_login
        def handle(request_id: str, passport: str | None) -> None:
            heard.put((request_id, passport))

        request = site.create_login_request()
        approval = agent.login(request.request_id)
        request_id, passport = heard.get(timeout=PATIENCE)
        assert passport is not None
        verified = site.verify_passport(passport, expected_request_id=request_id)
        profile = agent.get_profile()
    assert request_id == request.request_id == approval.request_id
    assert profile.agent_id == verified.agent_id == tokens["agent_id"]
    assert verified.claims["user_id"] == profile.owner_id


@promise("sdks:hostile-id")
@pytest.mark.parametrize("request_id", HOSTILE, ids=lambda each: repr(each)[:24])
def test_a_hostile_request_id_never_becomes_another_path(request_id: str) -> None:
    with (
        Stub({("GET", "/core/agents/me/profile"): lambda _: ok({})}) as stub,
        lime_agents.LimeAgentSync(
            agent_token=f"at_{'A' * 43}", base_url=stub.api_base, max_retries=0
        ) as agent,
    ):
        for act in (agent.login, agent.deny):
            with pytest.raises(lime_agents.LimeError):
                act(request_id)
        for seen in stub.seen:
            prefixes = ("/api/v1/auth/requests/", "/api/v1/modules/agent-login/requests/")
            rest = next(
                seen.path.removeprefix(each) for each in prefixes if seen.path.startswith(each)
            )
            segment = rest.removesuffix("/deny").removesuffix("/approve")
            assert segment not in {"", ".", ".."}
            assert not set("/\\?#") & set(segment)
