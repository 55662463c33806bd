"""The five steps, on both kinds of stores."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from lime_server.core.errors import (
    InvalidInput,
    InvalidPow,
    MissingPowNonce,
    SiteLoginRequestNotFound,
)
from lime_server.modules.site_login import service
from lime_server.modules.site_login.model import State
from lime_server.modules.site_login.service import fit_redirect_url

UNKNOWN = "0190a2b4-0000-7000-8000-000000000000"
NOT_IDS = ["", "x", "../../core/agents/me", UNKNOWN + "0", "{" + UNKNOWN + "}", "\x00", "é" * 36]


async def test_a_new_request_is_pending_for_its_lifetime(world, help_):
    login = await world.logins.create(world.site, None)
    assert login.state is State.PENDING
    assert login.created_at == world.clock.now()
    assert login.expires_at == world.clock.now() + help_.LIFETIME
    assert len(login.challenge) == 43
    assert world.tally.logins["created"] == 1


async def test_an_agent_sees_the_puzzle_and_the_site(world):
    request_id = await world.request()
    known = await world.logins.look(request_id)
    assert known.login.request_id == request_id
    assert known.site == world.site


async def test_an_id_in_upper_case_names_the_same_request(world):
    request_id = await world.request()
    assert (await world.logins.look(request_id.upper())).login.request_id == request_id


@pytest.mark.parametrize("unverified_id", [*NOT_IDS, UNKNOWN])
async def test_what_names_no_request_is_not_found(small_world, unverified_id):
    world = small_world
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.look(unverified_id)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.approve(world.agent, unverified_id, "1")
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.deny(world.agent, unverified_id)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.status(world.site, unverified_id)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.outcome(world.site, unverified_id, wait=1)


async def test_an_approval_names_the_agent_and_the_moment(world):
    request_id = await world.approved()
    login = await world.logins.status(world.site, request_id)
    assert login.state is State.APPROVED
    assert login.agent_id == world.agent.agent_id
    assert login.decided_at == world.clock.now()
    assert world.tally.logins["approved"] == 1


async def test_a_decided_request_has_no_puzzle_any_more(world):
    for request_id in (await world.approved(), await denied(world)):
        with pytest.raises(SiteLoginRequestNotFound):
            await world.logins.look(request_id)


async def denied(world):
    request_id = await world.request()
    await world.logins.deny(world.agent, request_id)
    return request_id


@pytest.mark.parametrize("nonce", [None, ""])
async def test_an_approval_needs_a_nonce(small_world, nonce):
    request_id = await small_world.request()
    with pytest.raises(MissingPowNonce):
        await small_world.logins.approve(small_world.agent, request_id, nonce)


async def test_after_a_wrong_nonce_the_request_can_be_tried_again(world, help_):
    request_id = await world.request()
    challenge = (await world.logins.look(request_id)).login.challenge
    with pytest.raises(InvalidPow):
        await world.logins.approve(world.agent, request_id, help_.wrong_nonce_for(challenge, 1))
    assert (await world.logins.status(world.site, request_id)).is_pending
    nonce = await world.solved(request_id)
    assert (await world.logins.approve(world.agent, request_id, nonce)).is_approved


async def test_the_same_agent_may_ask_again_for_a_lost_answer(world):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    first = await world.logins.approve(world.agent, request_id, nonce)
    world.clock.advance(10)
    assert await world.logins.approve(world.agent, request_id, nonce) == first
    assert world.tally.logins["approved"] == 1


async def test_the_same_agent_sees_that_its_login_was_delivered(world):
    request_id = await world.approved()
    await world.delivery.acknowledge(world.site.site_id, [request_id])
    again = await world.logins.approve(world.agent, request_id, "anything")
    assert again.state is State.DELIVERED


async def test_another_agent_does_not_find_an_approved_request(world):
    request_id = await world.approved()
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.approve(world.stranger, request_id, "1")
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.deny(world.stranger, request_id)


async def test_an_agent_may_refuse_and_say_so_twice(world):
    request_id = await world.request()
    first = await world.logins.deny(world.agent, request_id)
    assert first.state is State.DENIED
    assert await world.logins.deny(world.agent, request_id) == first
    assert world.tally.logins["denied"] == 1


async def test_a_refused_request_cannot_be_approved(world):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    await world.logins.deny(world.agent, request_id)
    for agent in (world.agent, world.stranger):
        with pytest.raises(SiteLoginRequestNotFound):
            await world.logins.approve(agent, request_id, nonce)
        if agent is world.stranger:
            with pytest.raises(SiteLoginRequestNotFound):
                await world.logins.deny(agent, request_id)


async def test_an_approved_request_cannot_be_refused_by_its_own_agent(world):
    request_id = await world.approved()
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.deny(world.agent, request_id)


async def test_a_request_expires_without_anybody_doing_anything(world, help_):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    world.clock.advance(help_.LIFETIME.total_seconds())
    assert (await world.logins.status(world.site, request_id)).state is State.EXPIRED
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.look(request_id)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.approve(world.agent, request_id, nonce)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.deny(world.agent, request_id)


async def test_a_request_can_be_approved_in_its_last_moment(world, help_):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    world.clock.advance(help_.LIFETIME.total_seconds() - 0.001)
    assert (await world.logins.approve(world.agent, request_id, nonce)).is_approved


@pytest.mark.parametrize("whose", ["site", "owner"])
async def test_a_suspended_site_lets_nobody_in(world, whose):
    request_id = await world.request(world.other_site)
    nonce = await world.solved(request_id)
    if whose == "site":
        await world.backend.suspend_site(world.other_site.site_id, True)
    else:
        await world.backend.suspend_owner(world.landlord.owner_id, True)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.look(request_id)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.approve(world.agent, request_id, nonce)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.deny(world.agent, request_id)


async def test_a_site_does_not_see_another_sites_request(world):
    request_id = await world.request()
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.status(world.other_site, request_id)
    with pytest.raises(SiteLoginRequestNotFound):
        await world.logins.outcome(world.other_site, request_id, wait=1)


async def test_of_fifty_agents_at_once_exactly_one_gets_in(world):
    owner = world.owner.owner_id
    agents = [(await world.agents.register(owner, f"Agent {n}"))[0] for n in range(50)]
    request_id = await world.request()
    nonce = await world.solved(request_id)
    answers = await asyncio.gather(
        *(world.logins.approve(agent, request_id, nonce) for agent in agents),
        return_exceptions=True,
    )
    winners = [answer for answer in answers if not isinstance(answer, BaseException)]
    losers = [answer for answer in answers if isinstance(answer, SiteLoginRequestNotFound)]
    assert (len(winners), len(losers)) == (1, 49)
    assert (await world.logins.status(world.site, request_id)).agent_id == winners[0].agent_id


@pytest.mark.parametrize(
    ("faster", "same_agent", "slower", "outcome"),
    [
        ("approve", True, "approve", State.APPROVED),
        ("deny", True, "deny", State.DENIED),
        ("approve", False, "approve", None),
        ("deny", False, "deny", None),
        ("deny", True, "approve", None),
        ("approve", True, "deny", None),
    ],
)
async def test_who_is_overtaken_has_the_outcome_of_the_same_decision_or_none(
    world, monkeypatch, faster, same_agent, slower, outcome
):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    store = type(world.backend.logins)
    decide = store.decide

    async def say(word, agent):
        given = (nonce,) if word == "approve" else ()
        return await getattr(world.logins, word)(agent, request_id, *given)

    async def overtaken(self, *arguments):
        # The other one comes between the moment when this one has looked, and when it writes.
        monkeypatch.setattr(store, "decide", decide)
        await say(faster, world.agent if same_agent else world.stranger)
        return await decide(self, *arguments)

    monkeypatch.setattr(store, "decide", overtaken)
    if outcome is None:
        with pytest.raises(SiteLoginRequestNotFound):
            await say(slower, world.agent)
    else:
        login = await say(slower, world.agent)
        assert (login.state, login.agent_id) == (outcome, world.agent.agent_id)


async def test_of_one_agents_fifty_tries_at_once_all_have_the_same_outcome(world):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    answers = await asyncio.gather(
        *(world.logins.approve(world.agent, request_id, nonce) for _ in range(50))
    )
    assert len(set(answers)) == 1
    assert world.tally.logins["approved"] == 1


async def test_of_an_agents_approval_and_refusal_at_once_one_counts(world):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    answers = await asyncio.gather(
        *(world.logins.approve(world.agent, request_id, nonce) for _ in range(5)),
        *(world.logins.deny(world.agent, request_id) for _ in range(5)),
        return_exceptions=True,
    )
    state = (await world.logins.status(world.site, request_id)).state
    for answer in answers:
        if isinstance(answer, BaseException):
            assert isinstance(answer, SiteLoginRequestNotFound)
        else:
            assert answer.state is state


async def test_a_login_that_expires_between_reading_and_writing_is_not_approved(small_world, help_):
    world = small_world
    request_id = await world.request()
    nonce = await world.solved(request_id)
    old = (await world.backend.logins.find(request_id)).login
    world.clock.advance(help_.LIFETIME.total_seconds() - 1)
    approving = asyncio.create_task(world.logins.approve(world.agent, request_id, nonce))
    await asyncio.sleep(0)
    # Somebody else's sweep, with a clock a little ahead.
    later = old.expires_at + timedelta(seconds=1)
    await world.backend.logins.expire(later, deliver_until=later + timedelta(1), limit=10)
    with pytest.raises(SiteLoginRequestNotFound):
        await approving


# Waiting for the outcome


async def test_a_wait_ends_when_the_request_is_decided(delivering):
    world = delivering
    request_id = await world.request()
    nonce = await world.solved(request_id)
    waiting = asyncio.create_task(world.logins.outcome(world.site, request_id, wait=30))
    await asyncio.sleep(0)
    await world.logins.approve(world.agent, request_id, nonce)
    assert (await waiting).is_approved


async def test_a_wait_for_a_decided_request_does_not_wait(world):
    request_id = await world.approved()
    assert (await world.logins.outcome(world.site, request_id, wait=30)).is_approved


async def test_a_wait_ends_with_a_pending_request_when_its_time_is_over(world):
    request_id = await world.request()
    assert (await world.logins.outcome(world.site, request_id, wait=0)).is_pending
    assert (await world.logins.outcome(world.site, request_id, wait=0.01)).is_pending


async def test_a_wait_takes_what_is_left_and_not_more(small_world, monkeypatch):
    world, waits, times, again = small_world, [], iter([0.0, 29.5]), asyncio.Event()
    clock = SimpleNamespace(time=lambda: next(times, 29.75))
    monkeypatch.setattr(service.asyncio, "get_running_loop", lambda: clock)
    timeout = asyncio.timeout

    def told(seconds):
        waits.append(seconds)
        if len(waits) == 1:
            return timeout(0)
        again.set()
        return timeout(60)

    monkeypatch.setattr(service.asyncio, "timeout", told)
    request_id = await world.request()
    waiting = asyncio.create_task(world.logins.outcome(world.site, request_id, wait=30))
    await again.wait()
    assert waits == [0.5, 0.25]
    # Within its last second it is still a wait.
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_wait_ends_when_the_request_expires(small_world, help_):
    world = small_world
    request_id = await world.request()
    world.clock.advance(help_.LIFETIME.total_seconds() - 0.01)
    waiting = asyncio.create_task(world.logins.outcome(world.site, request_id, wait=30))
    await asyncio.sleep(0)
    world.clock.advance(0.01)
    assert (await waiting).state is State.EXPIRED


async def test_a_wait_ends_at_once_when_the_server_is_about_to_stop(small_world):
    world = small_world
    request_id = await world.request()
    waiting = asyncio.create_task(world.logins.outcome(world.site, request_id, wait=30))
    for _ in range(3):
        await asyncio.sleep(0)
    world.delivery.drain()
    assert (await waiting).is_pending
    assert (await world.logins.outcome(world.site, request_id, wait=30)).is_pending


async def test_a_ring_for_something_else_does_not_end_a_wait(small_world, help_):
    world = small_world
    async with help_.running(world.delivery.run()):
        request_id = await world.request()
        waiting = asyncio.create_task(world.logins.outcome(world.site, request_id, wait=30))
        await asyncio.sleep(0)
        await world.bell.ring("something-else", f"{world.site.site_id}/{request_id}")
        await world.bell.ring("site-login", "no slash")
        await world.bell.ring("site-login", f"{world.site.site_id}/{request_id}")  # a false alarm
        await asyncio.sleep(0)
        assert not waiting.done()
        await world.logins.deny(world.agent, request_id)
        assert (await waiting).state is State.DENIED


async def test_two_may_wait_for_one_request(small_world, help_):
    world = small_world
    async with help_.running(world.delivery.run()):
        request_id = await world.request()
        waiting = [
            asyncio.create_task(world.logins.outcome(world.site, request_id, wait=wait))
            for wait in (30, 30, 0.01)
        ]
        assert (await waiting[2]).is_pending
        await world.logins.deny(world.agent, request_id)
        assert {(await one).state for one in waiting[:2]} == {State.DENIED}


# Redirect URLs


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/after?x=1#y",
        "http://localhost:8000/after",
        "http://127.0.0.1/",
        "http://[::1]:8000/",
        "https://" + "a" * 2040,
    ],
)
async def test_a_browser_may_be_sent_there(small_world, url):
    login = await small_world.logins.create(small_world.site, url)
    assert login.redirect_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://shop.example/",
        "http://10.0.0.1/",
        "http:///x",
        "//shop.example/",
        "/after",
        "javascript:alert(1)",
        "https:",
        "https://user@shop.example/",
        "https://shop.example:x/",
        "https://[::1/",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://shop.example\\@evil.example/",
        "https://shop.example/\\evil.example",
        "https://shop.example\\.evil.example/",
        "https://shöp.example/",
        "https://" + "a" * 2041,
    ],
)
def test_a_browser_must_not_be_sent_there(url):
    with pytest.raises(InvalidInput) as error:
        fit_redirect_url(url)
    assert error.value.detail == {"field": "redirect_url"}
    assert str(error.value) == (
        "redirect_url must be an https URL (http only on loopback) of at most 2048 "
        "printable ASCII characters, without a user name."
    )


def test_http_without_a_host_is_not_loopback():
    with pytest.raises(InvalidInput):
        fit_redirect_url("http://?x")


async def test_a_known_login_can_be_replaced_only_as_it_was(world):
    request_id = await world.request()
    known = await world.backend.logins.find(request_id)
    stale = replace(known.login, state=State.APPROVED)
    from lime_server.modules.site_login.model import Event

    new = known.login.approved_by(world.agent, world.clock.now())
    event = Event.telling(new, now=world.clock.now(), window=timedelta(1))
    assert not await world.backend.logins.decide(stale, new, event)
    late = known.login.approved_by(world.agent, known.login.expires_at)
    assert not await world.backend.logins.decide(known.login, late, event)
    assert await world.backend.logins.decide(known.login, new, event)
