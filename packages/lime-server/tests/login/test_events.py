"""Leases, acknowledgements, expiry: what both kinds of stores promise."""

import asyncio
from datetime import timedelta

import pytest

from lime_server.core.errors import Unavailable
from lime_server.modules.site_login.model import EventKind, State


async def lease(world, consumer="one", *, resuming=False, limit=8, site=None):
    site_id = (site or world.site).site_id
    now = world.clock.now()
    leased = await world.backend.events.lease(
        {site_id: consumer},
        resuming={site_id} if resuming else set(),
        now=now,
        until=now + timedelta(seconds=10),
        limit=limit,
    )
    return [due.event.event_id for due in leased]


async def recent(world, since=None, limit=100):
    now = world.clock.now()
    found = await world.backend.events.recent(
        {world.site.site_id}, now=now, since=since or now, limit=limit
    )
    return [due.event.event_id for due in found]


async def test_an_approval_leaves_an_event_that_says_everything(world, help_):
    request_id = (await world.logins.create(world.site, "https://shop.example/")).request_id
    nonce = await world.solved(request_id)
    await world.logins.approve(world.agent, request_id, nonce)
    now = world.clock.now()
    (due,) = await world.backend.events.named([request_id], now=now)
    assert due.event.event_id == due.event.request_id == request_id
    assert due.event.site_id == world.site.site_id
    assert due.event.kind is EventKind.APPROVED
    assert due.event.redirect_url == "https://shop.example/"
    assert due.event.deliver_until == now + help_.WINDOW
    assert due.agent == world.agent
    assert (due.site_suspended, due.acknowledged, due.read_at) == (False, False, now)
    assert due.may_be_sent(now)


async def test_an_event_is_leased_to_one_until_the_lease_runs_out(world):
    request_id = await world.approved()
    assert await lease(world, "one") == [request_id]
    assert await lease(world, "two") == []
    world.clock.advance(9.999)
    assert await lease(world, "two") == []
    world.clock.advance(0.001)
    assert await lease(world, "two") == [request_id]


async def test_a_consumer_that_comes_back_gets_its_own_leases_at_once(world):
    request_id = await world.approved()
    assert await lease(world, "one") == [request_id]
    assert await lease(world, "one") == []
    assert await lease(world, "two", resuming=True) == []
    assert await lease(world, "one", resuming=True) == [request_id]


async def test_events_come_oldest_first_and_no_more_than_asked_for(world):
    ids = []
    for _ in range(5):
        ids.append(await world.approved())
        world.clock.advance(1)
    assert await lease(world, limit=3) == ids[:3]
    assert await lease(world, limit=3) == ids[3:]


async def test_an_acknowledged_event_is_not_leased_again(world):
    request_id = await world.approved()
    await lease(world)
    await world.delivery.acknowledge(world.site.site_id, [request_id])
    world.clock.advance(60)
    assert await lease(world) == []
    assert (await world.logins.status(world.site, request_id)).state is State.DELIVERED
    assert world.tally.logins["delivered"] == 1


async def test_an_acknowledgement_may_be_repeated(world):
    request_id = await world.approved()
    for _ in range(2):
        await world.delivery.acknowledge(world.site.site_id, [request_id, request_id])
    assert world.tally.logins["delivered"] == 1


async def test_another_sites_acknowledgement_changes_nothing(world):
    request_id = await world.approved()
    await world.delivery.acknowledge(world.other_site.site_id, [request_id])
    assert (await world.logins.status(world.site, request_id)).state is State.APPROVED
    assert await lease(world) == [request_id]


async def test_what_is_no_event_can_be_acknowledged_without_effect(world):
    pending = await world.request()
    await world.delivery.acknowledge(world.site.site_id, ["", "x", "\x00", pending, "0" * 64])
    await world.delivery.acknowledge(world.site.site_id, [])
    assert (await world.logins.status(world.site, pending)).is_pending


async def test_the_acknowledgement_of_a_refusal_leaves_it_a_refusal(world):
    request_id = await world.request()
    await world.logins.deny(world.agent, request_id)
    assert await lease(world) == [request_id]
    await world.delivery.acknowledge(world.site.site_id, [request_id])
    world.clock.advance(60)
    assert await lease(world) == []
    assert (await world.logins.status(world.site, request_id)).state is State.DENIED


async def test_events_are_offered_until_their_window_closes(world, help_):
    request_id = await world.approved()
    world.clock.advance(help_.WINDOW.total_seconds() - 0.001)
    assert await lease(world) == await recent(world) == [request_id]
    world.clock.advance(0.001)
    assert await lease(world, resuming=True) == await recent(world) == []
    assert await world.backend.events.named([request_id], now=world.clock.now()) == []


async def test_a_site_never_sees_another_sites_events(world):
    await world.approved(site=world.other_site)
    assert await lease(world) == await recent(world) == []
    assert len(await lease(world, site=world.other_site)) == 1


async def test_recent_events_are_the_unacknowledged_and_the_new_ones(world):
    old, kept = await world.approved(), await world.approved()
    await world.delivery.acknowledge(world.site.site_id, [old])
    world.clock.advance(5)
    new = await world.approved()
    await world.delivery.acknowledge(world.site.site_id, [new])
    assert await recent(world) == [kept, new]


@pytest.mark.parametrize(
    "trouble", ["switched off", "owner suspended", "deleted", "site suspended"]
)
async def test_an_approval_is_held_back_while_someone_is_in_bad_standing(world, trouble):
    request_id = await world.approved(agent=world.stranger)
    if trouble == "switched off":
        await world.backend.switch_agent(world.stranger.agent_id, False)
    elif trouble == "owner suspended":
        await world.backend.suspend_owner(world.landlord.owner_id, True)
    elif trouble == "deleted":
        await world.backend.delete_agent(world.stranger.agent_id)
    else:
        await world.backend.suspend_site(world.site.site_id, True)
    (due,) = await world.backend.events.named([request_id], now=world.clock.now())
    assert not due.may_be_sent(world.clock.now())
    assert await world.passports.of_login(world.site.site_id, request_id) is None


async def test_of_many_servers_that_lease_at_once_one_gets_each_event(world):
    ids = {await world.approved() for _ in range(30)}
    batches = await asyncio.gather(*(lease(world, f"worker {n}", limit=10) for n in range(8)))
    leased = [event_id for batch in batches for event_id in batch]
    assert len(leased) == len(set(leased))
    assert set(leased) <= ids


async def test_a_backlog_is_read_in_pieces_from_both_ends(world):
    ids = []
    for _ in range(5):
        ids.append(await world.approved())
        world.clock.advance(1)
    longest_ago = world.clock.now() - timedelta(seconds=60)
    assert await recent(world, longest_ago) == ids
    assert await recent(world, longest_ago, limit=2) == [*ids[:2], *ids[-2:]]
    assert await recent(world, limit=2) == ids[:2]
    await world.delivery.acknowledge(world.site.site_id, ids[:2])
    assert await recent(world, limit=2) == ids[2:4]


async def test_several_sites_are_served_by_one_look(world):
    mine, theirs = await world.approved(), await world.approved(site=world.other_site)
    now = world.clock.now()
    leased = await world.backend.events.lease(
        {world.site.site_id: "one", world.other_site.site_id: "two"},
        resuming=set(),
        now=now,
        until=now + timedelta(seconds=10),
        limit=8,
    )
    assert {due.event.event_id for due in leased} == {mine, theirs}


async def test_waiters_learn_which_requests_are_decided(world):
    approved, pending = await world.approved(), await world.request()
    gone = "0190a2b4-0000-7000-8000-000000000000"
    asked = {approved, pending, gone}
    assert await world.backend.events.decided(asked) == {approved, gone}


# The sweep


async def test_the_sweep_expires_what_nobody_answered_and_tells_the_site(world, help_):
    answered, due = await world.approved(), await world.request()
    world.clock.advance(help_.LIFETIME.total_seconds() - 1)
    young = await world.request()
    world.clock.advance(1)
    rings = []
    world.bell.listen(lambda topic, ident: rings.append((topic, ident)))
    await world.sweep.once()
    assert rings == [("site-login", f"{world.site.site_id}/{due}")]
    assert world.tally.logins["expired"] == 1
    now = world.clock.now()
    (event,) = [found.event for found in await world.backend.events.named([due], now=now)]
    assert (event.kind, event.agent_id) == (EventKind.EXPIRED, None)
    assert event.deliver_until == now + help_.WINDOW
    states = [(await world.backend.logins.find(one)).login.state for one in (answered, due, young)]
    assert states == [State.APPROVED, State.EXPIRED, State.PENDING]


async def test_two_sweeps_at_once_expire_each_request_once(world, help_):
    ids = {await world.request() for _ in range(20)}
    world.clock.advance(help_.LIFETIME.total_seconds())
    rings = []
    world.bell.listen(lambda topic, ident: rings.append(ident.rpartition("/")[2]))
    await asyncio.gather(*(world.sweep.once() for _ in range(4)))
    assert sorted(rings) == sorted(ids)


async def test_finished_requests_are_kept_for_their_retention(world, help_):
    approved, expired = await world.approved(), await world.request()
    world.clock.advance(help_.LIFETIME.total_seconds() + 3600)
    await world.sweep.once()
    assert await world.backend.logins.find(approved)
    world.clock.advance(1)
    await world.sweep.once()
    assert await world.backend.logins.find(approved) is None
    # Its event is younger than it is, and can still be sent.
    assert await world.backend.logins.find(expired)
    assert await lease(world) == [expired]
    world.clock.advance(help_.WINDOW.total_seconds())
    await world.sweep.once()
    assert await world.backend.logins.find(expired) is None
    assert await lease(world, resuming=True) == []


async def test_the_sweep_goes_on_after_a_failure(small_world, help_):
    world = small_world
    asked = asyncio.Event()
    failures = [Unavailable(), RuntimeError("a bug")]

    class Flaky:
        async def expire(self, *_, **__):
            if failures:
                raise failures.pop()
            asked.set()
            return []

        async def prune(self, *_, **__):
            return 0

    world.sweep._logins = Flaky()
    async with help_.running(world.sweep.run()):
        await asked.wait()
    assert not failures


async def test_a_full_batch_means_another(small_world, help_, monkeypatch):
    world = small_world
    monkeypatch.setattr("lime_server.modules.site_login.sweep.BATCH", 3)
    for _ in range(7):
        await world.request()
    world.clock.advance(help_.LIFETIME.total_seconds())
    await world.sweep.once()
    assert world.tally.logins["expired"] == 7
