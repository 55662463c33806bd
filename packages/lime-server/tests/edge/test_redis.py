"""Limits and wake-ups over a real Redis or Valkey, in memory, and without one."""

import asyncio
import contextlib
import time

import pytest
from redis.asyncio import Redis

from lime_server.core.errors import RateLimited
from lime_server.core.ports import Limit
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.limiter import MemoryLimiter, refuse_after
from lime_server.infrastructure.redis import engine as engine_module
from lime_server.infrastructure.redis.address import parse
from lime_server.infrastructure.redis.bell import RedisBell
from lime_server.infrastructure.redis.engine import (
    Engine,
    EngineAwayError,
    connect,
    database_number,
)
from lime_server.infrastructure.redis.limiter import PREFIX, RedisLimiter

NOWHERE = "unix:///nonexistent/redis.sock"


class Ticks:
    """Seconds as a test wants them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
async def open_engine(ticks):
    """Makes engines and closes them."""
    opened = []

    def make(url, timeout=5.0):
        made = Engine(connect(parse(url), timeout=timeout), timeout=timeout, monotonic=ticks)
        opened.append(made)
        return made

    yield make
    for each in opened:
        await each.close()


@pytest.fixture
def limiter(request, ticks, open_engine):
    alone = MemoryLimiter(ticks)
    if request.param == "memory":
        return alone
    if request.param == "fallback":
        return RedisLimiter(open_engine(NOWHERE), alone)
    return RedisLimiter(open_engine(request.getfixturevalue("redis_url")), alone)


everywhere = pytest.mark.parametrize("limiter", ["memory", "redis", "fallback"], indirect=True)
SLOW = Limit(rate=0.001, burst=3)


@everywhere
async def test_a_burst_is_allowed_and_no_more(limiter):
    for _ in range(3):
        await limiter.take("a", SLOW)
    with pytest.raises(RateLimited) as caught:
        await limiter.take("a", SLOW)
    assert 990 <= caught.value.retry_after <= 1000


@everywhere
async def test_a_refusal_costs_nothing(limiter):
    for _ in range(3):
        await limiter.take("a", SLOW)
    for _ in range(5):
        with pytest.raises(RateLimited) as caught:
            await limiter.take("a", SLOW)
    assert caught.value.retry_after <= 1000


@everywhere
async def test_keys_do_not_know_each_other(limiter):
    for key in "abc":
        await limiter.take(key, Limit(0.001, 1))
    with pytest.raises(RateLimited):
        await limiter.take("b", Limit(0.001, 1))


@everywhere
async def test_the_strictest_of_several_decides(limiter):
    await limiter.take_all([("a", Limit(0.001, 1)), ("b", Limit(0.01, 1))])
    with pytest.raises(RateLimited) as caught:
        await limiter.take_all([("a", Limit(0.001, 1)), ("b", Limit(0.01, 1)), ("c", SLOW)])
    assert caught.value.retry_after > 900
    await limiter.take_all([])


@everywhere
async def test_what_was_used_comes_back(limiter, ticks):
    fast = Limit(rate=1000, burst=1)
    for _ in range(3):
        taken = False
        while not taken:
            ticks.now += 0.0005
            with contextlib.suppress(RateLimited):
                await limiter.take("a", fast)
                taken = True


async def test_the_rate_in_the_long_run_is_the_one_given(ticks):
    limiter = MemoryLimiter(ticks)
    granted = 0
    for _ in range(1000):
        ticks.now += 0.01
        try:
            await limiter.take("a", Limit(rate=10, burst=5))
            granted += 1
        except RateLimited:
            pass
    assert 100 <= granted <= 105


async def test_memory_is_bounded(ticks):
    limiter = MemoryLimiter(ticks, most_keys=2)
    for key in "abc":
        await limiter.take(key, Limit(0.001, 1))
    await limiter.take("a", Limit(0.001, 1))
    with pytest.raises(RateLimited):
        await limiter.take("c", Limit(0.001, 1))


def test_no_wait_is_no_refusal():
    refuse_after([])
    refuse_after([0, 0])
    with pytest.raises(RateLimited) as caught:
        refuse_after([0.2, 1.2])
    assert caught.value.retry_after == 2


async def test_two_servers_count_together(redis_url, open_engine, ticks):
    one, two = (RedisLimiter(open_engine(redis_url), MemoryLimiter(ticks)) for _ in range(2))
    await one.take("a", Limit(0.001, 2))
    await two.take("a", Limit(0.001, 2))
    for limiter in (one, two):
        with pytest.raises(RateLimited):
            await limiter.take("a", Limit(0.001, 2))


async def test_what_is_counted_in_redis_expires(redis_url, open_engine, ticks):
    engine = open_engine(redis_url)
    await RedisLimiter(engine, MemoryLimiter(ticks)).take("a", Limit(0.1, 10))
    left = await engine.client.pttl(PREFIX + "a")
    assert 0 < left <= 10_001


async def test_a_redis_clock_that_was_set_back_locks_nobody_out(redis_url, open_engine, ticks):
    engine = open_engine(redis_url)
    limiter = RedisLimiter(engine, MemoryLimiter(ticks))
    far_ahead = int((time.time() + 86400) * 1_000_000)
    await engine.client.set(PREFIX + "a", far_ahead)
    with pytest.raises(RateLimited) as caught:
        await limiter.take("a", Limit(rate=1, burst=5))
    assert caught.value.retry_after == 1


async def test_a_redis_that_forgot_the_script_is_told_again(redis_url, open_engine, ticks):
    engine = open_engine(redis_url)
    limiter = RedisLimiter(engine, MemoryLimiter(ticks))
    await limiter.take("a", SLOW)
    await engine.client.script_flush()
    await limiter.take("a", SLOW)
    await limiter.take("a", SLOW)
    with pytest.raises(RateLimited):
        await limiter.take("a", SLOW)


# When Redis is away


async def test_a_redis_that_failed_is_left_to_rest(open_engine, ticks):
    engine = open_engine(NOWHERE)
    asked = 0

    async def question():
        nonlocal asked
        asked += 1
        return await engine.client.ping()

    for _ in range(3):
        with pytest.raises(EngineAwayError):
            await engine.ask(question)
    assert asked == 1
    ticks.now += engine_module.REST
    with pytest.raises(EngineAwayError):
        await engine.ask(question)
    assert asked == 2


async def test_a_redis_that_comes_back_is_used_again(redis_url, open_engine, ticks):
    engine = open_engine(redis_url)
    assert await engine.ready()

    async def fail():
        raise OSError

    with pytest.raises(EngineAwayError):
        await engine.ask(fail)
    # The health check asks at once, and so everyone knows.
    assert await engine.ready()
    assert await engine.ask(engine.client.ping)


async def test_a_burst_of_questions_does_not_look_like_an_absent_redis(redis_url, open_engine):
    engine = open_engine(redis_url, timeout=60.0)
    many = engine_module.MOST_CONNECTIONS * 8
    answers = await asyncio.gather(*(engine.ask(engine.client.ping) for _ in range(many)))
    assert answers == [True] * many


async def test_readiness_says_when_redis_is_away(open_engine):
    assert not await open_engine(NOWHERE).ready()


@pytest.fixture
async def silent_server():
    """Accepts connections and never answers; gives its URL."""
    held = []

    async def hold(reader, writer):
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in held:
        writer.close()


async def test_a_redis_that_does_not_answer_is_not_waited_for(silent_server, open_engine, ticks):
    limiter = RedisLimiter(open_engine(silent_server, timeout=0.05), MemoryLimiter(ticks))
    await limiter.take("a", Limit(0.001, 1))
    with pytest.raises(RateLimited):
        await limiter.take("a", Limit(0.001, 1))


# The bell


@pytest.fixture
async def ringing(redis_url, open_engine):
    """Makes bells that listen, as servers have them."""
    running = []

    async def make(**options):
        bell = RedisBell(
            open_engine(options.get("url", redis_url)),
            parse(options.get("url", redis_url)),
            timeout=5.0,
            random=lambda: 0.01,
            silence=options.get("silence", 30.0),
        )
        running.append(asyncio.create_task(bell.run()))
        if options.get("wait", True):
            await bell.subscribed.wait()
        return bell

    yield make
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def heard_by(bell):
    """A queue of what `bell` says, and the function that stops listening."""
    queue = asyncio.Queue()
    return queue, bell.listen(lambda topic, ident: queue.put_nowait((topic, ident)))


async def test_a_ring_is_heard_in_every_process_once(ringing):
    one, two = await ringing(), await ringing()
    here, _ = heard_by(one)
    there, stop = heard_by(two)
    await one.ring("login", "id 1")
    assert await there.get() == ("login", "id 1")
    await two.ring("keys", "")
    assert await here.get() == ("login", "id 1")
    assert await here.get() == ("keys", "")
    assert await there.get() == ("keys", "")
    # Own rings do not come back: the next thing heard is the next thing rung.
    stop()
    stop()
    await two.ring("last", "x")
    assert await here.get() == ("last", "x")
    assert here.empty()
    assert there.empty()


async def test_a_bell_in_one_process_needs_nothing_else():
    bell = MemoryBell()
    heard, stop = heard_by(bell)
    await bell.ring("login", "1")
    stop()
    await bell.ring("login", "2")
    assert heard.get_nowait() == ("login", "1")
    assert heard.empty()


async def test_a_listener_that_fails_harms_nobody():
    bell = MemoryBell()
    bell.listen(lambda topic, ident: 1 / 0)
    heard, _ = heard_by(bell)
    await bell.ring("login", "1")
    assert heard.get_nowait() == ("login", "1")


async def test_ringing_without_redis_reaches_this_process_and_raises_nothing(open_engine):
    pauses = asyncio.Queue()

    async def sleep(seconds):
        pauses.put_nowait(seconds)
        await asyncio.sleep(0)

    bell = RedisBell(
        open_engine(NOWHERE), parse(NOWHERE), timeout=1.0, random=lambda: 1.0, sleep=sleep
    )
    heard, _ = heard_by(bell)
    await bell.ring("login", "1")
    assert heard.get_nowait() == ("login", "1")
    running = asyncio.create_task(bell.run())
    found = [await pauses.get() for _ in range(10)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert found[:4] == [0.05, 0.1, 0.2, 0.4]
    assert found[-1] == 5.0
    assert not bell.subscribed.is_set()


async def listeners(client):
    ours = str(database_number(client))
    found = await client.client_list(_type="pubsub")
    return [each for each in found if each["db"] == ours]


async def test_a_bell_whose_line_breaks_listens_again(ringing, open_engine, redis_url, until):
    bell, other = await ringing(), await ringing()
    heard, _ = heard_by(bell)
    client = Redis.from_url(redis_url, decode_responses=True)
    for each in await listeners(client):
        await client.client_kill_filter(_id=each["id"])
    await until(lambda: not bell.subscribed.is_set() or not other.subscribed.is_set())
    await bell.subscribed.wait()
    await until(lambda: other.subscribed.is_set())
    while heard.empty():
        # A ring may get lost while the line is down: that is why nobody relies on one.
        await other.ring("login", "2")
        await asyncio.sleep(0.01)
    assert heard.get_nowait() == ("login", "2")
    await client.aclose()


async def test_a_quiet_line_is_tested_and_kept(ringing, redis_url):
    bell = await ringing(silence=0.02)
    heard, _ = heard_by(bell)
    client = Redis.from_url(redis_url, decode_responses=True)
    tested = False
    while not tested:
        tested = [each["cmd"] for each in await listeners(client)] == ["ping"]
    await client.publish(bell.channel, "someone\nlogin 3")
    assert await heard.get() == ("login", "3")
    assert bell.subscribed.is_set()
    await client.aclose()


async def test_noise_on_the_channel_is_harmless(ringing, redis_url):
    bell = await ringing()
    heard, _ = heard_by(bell)
    client = Redis.from_url(redis_url)
    for noise in ("", "x", "x\n", "x\n\ny", "x\n z", "x y"):
        await client.publish(bell.channel, noise)
    await client.publish(bell.channel, "someone\nlogin 4\nlogin 5")
    last = None
    while last != ("login", "4"):
        last = await heard.get()
    assert await heard.get() == ("login", "5")
    await client.aclose()


@pytest.fixture
async def deaf_server():
    """Confirms a subscription and then says nothing more; gives its URL and counts connections."""
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        while line := await reader.readline():
            if line.strip().upper() == b"SUBSCRIBE":
                writer.write(b"*3\r\n$9\r\nsubscribe\r\n$11\r\nlime:bell:0\r\n:1\r\n")
            elif line.strip().upper() in (b"CLIENT", b"SELECT"):
                writer.write(b"+OK\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    server.close()
    for writer in connections:
        writer.close()


async def test_a_bell_ends_even_if_its_client_loses_the_cancellation(open_engine, redis_url):
    hearing = asyncio.Event()

    class Lossy(RedisBell):
        async def _hear(self):
            hearing.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ConnectionError("the line broke meanwhile") from None

    bell = Lossy(open_engine(redis_url), parse(redis_url), timeout=5.0, random=lambda: 0.01)
    task = asyncio.create_task(bell.run())
    await hearing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_line_that_only_seems_to_be_there_is_given_up(ringing, deaf_server, until):
    url, connections = deaf_server
    bell = await ringing(url=url, silence=0.02)
    await until(lambda: len(connections) >= 3)
    assert bell is not None
