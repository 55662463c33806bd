"""Several changes are one, in whatever store; and where they come from is known."""

import asyncio

import pytest

from lime_server.core.errors import Conflict
from lime_server.core.origin import Origin, coming_from, current_origin
from lime_server.foundation.operators import Kind
from lime_server.infrastructure.memory.transactions import MemoryTransactions


class ChangedMindError(Exception):
    """Somebody does not want it any more."""


async def undone(transactions, work):
    """Do `work` in a transaction, and change one's mind."""

    async def whole():
        async with transactions.transaction():
            await work()
            raise ChangedMindError

    with pytest.raises(ChangedMindError):
        await whole()


async def test_what_is_done_together_is_kept_together(world):
    async with world.stores.transactions.transaction():
        first = await world.owners.create("first@example.com")
        await world.agents.register(first.owner_id, "Agent")
    assert await world.owners.find("first@example.com") == first


async def test_an_exception_undoes_everything(world):
    async def work():
        await world.owners.create("first@example.com")
        await world.stores.operators.suspend(Kind.OWNER, world.owner.owner_id, suspended=True)

    await undone(world.stores.transactions, work)
    assert await world.owners.find("first@example.com") is None
    assert await world.owner_now(world.owner) == world.owner


async def test_a_transaction_within_another_can_be_undone_alone(world):
    async def collide():
        async with world.stores.transactions.transaction():
            await world.owners.create("gone@example.com")
            await world.owners.create("kept@example.com")

    async with world.stores.transactions.transaction():
        kept = await world.owners.create("kept@example.com")
        with pytest.raises(Conflict):
            await collide()
        await world.owners.create("later@example.com")
    assert await world.owners.find("kept@example.com") == kept
    assert await world.owners.find("gone@example.com") is None
    assert await world.owners.find("later@example.com") is not None


async def test_what_an_outer_transaction_undoes_an_inner_one_did_not_keep(world):
    async def work():
        async with world.stores.transactions.transaction():
            await world.owners.create("gone@example.com")

    await undone(world.stores.transactions, work)
    assert await world.owners.find("gone@example.com") is None


async def test_another_task_is_not_in_the_transaction(postgres_world):
    world = postgres_world
    async with world.stores.transactions.transaction():
        await world.owners.create("hidden@example.com")
        assert await asyncio.create_task(world.owners.find("hidden@example.com")) is None
    assert await world.owners.find("hidden@example.com") is not None


async def test_another_database_is_not_in_the_transaction(postgres_world, postgres_url):
    world = postgres_world
    from lime_server.infrastructure.postgres.pool import open_database

    async with open_database(postgres_url, size=1, patience=5) as other, other.transaction():
        here = await world.stores.database.fetchval("SELECT current_database()")
        assert here != await other.fetchval("SELECT current_database()")


async def test_transactions_in_memory_come_one_after_the_other():
    class State:
        def __init__(self):
            self.seen = {"who": 0}
            self.order = []
            self.once = set()
            self.name = "not a container"

    state = State()
    transactions = MemoryTransactions(state)

    async def work(who):
        async with transactions.transaction():
            state.order.append(who)
            await asyncio.sleep(0)
            state.order.append(who)

    await asyncio.gather(work(1), work(2), work(3))
    assert state.order == [1, 1, 2, 2, 3, 3]

    async def spoil():
        state.order.clear()
        state.seen["who"] = 9
        state.once.add(1)

    await undone(transactions, spoil)
    assert (state.order, state.seen, state.once) == ([1, 1, 2, 2, 3, 3], {"who": 0}, set())


async def test_an_origin_holds_for_the_block_and_its_tasks():
    here = Origin("request-1", "192.0.2.1", "Browser")

    async def look():
        return current_origin()

    with coming_from(here):
        assert current_origin() == here
        assert await asyncio.create_task(look()) == here
    assert current_origin() == Origin()
