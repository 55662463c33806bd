"""One stream: frames, heartbeats, ends. Timings are short where time is the subject."""

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from lime_server.core.errors import RateLimited, Unavailable
from lime_server.foundation.sites import Admission
from lime_server.modules.site_login import wire
from lime_server.modules.site_login.delivery import DeliveryTiming
from lime_server.modules.site_login.model import State
from lime_server.modules.site_login.response import EventStreamResponse
from lime_server.modules.site_login.seat import BATCH, Ending
from lime_server.modules.site_login.stream import EventStream, StreamParts, StreamTiming
from lime_server.modules.sse import send_frames

SLOW = StreamTiming(keepalive=60, lifetime=300)
BEATING = StreamTiming(keepalive=0.02, lifetime=300)
SHORT = StreamTiming(keepalive=60, lifetime=0.02)


def parsed(frame):
    """The id and the object of one frame; its form is part of the protocol."""
    lines = frame.decode().split("\n")
    assert lines[-2:] == ["", ""]
    event_id = lines.pop(0).removeprefix("id: ") if frame.startswith(b"id: ") else None
    (data,) = lines[:-2]
    assert data.startswith("data: ")
    return event_id, json.loads(data.removeprefix("data: "))


@asynccontextmanager
async def stream(world, timing, consumer=None):
    parts = StreamParts(world.delivery, world.passports, timing)
    with world.delivery.seat(world.site.site_id, consumer) as seat:
        async with aclosing(EventStream(seat, parts).frames()) as frames:
            yield frames


async def next_event(frames):
    """The next frame that is no heartbeat."""
    async for frame in frames:
        if frame != wire.KEEPALIVE:
            return parsed(frame)
    return None


@pytest.mark.parametrize("consumer", [None, "worker"])
async def test_an_approval_arrives_with_a_fresh_passport(delivering, consumer):
    world = delivering
    async with stream(world, SLOW, consumer) as frames:
        request_id = await world.approved()
        event_id, data = await next_event(frames)
        passport = data.pop("agent_passport_jwt")
        assert event_id == request_id
        assert data == {"type": "approved", "login_request_id": request_id}
        now = int(world.clock.now().timestamp())
        assert world.claims(passport, request_id) == {
            "iss": "https://lime.example",
            "aud": "lime-site-login",
            "sub": world.agent.agent_id,
            "iat": now,
            "exp": now + 60,
            "jti": request_id,
            "request_id": request_id,
            "user_id": world.owner.owner_id,
            "passport_version": 1,
            "site_id": world.site.site_id,
            "azp": world.site.site_id,
            "kyc_level": 0,
        }


async def test_a_passport_is_fresh_however_late_the_site_connects(world):
    request_id = await world.approved()
    world.clock.advance(200)
    async with stream(world, SLOW, "worker") as frames:
        await world.delivery.serve_rung()
        _, data = await next_event(frames)
    claims = world.claims(data["agent_passport_jwt"], request_id)
    assert claims["iat"] == int(world.clock.now().timestamp())


async def test_the_redirect_url_comes_back_with_the_approval(delivering):
    world = delivering
    async with stream(world, SLOW) as frames:
        request_id = await world.request(redirect_url="https://shop.example/")
        await world.logins.approve(world.agent, request_id, await world.solved(request_id))
        _, data = await next_event(frames)
        assert data["redirect_url"] == "https://shop.example/"


async def test_refusals_and_expiries_arrive_without_a_passport(delivering, help_):
    world = delivering
    async with stream(world, SLOW) as frames:
        denied = await world.request(redirect_url="https://shop.example/")
        await world.logins.deny(world.agent, denied)
        assert await next_event(frames) == (denied, {"type": "denied", "login_request_id": denied})
        expired = await world.request()
        world.clock.advance(help_.LIFETIME.total_seconds())
        await world.sweep.once()
        assert await next_event(frames) == (
            expired,
            {"type": "expired", "login_request_id": expired},
        )


async def test_heartbeats_come_on_their_own(small_world):
    async with stream(small_world, BEATING) as frames:
        for _ in range(3):
            assert parsed(await anext(frames)) == (None, {"type": "keepalive"})


async def test_what_a_stream_without_consumer_outlived_counts_as_delivered(delivering):
    world = delivering
    async with stream(world, BEATING) as frames:
        request_id = await world.approved()
        await next_event(frames)
        assert await anext(frames) == wire.KEEPALIVE
        status = await world.logins.status(world.site, request_id)
        assert status.state is State.APPROVED, "the heartbeat may not have arrived"
        assert await anext(frames) == wire.KEEPALIVE
        status = await world.logins.status(world.site, request_id)
        assert status.state is State.DELIVERED


async def test_what_a_consumer_does_not_acknowledge_is_not_delivered(delivering):
    world = delivering
    async with stream(world, BEATING, "worker") as frames:
        request_id = await world.approved()
        await next_event(frames)
        for _ in range(3):
            assert await anext(frames) == wire.KEEPALIVE
        status = await world.logins.status(world.site, request_id)
        assert status.state is State.APPROVED
        # The handler failed, the lease runs out, and the poll offers the event again.
        world.clock.advance(10)
        await world.delivery.poll()
        assert (await next_event(frames))[0] == request_id


async def test_a_client_that_dies_before_the_heartbeat_gets_the_event_again(delivering):
    world = delivering
    async with stream(world, SLOW) as frames:
        request_id = await world.approved()
        assert (await next_event(frames))[0] == request_id
    async with stream(world, SLOW) as frames:
        assert (await next_event(frames))[0] == request_id


async def test_a_stream_ends_when_its_life_is_over(small_world):
    async with stream(small_world, SHORT) as frames:
        assert [frame async for frame in frames] == []


async def test_a_stream_at_the_end_of_its_life_confirms_what_it_carried(delivering):
    world = delivering
    timing = StreamTiming(keepalive=0.4, lifetime=0.2)
    async with stream(world, timing) as frames:
        request_id = await world.approved()
        await next_event(frames)
        assert [frame async for frame in frames] == [wire.KEEPALIVE]
    assert (await world.logins.status(world.site, request_id)).state is State.DELIVERED


async def test_a_stream_cut_in_its_last_moment_confirms_nothing(small_world, help_):
    world = small_world
    parts = StreamParts(world.delivery, world.passports, StreamTiming(40, 0.05))
    async with help_.running(world.delivery.run()):
        with world.delivery.seat(world.site.site_id, None) as seat:
            frames = EventStream(seat, parts).frames()
            request_id = await world.approved()
            await next_event(frames)
            assert await anext(frames) == wire.KEEPALIVE
            seat.end(Ending.GONE)
            with pytest.raises(StopAsyncIteration):
                await anext(frames)
    assert (await world.logins.status(world.site, request_id)).state is State.APPROVED


async def test_a_stop_of_the_server_is_announced(delivering):
    world = delivering
    async with stream(world, SLOW) as frames:
        request_id = await world.approved()
        assert (await next_event(frames))[0] == request_id
        world.delivery.drain()
        assert [parsed(frame) async for frame in frames] == [(None, {"type": "goaway"})]


async def test_a_suspended_site_is_told_why_its_stream_ends(delivering):
    world = delivering
    async with stream(world, SLOW) as frames:
        await world.backend.suspend_site(world.site.site_id, True)
        await world.delivery.poll()
        ((event_id, data),) = [parsed(frame) async for frame in frames]
        assert (event_id, data["type"], data["code"]) == (None, "error", "SITE_SUSPENDED")


async def test_a_stream_says_that_its_token_ended_it(world):
    parts = StreamParts(world.delivery, world.passports, SLOW)
    with world.delivery.seat(world.site.site_id, None, b"was rotated away") as seat:
        await world.delivery.poll()
        frames = [parsed(frame) async for frame in EventStream(seat, parts).frames()]
    ((event_id, data),) = frames
    assert (event_id, data["type"], data["code"]) == (None, "error", "SITE_TOKEN_INVALID")


# What changes while an event waits for a slow reader


async def waiting_event(world, seat):
    request_id = await world.approved(agent=world.stranger)
    await world.delivery.serve_rung()
    assert [due.event.event_id for due in seat.queue] == [request_id]
    world.clock.advance(2)
    return request_id


@pytest.mark.parametrize("trouble", ["switched off", "window closed"])
async def test_standing_is_looked_at_again_when_a_passport_is_made(world, help_, trouble):
    with world.delivery.seat(world.site.site_id, None) as seat:
        await waiting_event(world, seat)
        if trouble == "switched off":
            await world.backend.switch_agent(world.stranger.agent_id, False)
        else:
            world.clock.advance(help_.WINDOW.total_seconds())
        frames = EventStream(seat, StreamParts(world.delivery, world.passports, BEATING)).frames()
        assert await anext(frames) == wire.KEEPALIVE
        await frames.aclose()


async def test_a_held_back_event_travels_once_its_agent_is_switched_on_again(world):
    with world.delivery.seat(world.site.site_id, None) as seat:
        request_id = await waiting_event(world, seat)
        await world.backend.switch_agent(world.stranger.agent_id, False)
        parts = StreamParts(world.delivery, world.passports, BEATING)
        frames = EventStream(seat, parts).frames()
        assert await anext(frames) == wire.KEEPALIVE
        await world.backend.switch_agent(world.stranger.agent_id, True)
        await world.delivery.poll()
        assert (await next_event(frames))[0] == request_id
        await frames.aclose()


async def test_an_event_waits_while_no_passport_can_be_made(small_world):
    world = small_world

    class NoKey:
        async def sign(self, *_, **__):
            raise Unavailable

    signer, world.passports._signer = world.passports._signer, NoKey()
    with world.delivery.seat(world.site.site_id, None) as seat:
        request_id = await waiting_event(world, seat)
        parts = StreamParts(world.delivery, world.passports, BEATING)
        frames = EventStream(seat, parts).frames()
        assert await anext(frames) == wire.KEEPALIVE
        world.passports._signer = signer
        await world.delivery.poll()
        assert (await next_event(frames))[0] == request_id
        await frames.aclose()


async def test_a_delivery_that_cannot_be_noted_is_noted_after_a_later_heartbeat(small_world, help_):
    world = small_world
    events = world.delivery._events
    async with help_.running(world.delivery.run()), stream(world, BEATING) as frames:
        request_id = await world.approved()
        await next_event(frames)
        assert await anext(frames) == wire.KEEPALIVE
        world.delivery._events = help_.Broken(Unavailable())
        assert await anext(frames) == wire.KEEPALIVE
        world.delivery._events = events
        for _ in range(2):
            assert await anext(frames) == wire.KEEPALIVE
    assert (await world.logins.status(world.site, request_id)).state is State.DELIVERED


async def test_a_stream_that_has_caught_up_asks_for_what_was_left_behind(delivering):
    world = delivering
    ids = [await world.approved() for _ in range(BATCH + 3)]
    async with stream(world, SLOW, "worker") as frames:
        assert [(await next_event(frames))[0] for _ in ids] == ids


async def test_many_streams_of_a_site_share_a_signature(small_world):
    world = small_world
    signed = []

    class Counting:
        async def sign(self, claims, *, typ):
            signed.append(claims)
            return f"passport {len(signed)}"

    world.passports._signer = Counting()
    now = world.clock.now
    (due,) = await world.backend.events.named([await world.approved()], now=now())
    assert {await world.passports.mint(due) for _ in range(1000)} == {"passport 1"}
    # Not beyond a second, not for another event, and not once the agent stands otherwise.
    world.clock.advance(1)
    assert await world.passports.mint(due) == "passport 2"
    (other,) = await world.backend.events.named([await world.approved()], now=now())
    assert await world.passports.mint(other) == "passport 3"
    verified = replace(due, agent=replace(due.agent, kyc_level=2))
    assert await world.passports.mint(verified) == "passport 4"
    # A clock that was set back keeps nothing alive.
    world.clock.advance(-60)
    assert await world.passports.mint(due) == "passport 5"
    assert len(world.passports._made) == 1


async def test_only_an_approval_by_a_known_agent_has_a_passport(world):
    request_id = await world.request()
    await world.logins.deny(world.stranger, request_id)
    await world.backend.delete_agent(world.stranger.agent_id)
    (due,) = await world.backend.events.named([request_id], now=world.clock.now())
    with pytest.raises(ValueError, match="approval"):
        await world.passports.mint(due)


async def test_a_passport_is_only_for_the_site_that_asked(world):
    request_id = await world.approved()
    assert await world.passports.of_login(world.other_site.site_id, request_id) is None
    passport = await world.passports.of_login(world.site.site_id, request_id)
    assert world.claims(passport, request_id)["jti"] == request_id


# As an ASGI response


class Client:
    """The other side of a connection."""

    def __init__(self):
        self.sent = asyncio.Queue()
        self.leaves = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.first = True

    async def receive(self):
        if self.first:
            self.first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        await self.reads.wait()
        await self.sent.put(message)


def response(world, timing, consumer=None):
    parts = StreamParts(world.delivery, world.passports, timing)
    admission = Admission(world.site, world.sites._tokens.hash(world.site_token.text))
    return EventStreamResponse(parts, admission, consumer)


async def test_one_stream_too_many_is_refused_before_anything_is_sent(small_world, help_):
    small_world.delivery._timing = DeliveryTiming(60, help_.LEASE, streams_per_site=0)
    client = Client()
    with pytest.raises(RateLimited):
        await response(small_world, SHORT)({}, client.receive, client.send)
    assert client.sent.empty()


async def test_a_response_ends_when_its_token_does(small_world):
    client = Client()
    work = asyncio.ensure_future(response(small_world, SLOW)({}, client.receive, client.send))
    await client.sent.get()
    small_world.backend.owners._identities.site_tokens.clear()
    await small_world.delivery.poll()
    await work
    said = parsed(client.sent.get_nowait()["body"])
    assert said[1]["code"] == "SITE_TOKEN_INVALID"


async def test_a_response_says_what_it_is_and_ends_properly(small_world):
    client = Client()
    await response(small_world, SHORT)({}, client.receive, client.send)
    start, end = client.sent.get_nowait(), client.sent.get_nowait()
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert b"content-length" not in headers
    assert end == {"type": "http.response.body", "body": b"", "more_body": False}
    assert small_world.tally.open_streams == 0


async def test_a_client_that_leaves_ends_its_stream(small_world):
    client = Client()
    serving = asyncio.create_task(response(small_world, SLOW)({}, client.receive, client.send))
    await client.sent.get()
    client.leaves.set()
    await serving
    assert small_world.tally.open_streams == 0


async def test_a_client_that_does_not_read_is_cut_off(small_world):
    client = Client()
    timing = StreamTiming(keepalive=0.01, lifetime=300, patience=0.01)
    serving = asyncio.create_task(response(small_world, timing)({}, client.receive, client.send))
    await client.sent.get()
    client.reads.clear()
    with pytest.raises(TimeoutError):
        await serving
    assert small_world.tally.open_streams == 0


async def test_neither_is_the_end_of_a_stream_waited_for_without_end():
    client = Client()

    async def frames():
        yield b"the last one that finds room"
        client.reads.clear()

    with pytest.raises(TimeoutError):
        await send_frames(
            {}, client.receive, client.send, frames(),
            headers=[], on_gone=lambda: None, patience=0.01,
        )  # fmt: skip


async def test_a_server_that_can_abort_a_connection_does_so(small_world):
    client = Client()
    timing = StreamTiming(keepalive=0.01, lifetime=300, patience=0.01)
    scope = {"extensions": {"lime.abort": {"call": client.leaves.set}}}
    serving = asyncio.create_task(response(small_world, timing)(scope, client.receive, client.send))
    await client.sent.get()
    client.reads.clear()
    await serving
    assert client.leaves.is_set()
    assert small_world.tally.open_streams == 0
