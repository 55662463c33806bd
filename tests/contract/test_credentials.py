"""Protocol section 2: who may speak, and how everyone else is refused."""

import hashlib

import httpx
import pytest

from tests.contract.promises import promise
from tests.support.deployment import Deployment, eventually
from tests.support.relay import Relay
from tests.support.wire import Agent, Site, Wire, data, refusal

NOBODY = "A" * 43


def _as_agent(wire: Wire, **headers: str) -> list[httpx.Response]:
    """Every route that wants an agent token."""
    request = "/modules/agent-login/requests/00000000-0000-4000-8000-000000000000"
    return [
        wire.http.get("/core/agents/me/profile", headers=headers),
        wire.http.post(f"{request}/approve", json={"pow_nonce": "0"}, headers=headers),
        wire.http.post(f"{request}/deny", json={}, headers=headers),
    ]


def _as_site(wire: Wire, **headers: str) -> list[httpx.Response]:
    """Every route that wants a site token."""
    return [
        wire.http.post("/modules/agent-login/requests", json={}, headers=headers),
        wire.http.get(
            "/modules/agent-login/requests/00000000-0000-4000-8000-000000000000", headers=headers
        ),
        wire.http.get("/modules/agent-login/events", headers=headers),
        wire.http.post("/modules/agent-login/events/ack", json={"ids": []}, headers=headers),
        wire.http.get("/foundation/sites/me", headers=headers),
    ]


@promise("credentials:agent-header")
def test_an_agent_token_counts_in_its_own_header_only(wire: Wire, agent: Agent) -> None:
    data(wire.http.get("/core/agents/me/profile", headers={"X-Agent-Token": agent.token}))
    wrong = {
        "Authorization": f"Bearer {agent.token}",
        "Cookie": f"agent_token={agent.token}",
        "X-Site-Token": agent.token,
    }
    for answer in _as_agent(wire, **wrong):
        assert refusal(answer) == (401, "MISSING_AGENT_TOKEN")
    answer = wire.http.get("/core/agents/me/profile", params={"agent_token": agent.token})
    assert refusal(answer) == (401, "MISSING_AGENT_TOKEN")


@promise("credentials:site-header")
def test_a_site_token_counts_in_its_own_header_only(wire: Wire, site: Site) -> None:
    data(wire.http.get("/foundation/sites/me", headers={"X-Site-Token": site.token}))
    wrong = {
        "Authorization": f"Bearer {site.token}",
        "Cookie": f"site_token={site.token}",
        "X-Agent-Token": site.token,
    }
    for answer in _as_site(wire, **wrong):
        assert refusal(answer) == (401, "SITE_TOKEN_MISSING")


@promise("credentials:shape")
def test_tokens_have_their_prefix_and_256_bits(deployment: Deployment) -> None:
    agents = [deployment.agent().token for _ in range(3)]
    sites = [deployment.site().token for _ in range(3)]
    assert all(token.startswith("at_") for token in agents)
    assert all(token.startswith("st_") for token in sites)
    bodies = [token[3:] for token in agents + sites]
    # 43 characters of base64url hold 258 bits; the last two are always zero.
    assert all(
        len(body) >= 43 and body.replace("-", "a").replace("_", "a").isalnum() for body in bodies
    )
    assert len(set(bodies)) == len(bodies)


@promise("credentials:only-a-hash")
def test_the_database_knows_neither_token_nor_plain_hash(
    wire: Wire, deployment: Deployment, agent: Agent, site: Site
) -> None:
    wire.passport(agent, site)
    everything = deployment.everything_stored()
    assert agent.agent_id in everything, "the search must be able to find something"
    for token in (agent.token, site.token):
        assert token not in everything
        assert token[3:] not in everything
        for text in (token, token[3:]):
            assert text.encode().hex() not in everything
            for plain in (hashlib.sha256, hashlib.sha512, hashlib.sha1, hashlib.md5):
                assert plain(text.encode()).hexdigest() not in everything


@promise("credentials:shown-once")
def test_no_answer_contains_a_token(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.login(agent, site)
    answers = [
        *_as_agent(wire, **agent.headers),
        *(each for each in _as_site_without_stream(wire, site)),
        wire.view(site, request_id, wait=5),
    ]
    for answer in answers:
        for token in (agent.token, site.token):
            assert token[3:] not in answer.text
            assert token[3:] not in str(answer.headers)


def _as_site_without_stream(wire: Wire, site: Site) -> list[httpx.Response]:
    return [
        wire.create(site),
        wire.acknowledge(site),
        wire.http.get("/foundation/sites/me", headers=site.headers),
    ]


@promise("credentials:passport-is-no-token")
def test_a_passport_is_refused_where_a_token_is_wanted(
    wire: Wire, agent: Agent, site: Site
) -> None:
    passport = wire.passport(agent, site)
    for answer in _as_agent(wire, **{"X-Agent-Token": passport}):
        assert refusal(answer) == (401, "INVALID_AGENT_TOKEN")
    for answer in _as_site(wire, **{"X-Site-Token": passport}):
        assert refusal(answer) == (401, "SITE_TOKEN_INVALID")


@promise("credentials:agent-missing")
def test_no_agent_token(wire: Wire) -> None:
    for answer in [*_as_agent(wire), *_as_agent(wire, **{"X-Agent-Token": ""})]:
        assert refusal(answer) == (401, "MISSING_AGENT_TOKEN")


@promise("credentials:agent-unknown")
def test_an_unknown_agent_token(wire: Wire, agent: Agent, site: Site) -> None:
    last = "A" if agent.token[-1] != "A" else "E"
    for token in (
        f"at_{NOBODY}",
        agent.token[:-1] + last,
        agent.token + "A",
        agent.token[3:],
        site.token,
        "at_",
        "x" * 5000,
    ):
        for answer in _as_agent(wire, **{"X-Agent-Token": token}):
            assert refusal(answer) == (401, "INVALID_AGENT_TOKEN")


@promise("credentials:agent-inactive")
def test_an_agent_that_is_switched_off(wire: Wire, deployment: Deployment) -> None:
    agent = deployment.agent()
    data(wire.http.get("/core/agents/me/profile", headers=agent.headers))
    deployment.switch_off(agent)
    for answer in deployment.once_noticed(lambda: _as_agent(wire, **agent.headers)):
        assert refusal(answer) == (403, "AGENT_INACTIVE")


@promise("credentials:owner-suspended")
def test_an_agent_whose_owner_is_suspended(wire: Wire, deployment: Deployment) -> None:
    agent = deployment.agent(owner=deployment.owner())
    deployment.suspend_owner_of(agent)
    for answer in deployment.once_noticed(lambda: _as_agent(wire, **agent.headers)):
        assert refusal(answer) == (403, "AGENT_USER_SUSPENDED")


@promise("credentials:site-missing")
def test_no_site_token(wire: Wire) -> None:
    for answer in [*_as_site(wire), *_as_site(wire, **{"X-Site-Token": ""})]:
        assert refusal(answer) == (401, "SITE_TOKEN_MISSING")


@promise("credentials:site-unknown")
def test_an_unknown_site_token(wire: Wire, agent: Agent, site: Site) -> None:
    last = "A" if site.token[-1] != "A" else "E"
    for token in (
        f"st_{NOBODY}",
        site.token[:-1] + last,
        site.token + "A",
        site.token[3:],
        agent.token,
        "st_",
        "x" * 5000,
    ):
        for answer in _as_site(wire, **{"X-Site-Token": token}):
            assert refusal(answer) == (401, "SITE_TOKEN_INVALID")


@promise("credentials:site-suspended")
def test_a_suspended_site(wire: Wire, deployment: Deployment) -> None:
    site = deployment.site()
    deployment.suspend(site)
    for answer in deployment.once_noticed(lambda: _as_site(wire, **site.headers)):
        assert refusal(answer) == (403, "SITE_SUSPENDED")


@promise("credentials:store-down")
@pytest.mark.parametrize("known", [True, False])
def test_a_silent_credential_store_opens_no_door(
    deployment: Deployment, agent: Agent, site: Site, known: bool
) -> None:
    # Tokens that this server process has never seen, so that nothing it remembers can answer for the store.
    agent_token = agent.token if known else f"at_{NOBODY}"
    site_token = site.token if known else f"st_{NOBODY}"
    with (
        Relay(deployment.database_address) as relay,
        deployment.server(
            "cut-off",
            LIME_DATABASE_URL=deployment.database_through(relay),
            LIME_DATABASE_TIMEOUT="1",
        ) as server,
        Wire(server.api_base) as wire,
    ):
        relay.cut()
        for answer in _as_agent(wire, **{"X-Agent-Token": agent_token}):
            assert refusal(answer) == (503, "AUTH_UNAVAILABLE")
        for answer in _as_site(wire, **{"X-Site-Token": site_token}):
            assert refusal(answer) == (503, "SITE_TOKEN_AUTH_UNAVAILABLE")
        relay.mend()
        if known:
            eventually(
                lambda: (
                    wire.http.get("/foundation/sites/me", headers=site.headers).status_code == 200
                )
            )
