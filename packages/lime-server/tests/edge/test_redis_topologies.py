"""A primary behind a Sentinel and a cluster: what one Redis does, they do as well."""

import asyncio

import pytest

from lime_server.core.errors import RateLimited
from lime_server.core.ports import Limit
from lime_server.infrastructure.embedded.locate import find_valkey
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.redis.address import ACluster, Host, parse
from lime_server.infrastructure.redis.bell import RedisBell
from lime_server.infrastructure.redis.engine import (
    Engine,
    connect,
    database_number,
    line_to,
)
from lime_server.infrastructure.redis.limiter import RedisLimiter
from tests.support.redis_nodes import cluster_of_one, watched_alone

PATIENCE = 20.0
NOBODY = "redis+cluster://127.0.0.1:1,127.0.0.1:2"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    found = find_valkey()
    program = found.binaries.folder / found.program
    with (
        watched_alone(program, tmp_path_factory.mktemp("watched")) as watched,
        cluster_of_one(program, tmp_path_factory.mktemp("cluster")) as cluster,
    ):
        yield {"sentinel": watched, "cluster": cluster}


@pytest.fixture(params=["sentinel", "cluster"])
def address(request, addresses):
    return parse(addresses[request.param])


@pytest.fixture
async def open_engine():
    opened = []

    def make(address):
        client = connect(address, timeout=PATIENCE)
        opened.append(Engine(client, timeout=PATIENCE, monotonic=lambda: 0.0))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


async def test_two_servers_count_together(address, open_engine):
    one, two = (RedisLimiter(open_engine(address), MemoryLimiter(lambda: 0.0)) for _ in range(2))
    twice, keys = Limit(0.001, 2), [f"k{number}" for number in range(50)]
    for limiter in (one, two):
        await limiter.take_all([(key, twice) for key in keys])
    for limiter in (one, two):
        for key in keys:
            with pytest.raises(RateLimited):
                await limiter.take(key, twice)


async def test_a_ring_is_heard_by_others(address, open_engine):
    one, two = (
        RedisBell(open_engine(address), address, timeout=PATIENCE, random=lambda: 1.0)
        for _ in range(2)
    )
    running = [asyncio.create_task(bell.run()) for bell in (one, two)]
    await asyncio.gather(one.subscribed.wait(), two.subscribed.wait())
    heard = asyncio.Queue()
    two.listen(lambda topic, ident: heard.put_nowait((topic, ident)))
    await one.ring("login", "1")
    assert await heard.get() == ("login", "1")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_it_is_ready_and_has_one_database(address, open_engine):
    engine = open_engine(address)
    assert await engine.ready()
    assert database_number(engine.client) == 0


async def test_a_cluster_that_is_away_is_asked_anew(open_engine):
    engine = open_engine(parse(NOBODY))
    assert not await engine.ready()
    assert not await engine.ready()


async def test_after_a_failure_a_cluster_is_looked_at_anew(addresses, open_engine):
    engine = open_engine(parse(addresses["cluster"]))
    assert await engine.ready()

    async def fail():
        raise OSError

    # What it held for the cluster is closed, and made again by the next question.
    with pytest.raises(Exception, match="OSError"):
        await engine.ask(fail)
    assert await engine.ready()


@pytest.mark.parametrize(("chance", "port"), [(0.0, 1), (0.49, 1), (0.5, 2), (1.0, 1)])
def test_any_node_of_a_cluster_may_be_listened_to(chance, port):
    nodes = (Host("127.0.0.1", 1), Host("127.0.0.1", 2))
    client = line_to(ACluster(nodes, {}), timeout=1.0, chance=chance)
    assert client.connection_pool.connection_kwargs["port"] == port
