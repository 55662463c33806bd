"""Protocol section 3: the five steps, and every way in which they can go otherwise."""

import uuid

import httpx
import pytest

from tests.contract.promises import promise
from tests.support.burst import at_once
from tests.support.deployment import Deployment
from tests.support.tokens import parts, read
from tests.support.wire import Agent, Site, Wire, data, refusal

NOT_FOUND = (404, "SITE_LOGIN_REQUEST_NOT_FOUND")


@promise("site-login:five-steps")
def test_five_steps_lead_to_a_passport_on_the_sites_stream(
    wire: Wire, agent: Agent, site: Site
) -> None:
    with wire.events(site) as stream:
        request_id = data(wire.create(site), 201)["login_request_id"]
        challenge = data(wire.challenge(request_id))
        assert challenge["pow_difficulty"] >= 1
        approval = data(wire.approve(agent, request_id, wire.solved(request_id)))
        frame = stream.of(request_id)
    assert approval["approved_agent_id"] == agent.agent_id
    claims = read(frame.body["agent_passport_jwt"], wire.jwks().json())
    assert claims["sub"] == agent.agent_id
    assert claims["request_id"] == request_id


@promise("site-login:create")
def test_a_site_gets_a_pending_request(wire: Wire, site: Site) -> None:
    created = data(wire.create(site), 201)
    assert set(created) == {"login_request_id", "status", "expires_at", "site_id"}
    assert created["status"] == "PENDING"
    assert created["site_id"] == site.site_id


@promise("site-login:create:no-body")
def test_a_request_needs_no_body(wire: Wire, site: Site) -> None:
    assert (
        data(wire.http.post("/modules/agent-login/requests", headers=site.headers), 201)["status"]
        == "PENDING"
    )
    assert data(wire.create(site, {}), 201)["status"] == "PENDING"


@promise("site-login:create:redirect-url")
def test_a_redirect_url_comes_back_with_the_event(wire: Wire, agent: Agent, site: Site) -> None:
    with wire.events(site) as stream:
        request_id = wire.login(agent, site, redirect_url="https://shop.example/back?cart=7")
        assert stream.of(request_id).body["redirect_url"] == "https://shop.example/back?cart=7"


@promise("site-login:create:bad-redirect-url")
@pytest.mark.parametrize(
    "address",
    ["", "shop.example", "javascript:alert(1)", "ftp://shop.example/", "http://shop.example/", "https://", "https://u:p@shop.example/",
     "https://shop.example/\nx", "https://shop.example/" + "x" * 5000, 7, ["https://shop.example/"]],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(wire: Wire, site: Site, address: object) -> None:
    assert wire.create(site, {"redirect_url": address}).status_code == 400


@promise("site-login:challenge")
def test_the_puzzle_is_read_without_a_credential(wire: Wire, site: Site) -> None:
    found = data(wire.challenge(wire.new_request(site)))
    assert isinstance(found["pow_challenge"], str)
    assert type(found["pow_difficulty"]) is int


@promise("site-login:challenge:extras")
def test_the_puzzle_says_for_whom_it_is(wire: Wire, deployment: Deployment) -> None:
    site = deployment.site(display_name="Corner Shop", domain="shop.example")
    created = data(wire.create(site), 201)
    found = data(wire.challenge(created["login_request_id"]))
    assert set(found) == {"pow_challenge", "pow_difficulty", "pow_algorithm", "expires_at", "site"}
    assert found["pow_algorithm"] == "sha256"
    assert found["expires_at"] == created["expires_at"]
    assert found["site"] == {
        "site_id": site.site_id,
        "display_name": "Corner Shop",
        "domain": "shop.example",
        "domain_verified": False,
    }


@promise("site-login:challenge:unknown")
@pytest.mark.parametrize(
    "request_id",
    [
        str(uuid.UUID(int=7, version=4)),
        "x",
        "0",
        "%00",
        "%F0%9F%8D%8B",
        "null",
        "a" * 2000,
        "{}",
        "1%3B--",
    ],
)
def test_an_id_that_was_never_given_out_is_not_found(
    wire: Wire, agent: Agent, site: Site, request_id: str
) -> None:
    assert refusal(wire.challenge(request_id)) == NOT_FOUND
    assert refusal(wire.approve(agent, request_id, "0")) == NOT_FOUND
    assert refusal(wire.deny(agent, request_id)) == NOT_FOUND
    assert refusal(wire.view(site, request_id)) == NOT_FOUND


@promise("site-login:challenge:unknown")
@pytest.mark.parametrize("request_id", ["..%2F..%2Fcore", "%2e%2e", "a%2Fapprove", "a%5Cb"])
def test_an_id_that_looks_like_a_path_leads_nowhere(
    wire: Wire, agent: Agent, site: Site, request_id: str
) -> None:
    for answer in (
        wire.challenge(request_id),
        wire.approve(agent, request_id, "0"),
        wire.view(site, request_id),
    ):
        assert refusal(answer)[0] in {404, 405}


@promise("site-login:challenge:denied")
def test_a_denied_request_is_not_found(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    data(wire.deny(agent, request_id))
    assert refusal(wire.challenge(request_id)) == NOT_FOUND


@promise("site-login:challenge:approved")
def test_an_approved_request_is_not_found(wire: Wire, agent: Agent, site: Site) -> None:
    assert refusal(wire.challenge(wire.login(agent, site))) == NOT_FOUND


@promise("site-login:challenge:expired", "site-login:states:expired")
def test_an_expired_request_is_not_found(hasty_wire: Wire, agent: Agent, site: Site) -> None:
    request_id = hasty_wire.new_request(site)
    nonce = hasty_wire.solved(request_id)
    assert data(hasty_wire.view(site, request_id, wait=10))["status"] == "EXPIRED"
    assert refusal(hasty_wire.challenge(request_id)) == NOT_FOUND
    assert refusal(hasty_wire.approve(agent, request_id, nonce)) == NOT_FOUND


@promise("site-login:approve")
def test_an_approval_says_what_was_approved(wire: Wire, agent: Agent, site: Site) -> None:
    created = data(wire.create(site), 201)
    request_id = created["login_request_id"]
    approval = wire.approved(agent, request_id)
    assert approval == {
        "request_id": request_id,
        "site_id": site.site_id,
        "status": approval["status"],
        "expires_at": created["expires_at"],
        "approved_agent_id": agent.agent_id,
    }
    assert approval["status"] in {"APPROVED", "DELIVERED"}


@promise("site-login:approve:missing-nonce")
def test_an_approval_without_a_nonce_says_so(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    path = f"/modules/agent-login/requests/{request_id}/approve"
    for answer in (
        wire.http.post(path, headers=agent.headers),
        wire.http.post(path, json={}, headers=agent.headers),
        wire.approve(agent, request_id, None),
        wire.approve(agent, request_id, ""),
    ):
        assert refusal(answer) == (400, "MISSING_POW_NONCE")
    assert data(wire.view(site, request_id))["status"] == "PENDING"


@promise("site-login:approve:invalid-pow")
def test_a_wrong_nonce_leaves_the_request_open(
    wire: Wire, agent: Agent, other_agent: Agent, site: Site
) -> None:
    request_id = wire.new_request(site)
    for wrong in ("not the one", "x" * 64, "x" * 65, "é", "0\n"):
        assert refusal(wire.approve(agent, request_id, wrong)) == (400, "INVALID_POW")
    assert data(wire.view(site, request_id))["status"] == "PENDING"
    assert wire.approved(other_agent, request_id)["approved_agent_id"] == other_agent.agent_id


@promise("site-login:approve:same-agent-again")
def test_a_lost_answer_can_be_had_again(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    nonce = wire.solved(request_id)
    first = data(wire.approve(agent, request_id, nonce))
    assert data(wire.approve(agent, request_id, nonce)) == first
    # And once the site has it, still the same outcome, one state further.
    with wire.events(site) as stream:
        data(wire.acknowledge(site, stream.of(request_id).id or ""))
    assert data(wire.approve(agent, request_id, nonce)) == {**first, "status": "DELIVERED"}


@promise("site-login:approve:other-agent")
def test_the_second_agent_comes_too_late(
    wire: Wire, agent: Agent, other_agent: Agent, site: Site
) -> None:
    request_id = wire.new_request(site)
    nonce = wire.solved(request_id)
    data(wire.approve(agent, request_id, nonce))
    for late in (nonce, "wrong"):
        assert refusal(wire.approve(other_agent, request_id, late)) == NOT_FOUND
    assert data(wire.view(site, request_id))["status"] == "APPROVED"


@promise("site-login:approve:one-winner")
def test_of_fifty_agents_at_once_one_wins(wire: Wire, deployment: Deployment, site: Site) -> None:
    agents = deployment.agents(50)
    with wire.events(site) as stream:
        # Several times: who wins is chance, and so is how close they come.
        for _ in range(5):
            request_id = wire.new_request(site)
            nonce = wire.solved(request_id)
            answers = at_once([wire.approval(each, request_id, nonce) for each in agents])
            winner = the_one_winner(agents, answers)
            frame = stream.of(request_id)
            assert parts(frame.body["agent_passport_jwt"])[1]["sub"] == winner.agent_id


@promise("site-login:approve:one-winner")
def test_of_fifty_agents_at_two_servers_one_wins(deployment: Deployment, site: Site) -> None:
    agents = deployment.agents(50)
    with (
        deployment.pair() as (left, right),
        Wire(left.api_base) as one,
        Wire(right.api_base) as two,
        one.events(site) as stream,
    ):
        for _ in range(5):
            request_id = one.new_request(site)
            nonce = two.solved(request_id)
            wires = [one, two] * 25
            answers = at_once(
                [
                    wire.approval(each, request_id, nonce)
                    for wire, each in zip(wires, agents, strict=True)
                ]
            )
            winner = the_one_winner(agents, answers)
            frame = stream.of(request_id)
            assert parts(frame.body["agent_passport_jwt"])[1]["sub"] == winner.agent_id


def the_one_winner(agents: list[Agent], answers: list[httpx.Response]) -> Agent:
    """The only agent that was let in; everyone else was told that there is nothing."""
    winners = [
        (each, data(answer))
        for each, answer in zip(agents, answers, strict=True)
        if answer.status_code == 200
    ]
    losers = [refusal(answer) for answer in answers if answer.status_code != 200]
    assert losers == [NOT_FOUND] * (len(agents) - 1)
    ((winner, approval),) = winners
    assert approval["approved_agent_id"] == winner.agent_id
    return winner


@promise("site-login:deny")
def test_an_agent_may_say_no(wire: Wire, agent: Agent, site: Site) -> None:
    created = data(wire.create(site), 201)
    request_id = created["login_request_id"]
    denial = data(wire.deny(agent, request_id))
    assert denial["status"] == "DENIED"
    assert denial["request_id"] == request_id
    assert denial["site_id"] == site.site_id
    assert denial["expires_at"] == created["expires_at"]


@promise("site-login:view")
def test_a_site_sees_its_own_request(wire: Wire, agent: Agent, site: Site) -> None:
    created = data(wire.create(site), 201)
    request_id = created["login_request_id"]
    before = data(wire.view(site, request_id))
    assert before["login_request_id"] == request_id
    assert before["status"] == "PENDING"
    assert before["expires_at"] == created["expires_at"]
    wire.approved(agent, request_id)
    assert data(wire.view(site, request_id))["status"] == "APPROVED"


@promise("site-login:view:other-site")
def test_another_sites_request_is_not_there(
    wire: Wire, agent: Agent, site: Site, other_site: Site
) -> None:
    pending, approved = wire.new_request(site), wire.login(agent, site)
    for request_id in (pending, approved):
        assert refusal(wire.view(other_site, request_id)) == NOT_FOUND
        assert refusal(wire.view(other_site, request_id, wait=5)) == NOT_FOUND


@promise("site-login:states:delivered")
def test_an_acknowledged_login_is_delivered(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.login(agent, site)
    with wire.events(site) as stream:
        frame = stream.of(request_id)
        assert data(wire.view(site, request_id))["status"] == "APPROVED"
        data(wire.acknowledge(site, frame.id or ""))
    assert data(wire.view(site, request_id))["status"] == "DELIVERED"


@promise("site-login:states:final")
def test_what_is_final_stays_as_it_is(
    wire: Wire, hasty_wire: Wire, agent: Agent, other_agent: Agent, site: Site
) -> None:
    approved, denied = wire.login(agent, site), wire.new_request(site)
    data(wire.deny(agent, denied))
    expired = hasty_wire.new_request(site)
    nonce = hasty_wire.solved(expired)
    data(hasty_wire.view(site, expired, wait=10))
    for request_id, state in ((approved, "APPROVED"), (denied, "DENIED"), (expired, "EXPIRED")):
        assert refusal(wire.deny(other_agent, request_id)) == NOT_FOUND
        assert refusal(wire.approve(other_agent, request_id, nonce)) == NOT_FOUND
        assert data(wire.view(site, request_id))["status"] == state
    # Not even the agent who approved takes it back, nor the one who denied lets anyone in after all.
    assert wire.deny(agent, approved).status_code == 404
    assert wire.approve(agent, denied, nonce).status_code == 404
    assert data(wire.view(site, approved))["status"] == "APPROVED"
    assert data(wire.view(site, denied))["status"] == "DENIED"
