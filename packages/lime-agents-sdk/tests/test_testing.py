import asyncio

import httpx
import pytest

from lime_agents import AgentInactiveError, LimeAgent, LimeAgentSync, LoginNotFoundError
from lime_agents.testing import FakeLime


def post(fake, path, content=b"{}", token=None):
    headers = {"X-Agent-Token": fake.agent_token if token is None else token}
    with httpx.Client(transport=fake.transport) as client:
        return client.post(f"{fake.base_url}{path}", content=content, headers=headers)


def code(answer):
    return answer.json()["error"]["code"]


def test_a_program_that_makes_its_own_agent_meets_the_fake(fake_lime_for_agents):
    login = fake_lime_for_agents.new_login(domain="shop.example")
    with LimeAgentSync() as agent:
        assert agent.login(login.request_id).site_id == login.site.site_id
    assert login.status == "DELIVERED"
    assert login.approved_agent_id == fake_lime_for_agents.profile.agent_id


def test_both_kinds_of_clients_meet_the_failures_that_were_planned(fake_lime_for_agents):
    fake_lime_for_agents.fail(403, "AGENT_INACTIVE", times=2)

    async def ask():
        async with LimeAgent() as agent:
            await agent.get_profile()

    with LimeAgentSync() as agent, pytest.raises(AgentInactiveError):
        agent.get_profile()
    with pytest.raises(AgentInactiveError):
        asyncio.run(ask())


def test_the_fake_is_gone_after_its_context():
    with FakeLime().mounted(), pytest.raises(ValueError, match="mounted already"):
        FakeLime().mounted().__enter__()
    with FakeLime().mounted():
        pass


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"pow_nonce": 5}', b'{"pow_nonce": null}', b"\xff"]
)
def test_the_fake_misses_a_nonce_as_lime_does(fake, content):
    path = f"/modules/agent-login/requests/{fake.new_login().request_id}/approve"
    assert code(post(fake, path, content)) == "MISSING_POW_NONCE"


def test_the_fake_checks_the_proof_of_work_for_real(fake):
    login = fake.new_login(difficulty=32)
    path = f"/modules/agent-login/requests/{login.request_id}/approve"
    assert code(post(fake, path, b'{"pow_nonce": "1"}')) == "INVALID_POW"
    assert login.status == "PENDING"


def test_the_fake_gives_a_login_to_one_agent_only(fake):
    login = fake.new_login()
    login.status, login.approved_agent_id = "APPROVED", "another"
    path = f"/modules/agent-login/requests/{login.request_id}/approve"
    answer = post(fake, path, b'{"pow_nonce": "1"}')
    assert (answer.status_code, code(answer)) == (404, "SITE_LOGIN_REQUEST_NOT_FOUND")


def test_the_fake_does_not_approve_what_ended_while_the_agent_worked(fake):
    login = fake.new_login()

    def ends(site):
        login.expire()
        return True

    with pytest.raises(LoginNotFoundError):
        fake.agent_sync().login(login.request_id, allow=ends)


def test_the_fake_does_not_deny_what_is_approved(fake):
    login = fake.new_login()
    agent = fake.agent_sync()
    agent.login(login.request_id)
    with pytest.raises(LoginNotFoundError):
        agent.deny(login.request_id)


def test_the_fake_knows_its_credential(fake):
    path = "/modules/agent-login/requests/x/approve"
    assert code(post(fake, path, token="at_other")) == "INVALID_AGENT_TOKEN"
    with httpx.Client(transport=fake.transport) as client:
        answer = client.post(f"{fake.base_url}{path}")
    assert (answer.status_code, code(answer)) == (401, "MISSING_AGENT_TOKEN")


def test_the_fake_has_nothing_else(fake):
    answer = post(fake, "/elsewhere")
    assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")
