"""What `tests/support/engines.py` lends to every test."""

import asyncpg
import pytest
import redis

from tests.support.engines import claim_redis, with_database


@pytest.mark.parametrize("time", [1, 2])
async def test_every_test_gets_an_empty_database(time, postgres_url):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE mine ()")
    await connection.close()


@pytest.mark.parametrize("time", [1, 2])
async def test_every_test_gets_all_tables_and_no_rows(time, migrated_postgres_url):
    connection = await asyncpg.connect(migrated_postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM foundation.owners") == 0
    await connection.execute("DROP SCHEMA foundation CASCADE")
    await connection.close()


@pytest.mark.parametrize("time", [1, 2])
def test_every_test_gets_an_empty_redis(time, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        # On a server from outside our mark stays, so that nobody else takes the database.
        assert set(client.keys()) <= {b"lime-test-owner"}
        client.set("mine", 1)


def test_two_claims_get_different_databases(redis_url):
    first, first_url = claim_redis(redis_url)
    second, second_url = claim_redis(redis_url)
    with first, second:
        assert first_url != second_url
        first.flushdb()
        second.flushdb()


def test_a_database_that_holds_anything_is_never_claimed(embedded_engines):
    if embedded_engines is None:
        pytest.skip("fills every logical database, so it needs a server of its own")
    clients = [
        redis.Redis.from_url(with_database(embedded_engines.redis_url, number))
        for number in range(16)
    ]
    for client in clients:
        client.set("precious", 1)
    with pytest.raises(pytest.fail.Exception, match="nothing is flushed"):
        claim_redis(embedded_engines.redis_url)
    for client in clients:
        assert client.delete("precious") == 1
        client.close()


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://user:pw@host:1/0", "redis://user:pw@host:1/7"),
        ("rediss://host", "rediss://host/7"),
        ("unix:///a%20b/c.sock?db=0", "unix:///a%20b/c.sock?db=7"),
    ],
)
def test_a_logical_database_is_named_in_the_url(url, named):
    assert with_database(url, 7) == named
