"""The hub: who is given what, and when."""

import asyncio
import contextlib

import pytest

from lime_server.core.errors import RateLimited, Unavailable
from lime_server.modules.site_login import delivery as hub
from lime_server.modules.site_login.delivery import ROOM_AGAIN_AFTER, Delivery, DeliveryTiming
from lime_server.modules.site_login.seat import BATCH, Ending


def held(seat):
    """What lies in front of a stream."""
    return [due.event.event_id for due in seat.queue]


@pytest.fixture
def elsewhere(world, help_):
    """Another server on the same stores, of which this one hears nothing."""
    other = help_.World(world.backend, world.clock, world.ring)
    other.agent, other.site = world.agent, world.site
    return other


async def round_(world):
    """Rounds until nothing more is to be done."""
    await world.delivery.serve_rung()
    while world.delivery._work.is_set():
        await world.delivery.serve_rung()


async def test_a_new_stream_gets_what_waited_for_it(world):
    request_id = await world.approved()
    with (
        world.delivery.seat(world.site.site_id, "worker") as sharing,
        world.delivery.seat(world.other_site.site_id, "worker") as other,
        world.delivery.seat(world.site.site_id, None) as seeing_all,
    ):
        await round_(world)
        assert held(sharing) == held(seeing_all) == [request_id]
        assert held(other) == []


async def test_two_workers_share_the_events(world):
    ids = {await world.approved() for _ in range(2 * BATCH)}
    site_id = world.site.site_id
    with world.delivery.seat(site_id, "a") as a, world.delivery.seat(site_id, "b") as b:
        await round_(world)
        assert len(held(a)) == len(held(b)) == BATCH
        assert set(held(a)) | set(held(b)) == ids


async def test_every_stream_without_consumer_sees_every_event(world):
    site_id = world.site.site_id
    with world.delivery.seat(site_id, None) as a, world.delivery.seat(site_id, None) as b:
        await round_(world)
        world.bell.listen(world.delivery._heard)
        ids = [await world.approved() for _ in range(3)]
        await round_(world)
        assert held(a) == held(b) == ids
        await world.delivery.poll()
        assert held(a) == ids, "once on each stream"


async def test_a_stream_sees_what_another_acknowledged_if_it_was_there_before(world):
    site_id = world.site.site_id
    before = await world.approved()
    await world.delivery.acknowledge(site_id, [before])
    world.clock.advance(1)
    with world.delivery.seat(site_id, None) as seat:
        await round_(world)
        after = await world.approved()
        await world.delivery.acknowledge(site_id, [after])
        await world.delivery.poll()
        assert held(seat) == [after]


async def test_a_poll_finds_what_no_ring_told(world, elsewhere):
    with world.delivery.seat(world.site.site_id, "worker") as seat:
        await round_(world)
        request_id = await elsewhere.approved()  # whose bell nobody hears
        await round_(world)
        assert held(seat) == []
        await world.delivery.poll()
        assert held(seat) == [request_id]


async def test_a_poll_that_asks_in_parts_leaves_nobody_out(world, elsewhere, monkeypatch):
    monkeypatch.setattr(hub, "PART", 1)
    old = world.sites._tokens.hash(world.site_token.text)
    with (
        world.delivery.seat(world.other_site.site_id, None) as suspended,
        world.delivery.seat(world.site.site_id, None, b"was rotated away") as rotated,
        world.delivery.seat(world.site.site_id, None, old) as seeing_all,
        world.delivery.seat(world.site.site_id, "worker", old) as sharing,
    ):
        await round_(world)
        await world.backend.suspend_site(world.other_site.site_id, True)
        request_id = await elsewhere.approved()
        await world.delivery.poll()
        assert suspended.ending is Ending.SUSPENDED
        assert rotated.ending is Ending.LOCKED_OUT
        assert held(seeing_all) == held(sharing) == [request_id]


async def test_the_parts_of_a_poll_are_spread_over_its_interval(world, monkeypatch):
    monkeypatch.setattr(hub, "PART", 1)
    delivery, interval = world.delivery, world.poll_interval
    with (
        delivery.seat(world.site.site_id, "worker"),
        delivery.seat(world.other_site.site_id, "worker"),
    ):
        began = world.clock.now()
        assert await delivery._poll_some() == interval / 2
        assert delivery._polled_at is None
        world.clock.advance(interval / 2)
        assert await delivery._poll_some() == interval / 2
        # The next one looks back to where this one began: what came in between is not passed over.
        assert delivery._polled_at == began
    assert await delivery._poll_some() == interval


async def test_a_poll_wakes_those_who_wait_for_a_decision(world):
    decided, pending = await world.approved(), await world.request()
    with (
        world.delivery.watching(decided) as told,
        world.delivery.watching(pending) as not_told,
    ):
        await world.delivery.poll()
        assert told.is_set()
        assert not not_told.is_set()


@pytest.mark.parametrize("whose", ["site", "owner"])
async def test_a_suspended_site_loses_its_streams_at_the_next_poll(world, whose):
    with (
        world.delivery.seat(world.other_site.site_id, None) as suspended,
        world.delivery.seat(world.site.site_id, None) as fine,
    ):
        if whose == "site":
            await world.backend.suspend_site(world.other_site.site_id, True)
        else:
            await world.backend.suspend_owner(world.landlord.owner_id, True)
        await world.delivery.poll()
        assert suspended.ending is Ending.SUSPENDED
        assert fine.ending is None


async def test_a_stream_ends_when_the_token_that_opened_it_does(world):
    old = world.sites._tokens.hash(world.site_token.text)
    site_id = world.site.site_id
    other = world.sites._tokens.hash(world.other_token.text)
    with (
        world.delivery.seat(site_id, None, b"was rotated away") as rotated,
        world.delivery.seat(site_id, "worker", old) as fine,
        world.delivery.seat(world.other_site.site_id, None, other) as strangers,
    ):
        assert rotated.ending is None
        await world.delivery.poll()
        assert rotated.ending is Ending.LOCKED_OUT
        assert (fine.ending, strangers.ending) == (None, None)
        assert "rotated away" not in repr(rotated)


async def test_a_site_has_only_so_many_streams(small_world, help_):
    world = small_world
    world.delivery._timing = DeliveryTiming(60, help_.LEASE, streams_per_site=2)
    site_id = world.site.site_id
    with world.delivery.seat(site_id, "a"):
        with world.delivery.seat(site_id, None):
            with pytest.raises(RateLimited) as caught, world.delivery.seat(site_id, "b"):
                pass
            assert caught.value.retry_after == ROOM_AGAIN_AFTER
            # Another site's is another matter.
            with world.delivery.seat(world.other_site.site_id, None):
                assert world.tally.open_streams == 3
        with world.delivery.seat(site_id, "b") as seat:
            assert seat.ending is None
    assert world.tally.open_streams == 0


async def test_a_poll_with_nobody_connected_asks_nothing(small_world, help_):
    world = small_world
    delivery = Delivery(
        events=help_.Broken(AssertionError("asked")),
        standing=help_.Broken(AssertionError("asked")),
        bell=world.bell,
        tally=world.tally,
        clock=world.clock,
        timing=DeliveryTiming(60, help_.LEASE),
    )
    await delivery.poll()
    await delivery.serve_rung()


async def test_held_back_events_are_not_given_to_streams(world):
    await world.approved(agent=world.stranger)
    await world.backend.switch_agent(world.stranger.agent_id, False)
    site_id = world.site.site_id
    with world.delivery.seat(site_id, "a") as sharing, world.delivery.seat(site_id, None) as all_:
        await round_(world)
        assert held(sharing) == held(all_) == []


async def test_a_stream_that_is_behind_gets_no_more_leases(small_world):
    world = small_world
    ids = [await world.approved() for _ in range(BATCH + 1)]
    with world.delivery.seat(world.site.site_id, "slow") as slow:
        await round_(world)
        assert held(slow) == ids[:BATCH]
        assert slow.more
        with world.delivery.seat(world.site.site_id, "quick") as quick:
            await round_(world)
            assert held(quick) == ids[BATCH:]


async def test_a_stream_without_consumer_that_is_behind_has_bounded_memory(
    small_world, monkeypatch
):
    world = small_world
    monkeypatch.setattr("lime_server.modules.site_login.seat.ROOM", 2)
    ids = [await world.approved() for _ in range(3)]
    with world.delivery.seat(world.site.site_id, None) as seat:
        await round_(world)
        assert held(seat) == ids[:2]
        seat.queue.clear()
        await world.delivery.poll()
        assert held(seat) == ids[2:]


async def test_streams_of_one_consumer_each_resume(small_world):
    world = small_world
    request_id = await world.approved()
    site_id = world.site.site_id
    with world.delivery.seat(site_id, "worker") as lost:
        await round_(world)
        assert held(lost) == [request_id]
        with (
            world.delivery.seat(site_id, "worker") as again,
            world.delivery.seat(site_id, "worker") as twin,
        ):
            await round_(world)
            # At least once: each new stream may be the one that replaced a dead one.
            assert held(again) == held(twin) == [request_id]


async def test_draining_ends_streams_now_and_from_now_on(small_world):
    world = small_world
    with (
        world.delivery.seat(world.site.site_id, None) as now,
        world.delivery.watching("x") as rung,
    ):
        world.delivery.drain()
        assert now.ending is Ending.GOAWAY
        assert rung.is_set()
        with world.delivery.seat(world.site.site_id, None) as later:
            assert later.ending is Ending.GOAWAY
        now.end(Ending.SUSPENDED)
        assert now.ending is Ending.GOAWAY
        now.end(Ending.GONE)
        assert now.ending is Ending.GONE


async def test_streams_are_counted(small_world):
    world = small_world
    with world.delivery.seat(world.site.site_id, None):
        assert world.tally.open_streams == 1
    assert world.tally.open_streams == 0


async def test_a_site_that_connects_during_a_poll_is_not_taken_for_suspended(small_world):
    delivery = small_world.delivery
    late = []
    with contextlib.ExitStack() as connections:

        class Slow:
            """Somebody connects while the answer is on its way."""

            async def suspended(self, site_ids):
                in_good_standing = set(site_ids)
                seat = delivery.seat(small_world.other_site.site_id, None)
                late.append(connections.enter_context(seat))
                return set(site_ids) - in_good_standing

        delivery._standing = Slow()
        with delivery.seat(small_world.site.site_id, None) as early:
            await delivery.poll()
            assert (early.ending, late[0].ending) == (None, None)


async def test_the_hub_goes_on_after_failures(world, help_):
    """An absent database and a bug of ours are both logged and survived."""
    failures = [Unavailable(), RuntimeError("a bug")]
    standing = world.backend.sites
    asked = asyncio.Event()

    class Flaky:
        async def suspended(self, site_ids):
            if failures:
                raise failures.pop()
            asked.set()
            return await standing.suspended(site_ids)

    world.delivery._standing = Flaky()
    world.delivery._timing = DeliveryTiming(0.001, help_.LEASE)
    with world.delivery.seat(world.site.site_id, "worker") as seat:
        request_id = await world.approved()
        async with help_.running(world.delivery.run()):
            await seat.wait(60)
            await asked.wait()
        assert held(seat) == [request_id]


async def test_rings_reach_the_stream_through_the_running_hub(delivering):
    world = delivering
    with (
        world.delivery.seat(world.site.site_id, "worker") as sharing,
        world.delivery.seat(world.site.site_id, None) as seeing_all,
    ):
        request_id = await world.approved()
        await sharing.wait(60)
        await seeing_all.wait(60)
        assert held(sharing) == held(seeing_all) == [request_id]


async def test_two_servers_hand_each_event_to_one_worker(world, help_):
    """Two hubs over one database, as two server processes are."""
    twin = help_.World(world.backend, world.clock, world.ring, bell=world.bell)
    site_id = world.site.site_id
    async with help_.running(world.delivery.run()), help_.running(twin.delivery.run()):
        with world.delivery.seat(site_id, "a") as a, twin.delivery.seat(site_id, "b") as b:
            ids = [await world.approved() for _ in range(10)]
            while len(a.queue) + len(b.queue) < len(ids):
                world.delivery.look_at(site_id)
                twin.delivery.look_at(site_id)
                await asyncio.sleep(0)
            assert sorted(held(a) + held(b)) == sorted(ids)
