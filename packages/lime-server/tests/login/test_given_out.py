"""Events that go straight from an approval to a stream of the same process."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from lime_server.core.errors import Unavailable
from lime_server.modules.site_login.seat import BATCH


def held(seat):
    return [due.event.event_id for due in seat.queue]


@pytest.fixture
def open_seats():
    """Opens streams, which have then had their first look at the database."""
    with contextlib.ExitStack() as stack:

        async def opened(world, *consumers):
            site_id = world.site.site_id
            seats = [stack.enter_context(world.delivery.seat(site_id, each)) for each in consumers]
            for _ in seats:
                await world.delivery.serve_rung()
            return seats

        yield opened


@pytest.fixture
def elsewhere(world, help_):
    """Another server on the same stores."""
    other = help_.World(world.backend, world.clock, world.ring)
    other.agent, other.site = world.agent, world.site
    return other


@pytest.mark.parametrize("consumer", ["worker", None])
async def test_a_stream_in_the_process_that_approves_gets_the_event_without_a_look(
    open_seats, world, help_, consumer
):
    (seat,) = await open_seats(world, consumer)
    world.delivery._events = help_.Broken(AssertionError("nobody needs to look"))
    request_id = await world.approved()
    assert held(seat) == [request_id]
    await world.delivery.serve_rung()
    assert held(seat) == [request_id]


async def test_its_passport_is_minted_from_what_the_approval_knew(open_seats, world):
    (seat,) = await open_seats(world, "worker")
    request_id = await world.approved()
    (due,) = seat.queue
    assert (due.acknowledged, due.site_suspended) == (False, False)
    fresh = await world.passports.refreshed(due)
    claims = world.claims(await world.passports.mint(fresh), request_id)
    assert claims["sub"] == world.agent.agent_id
    assert claims["site_id"] == world.site.site_id


async def test_it_is_leased_from_the_start(open_seats, world, elsewhere, help_):
    await open_seats(world, "worker")
    (other,) = await open_seats(elsewhere, "another")
    request_id = await world.approved()
    await elsewhere.delivery.poll()
    assert held(other) == []
    # The worker dies without a word: the lease runs out, as any other.
    world.clock.advance(help_.LEASE.total_seconds())
    await elsewhere.delivery.poll()
    assert held(other) == [request_id]


async def test_a_new_stream_gets_it_once(world):
    with world.delivery.seat(world.site.site_id, "worker") as seat:
        request_id = await world.approved()
        # Its first look asks for what it may have missed, its own leases included.
        await world.delivery.serve_rung()
        assert held(seat) == [request_id]


async def test_those_who_share_get_it_one_by_one_and_those_who_do_not_all(open_seats, world):
    one, two, sees_all = await open_seats(world, "one", "two", None)
    first, second = await world.approved(), await world.approved()
    assert sorted(held(one) + held(two)) == sorted([first, second])
    assert len(one.queue) == len(two.queue) == 1
    assert held(sees_all) == [first, second]
    await world.delivery.serve_rung()
    assert len(one.queue) + len(two.queue) == 2


async def test_a_stream_without_room_gets_no_more_and_nothing_is_lost(world):
    with world.delivery.seat(world.site.site_id, "worker") as seat:
        await world.delivery.serve_rung()
        asked = [await world.approved() for _ in range(BATCH + 3)]
        assert held(seat) == asked[:BATCH]
        seat.queue.clear()
        # What a stream says when it has sent the last of a batch.
        assert seat.more
        world.delivery.look_at(world.site.site_id)
        await world.delivery.serve_rung()
        assert held(seat) == asked[BATCH:]


async def test_an_approval_that_fails_gives_nothing_and_keeps_no_room(open_seats, world, help_):
    (seat,) = await open_seats(world, "worker")
    request_id = await world.request()
    nonce = await world.solved(request_id)
    store = world.logins._logins

    class Away:
        find = store.find
        decide = help_.Broken(Unavailable()).decide

    world.logins._logins = Away()
    with pytest.raises(Unavailable):
        await world.logins.approve(world.agent, request_id, nonce)
    assert (held(seat), seat.promised) == ([], 0)


async def test_who_found_no_room_is_served_when_the_room_was_kept_for_nothing(
    open_seats, world, elsewhere
):
    (seat,) = await open_seats(world, "worker")
    with contextlib.ExitStack() as places:
        for _ in range(BATCH):
            places.enter_context(world.delivery.place(world.site.site_id))
        request_id = await elsewhere.approved()
        await world.delivery.poll()
        assert (held(seat), seat.more) == ([], True)
    await world.delivery.serve_rung()
    assert held(seat) == [request_id]


@pytest.mark.parametrize("others", [["another"], ["another", None], [None], []])
async def test_a_stream_that_leaves_while_the_event_is_written_leaves_it_to_another(
    open_seats, world, others
):
    request_id = await world.request()
    nonce = await world.solved(request_id)
    with contextlib.ExitStack() as leaving:
        leaving.enter_context(world.delivery.seat(world.site.site_id, "worker"))
        await world.delivery.serve_rung()
        seats = await open_seats(world, *others)
        decide = world.logins._logins.decide

        async def decided_when_it_has_left(*arguments):
            decided = await decide(*arguments)
            leaving.close()
            return decided

        class Slow:
            find = world.logins._logins.find
            decide = staticmethod(decided_when_it_has_left)

        world.logins._logins = Slow()
        await world.logins.approve(world.agent, request_id, nonce)
    # At once, and not when the lease of the one that left has run out.
    assert [held(seat) for seat in seats] == [[request_id]] * len(others)
    await world.delivery.serve_rung()
    assert [held(seat) for seat in seats] == [[request_id]] * len(others)


async def test_nobody_is_let_in_who_was_suspended_while_the_request_was_looked_for(
    open_seats, world
):
    (seat,) = await open_seats(world, "worker")
    request_id = await world.request()
    nonce = await world.solved(request_id)
    find = world.logins._logins.find

    async def found_late(ident):
        await world.backend.suspend_owner(world.stranger.owner_id, True)
        world.clock.advance(2)
        return await find(ident)

    class Slow:
        find = staticmethod(found_late)
        decide = world.logins._logins.decide

    world.logins._logins = Slow()
    await world.logins.approve(world.stranger, request_id, nonce)
    # What is known of the agent is as old as the call, and not as its end.
    (due,) = seat.queue
    assert await world.passports.refreshed(due) is None


async def test_a_suspended_site_is_given_nothing(open_seats, world):
    (seat,) = await open_seats(world, "worker")
    request_id = await world.request()
    nonce = await world.solved(request_id)
    find = world.logins._logins.find

    async def suspended_meanwhile(ident):
        known = await find(ident)
        await world.backend.suspend_site(world.site.site_id, True)
        return known

    class Slow:
        decide = world.logins._logins.decide

        def __init__(self):
            self.find = suspended_meanwhile

    world.logins._logins = Slow()
    await world.logins.approve(world.agent, request_id, nonce)
    # It was given out in the same instant; the stream looks again when that is a second ago.
    (due,) = seat.queue
    world.clock.advance(timedelta(seconds=1.1).total_seconds())
    assert await world.passports.refreshed(due) is None


async def test_what_is_given_and_never_rung_for_is_not_remembered_for_ever(open_seats, world):
    (seat,) = await open_seats(world, "worker")

    class Mute:
        async def ring(self, topic, ident):
            raise asyncio.CancelledError

    world.logins._bell = Mute()
    with pytest.raises(asyncio.CancelledError):
        await world.approved()
    assert len(seat.queue) == len(world.delivery._given) == 1
    await world.delivery.poll()
    assert not world.delivery._given
