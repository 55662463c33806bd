"""Login history, open streams and events on their way, on both kinds of stores."""

import asyncio
import json
from contextlib import aclosing

import pytest

from lime_server.core.errors import NotFound, RateLimited, Unavailable
from lime_server.core.held_tokens import TokenUse
from lime_server.modules.delivery_monitor import service
from lime_server.modules.delivery_monitor.service import NUDGES
from lime_server.modules.site_login import wire
from lime_server.modules.site_login.model import State
from lime_server.modules.site_login.presence import GONE_AFTER
from lime_server.modules.site_login.stream import EventStream, StreamParts, StreamTiming

ELSEWHERE = "0190a2b4-0000-7000-8000-00000000bbbb"
NOBODY = "0190a2b4-0000-7000-8000-000000000000"


# History


async def test_an_agents_history_has_what_it_decided_wherever(world):
    approved = await world.login(State.DELIVERED)
    denied = await world.login(State.DENIED, site=world.strange_site)
    await world.login(agent=world.strange_agent)
    history, now = world.registry.history, world.clock.now()
    found = await history.of_agent(world.agent.agent_id, before=None, limit=9, now=now)
    assert [(past.login_request_id, past.status) for past in found] == [
        (denied, "DENIED"),
        (approved, "DELIVERED"),
    ]
    assert (found[0].site_name, found[0].agent_name) == ("Strange site", "Agent")
    older = await history.of_agent(world.agent.agent_id, before=denied, limit=9, now=now)
    assert older == found[1:]
    assert len(await history.of_agent(world.agent.agent_id, before=None, limit=1, now=now)) == 1


async def test_a_sites_history_has_everything_it_asked_for(world):
    pending = await world.login(State.PENDING)
    approved = await world.login(agent=world.strange_agent)
    await world.login(site=world.strange_site)
    history = world.registry.history

    async def found():
        now = world.clock.now()
        return await history.of_site(world.site.site_id, before=None, limit=9, now=now)

    first, second = await found()
    assert (first.login_request_id, first.status) == (approved, "APPROVED")
    assert (second.login_request_id, second.status) == (pending, "PENDING")
    assert (second.agent_id, second.agent_name, second.decided_at) == (None, None, None)
    world.clock.advance(300)
    _, second = await found()
    # Swept or not, nobody can approve it any more.
    assert (second.status, second.decided_at) == ("EXPIRED", second.expires_at)


async def test_the_other_side_keeps_its_history_of_what_was_deleted(world):
    await world.login(agent=world.strange_agent)
    await world.owned_agents.delete(world.bob, world.strange_agent.agent_id)
    now = world.clock.now()
    (past,) = await world.registry.history.of_site(
        world.site.site_id, before=None, limit=9, now=now
    )
    assert past.agent_name == "Strange agent"


# Presence


async def test_streams_of_every_server_are_shown(world):
    presence, store = world.presence, world.registry.presence
    site_id, now = world.site.site_id, world.clock.now()
    with world.delivery.seat(site_id, "here"):
        await presence.once()
        await store.beat(ELSEWHERE, now, gone_before=now - GONE_AFTER)
        world.clock.advance(1)
        there = world.delivery.streams()[site_id][0]
        await store.write(ELSEWHERE, {site_id: [there], world.strange_site.site_id: [there]})
        shown = await presence.streams(site_id)
        assert [stream.consumer for stream in shown] == ["here", "here"]
        # A server that is not heard of any more has no streams.
        world.clock.advance(GONE_AFTER.total_seconds() + 1)
        assert len(await presence.streams(site_id)) == 1
        await presence.once()
    back = world.clock.now()
    assert await store.beat(ELSEWHERE, back, gone_before=back - GONE_AFTER)


async def test_only_what_changed_is_written(world):
    presence, store = world.presence, world.registry.presence
    site_id = world.site.site_id

    async def seen_from_elsewhere():
        before = world.clock.now() - GONE_AFTER
        found = await store.elsewhere(site_id, ELSEWHERE, gone_before=before)
        return sorted(stream.consumer or "" for stream in found)

    with world.delivery.seat(site_id, None):
        with world.delivery.seat(site_id, "worker"):
            await presence.once()
            await presence.once()
            assert await seen_from_elsewhere() == ["", "worker"]
        await presence.once()
        assert await seen_from_elsewhere() == [""]
        # Whatever made the others forget us: we notice, and write everything again.
        await store.leave(presence._server_id)
        assert await seen_from_elsewhere() == []
        await presence.once()
        assert await seen_from_elsewhere() == [""]
    await presence.once()
    assert await seen_from_elsewhere() == []


class Away:
    """A store whose engine fails, in one way and then in another."""

    def __init__(self):
        self.failures = [Unavailable(), RuntimeError("boom")]
        self.asked = asyncio.Event()

    async def beat(self, *_, **__):
        if self.failures:
            raise self.failures.pop()
        self.asked.set()
        return True

    async def leave(self, _server_id):
        raise Unavailable


async def test_presence_survives_an_absent_database_and_takes_leave(small_world):
    presence, store = small_world.presence, small_world.registry.presence
    away = presence._store = Away()
    running = asyncio.create_task(presence.run())
    await away.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    presence._store = store
    running = asyncio.create_task(presence.run())
    while not store._seen:  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert store._seen == {}


async def test_the_use_of_tokens_is_noted_in_the_background_and_at_the_end(small_world):
    written, failures = [], [Unavailable(), RuntimeError("boom")]
    done = asyncio.Event()

    class Store:
        async def touch(self, uses, *, every):
            if failures:
                raise failures.pop()
            written.append(dict(uses))
            done.set()

    use = TokenUse(Store(), small_world.clock, interval=0.001)
    running = asyncio.create_task(use.run())
    use.note(b"first")
    while failures:  # a store that fails says nothing that could be waited for
        use.note(b"again")
        await asyncio.sleep(0.001)
    await done.wait()
    assert set().union(*written) >= {b"again"}
    use.note(b"last")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert b"last" in written[-1]


def test_what_waits_to_be_noted_is_bounded(small_world, monkeypatch):
    monkeypatch.setattr("lime_server.core.held_tokens.MOST_NOTED", 1)
    use = TokenUse(None, small_world.clock)
    for token_hash in (b"first", b"second", b"first"):
        use.note(token_hash)
    assert list(use._uses) == [b"first"]


async def test_where_nothing_was_used_nothing_is_written(small_world):
    await TokenUse(None, small_world.clock).flush()


# Deliveries


async def test_the_monitor_shows_what_is_on_its_way(world):
    await world.login(site=world.strange_site)
    waiting = await world.login()
    delivered = await world.login(State.DELIVERED)
    now = world.clock.now()
    await world.events.lease(
        {world.site.site_id: "worker"}, resuming=(), now=now, until=now, limit=9
    )
    with world.delivery.seat(world.site.site_id, "worker"):
        snapshot = await world.monitor.look(world.ada, world.site.site_id)
    assert [stream.consumer for stream in snapshot.streams] == ["worker"]
    (undelivered,) = snapshot.undelivered
    assert (undelivered.event_id, undelivered.kind) == (waiting, "approved")
    assert (undelivered.leased_to, undelivered.acknowledged_at) == ("worker", None)
    (done,) = snapshot.delivered
    assert (done.event_id, done.acknowledged_at) == (delivered, now)
    world.clock.advance(300)
    later = await world.monitor.look(world.ada, world.site.site_id)
    assert (later.undelivered, later.delivered) == ([], [])


async def test_an_event_is_sent_again_and_its_login_stays_delivered(world):
    request_id = await world.login(State.DELIVERED)
    rung = []
    world.bell.listen(lambda topic, ident: rung.append((topic, ident)))
    await world.monitor.redeliver(world.ada, world.site.site_id, request_id)
    snapshot = await world.monitor.look(world.ada, world.site.site_id)
    assert [event.event_id for event in snapshot.undelivered] == [request_id]
    assert (await world.logins.find(request_id)).login.state is State.DELIVERED
    assert rung == [("site-login-again", f"{world.site.site_id}/{request_id}")]
    assert await world.events.acknowledge(world.site.site_id, [request_id], world.clock.now()) == 0
    assert await world.log() == ["site.event.redelivered"]


async def test_what_is_not_ones_own_or_too_old_is_not_sent_again(world):
    request_id = await world.login()
    theirs = await world.login(site=world.strange_site)
    site_id = world.site.site_id
    for owner_id, site, event_id in (
        (world.bob, site_id, request_id),
        (world.ada, site_id, theirs),
        (world.ada, site_id, NOBODY),
        (world.ada, site_id, "x"),
    ):
        with pytest.raises(NotFound):
            await world.monitor.redeliver(owner_id, site, event_id)
    world.clock.advance(300)
    with pytest.raises(NotFound):
        await world.monitor.redeliver(world.ada, site_id, request_id)
    assert await world.log() == []


async def test_nudges_are_counted_for_the_owner(small_world):
    site_id = small_world.site.site_id
    for _ in range(NUDGES.burst):
        await small_world.monitor.test(small_world.ada, site_id)
    with pytest.raises(RateLimited):
        await small_world.monitor.test(small_world.ada, site_id)


@pytest.mark.parametrize("consumer", [None, "worker"])
async def test_a_stream_carries_a_test_frame_once_however_often_it_is_asked_for(
    small_world, consumer
):
    world = small_world
    parts = StreamParts(world.delivery, None, StreamTiming(60, 300))
    with (
        world.delivery.seat(world.site.site_id, consumer) as seat,
        world.delivery.seat(world.strange_site.site_id, consumer) as other,
    ):
        async with aclosing(EventStream(seat, parts).frames()) as frames:
            reading = asyncio.create_task(anext(frames))
            await asyncio.sleep(0)
            await world.monitor.test(world.ada, world.site.site_id)
            await world.monitor.test(world.ada, world.site.site_id)
            assert await reading == b'data: {"type":"test"}\n\n' == wire.TEST
            assert not seat.test_wanted
            assert not other.test_wanted


async def test_a_stream_that_had_an_event_is_shown_it_again(small_world):
    world = small_world
    request_id = await world.login()
    site_id = world.site.site_id
    with world.delivery.seat(site_id, None) as seat:
        await world.delivery.serve_rung()
        assert [due.event.event_id for due in seat.queue] == [request_id]
        seat.queue.clear()
        await world.events.acknowledge(site_id, [request_id], world.clock.now())
        await world.monitor.redeliver(world.ada, site_id, request_id)
        await world.delivery.serve_rung()
        assert [due.event.event_id for due in seat.queue] == [request_id]
    await world.delivery.show_again(site_id, request_id)


# Watching


def shape(snapshot):
    return json.dumps([event.event_id for event in snapshot.undelivered]).encode()


async def test_a_viewer_is_shown_every_change_and_nothing_twice(small_world):
    world = small_world
    site_id = world.site.site_id
    with world.monitor.viewer(world.ada, site_id) as viewer:
        async with aclosing(world.monitor.frames(world.ada, viewer, shape)) as frames:
            assert await anext(frames) == b"data: []\n\n"
            reading = asyncio.create_task(anext(frames))
            # So that it waits before something happens.
            await asyncio.sleep(0)
            request_id = await world.login()
            await world.bell.ring("site-login", f"{world.strange_site.site_id}/{request_id}")
            await world.bell.ring("site-login", f"{site_id}/{request_id}")
            assert await reading == f'data: ["{request_id}"]\n\n'.encode()
    assert world.monitor._viewers == {}


async def test_a_viewer_hears_keepalives_and_sees_an_end(small_world, monkeypatch):
    world = small_world
    timing = service.MonitorTiming(look_every=0.001, pause=0, keepalive=0.01, lifetime=0.05)
    monkeypatch.setattr(world.monitor, "timing", timing)
    with world.monitor.viewer(world.ada, world.site.site_id) as viewer:
        frames = [frame async for frame in world.monitor.frames(world.ada, viewer, shape)]
    assert frames[0] == b"data: []\n\n"
    assert set(frames[1:]) == {b": keepalive\n\n"}


async def test_a_database_that_is_away_for_a_moment_ends_nothing(small_world, monkeypatch):
    world = small_world
    look, failures = world.monitor.look, [Unavailable()]

    async def faltering(owner_id, site_id):
        if failures:
            raise failures.pop()
        return await look(owner_id, site_id)

    monkeypatch.setattr(world.monitor, "look", faltering)
    with world.monitor.viewer(world.ada, world.site.site_id) as viewer:
        async with aclosing(world.monitor.frames(world.ada, viewer, shape)) as frames:
            assert await anext(frames) == b"data: []\n\n"


async def test_a_site_that_is_deleted_ends_the_view(small_world):
    world = small_world
    with world.monitor.viewer(world.ada, world.site.site_id) as viewer:
        async with aclosing(world.monitor.frames(world.ada, viewer, shape)) as frames:
            await anext(frames)
            await world.owned_sites.delete(world.ada, world.site.site_id)
            assert [frame async for frame in frames] == []


async def test_views_are_bounded_and_end_with_the_server(small_world, monkeypatch):
    world = small_world
    monitor, site_id = world.monitor, world.site.site_id
    monkeypatch.setattr(service, "MOST_VIEWERS_OF_OWNER", 2)
    monkeypatch.setattr(service, "MOST_VIEWERS", 3)
    with monitor.viewer(world.ada, site_id) as viewer, monitor.viewer(world.ada, site_id):
        with pytest.raises(RateLimited), monitor.viewer(world.ada, site_id):
            pass
        with (
            monitor.viewer(world.bob, site_id),
            pytest.raises(Unavailable),
            monitor.viewer(world.bob, site_id),
        ):
            pass
        monitor.drain()
        assert viewer.left
        assert [frame async for frame in monitor.frames(world.ada, viewer, shape)] == []
        with pytest.raises(Unavailable), monitor.viewer(world.bob, site_id):
            pass
    assert monitor._viewers == {}
