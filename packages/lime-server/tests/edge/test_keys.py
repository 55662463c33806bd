"""Signing keys: the states, the times between them, and many servers at once."""

import asyncio
from datetime import timedelta

import pytest

import lime_jwt
from lime_server.core.errors import Conflict, NotFound, Unavailable
from lime_server.core.keyring import TOPIC, Jwks, KeyRing, Keys
from lime_server.core.keys import Key, KeyState, Rules, due, only
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.keys import MemoryKeys
from lime_server.infrastructure.postgres.keys import PostgresKeys

RULES = Rules()
BEFORE = RULES.publish_before.total_seconds()
AFTER = (RULES.publish_after + RULES.max_staleness).total_seconds()


@pytest.fixture
def store(request, derived):
    if request.param == "memory":
        return MemoryKeys()
    return PostgresKeys(request.getfixturevalue("database"), derived.keys)


both = pytest.mark.parametrize("store", ["memory", "postgres"], indirect=True)


@pytest.fixture
def bell():
    return MemoryBell()


@pytest.fixture
def rings(bell):
    heard = []
    bell.listen(lambda topic, ident: heard.append(topic))
    return heard


@pytest.fixture
def keys(store, maker, clock, bell):
    return Keys(store, maker, clock=clock, rules=RULES, bell=bell)


@pytest.fixture
def ring(store, keys, parse, clock):
    return KeyRing(store, keys, parse=parse, clock=clock, rules=RULES)


async def states(keys):
    return {key.kid: str(key.state) for key in await keys.list()}


@both
async def test_the_first_key_ever_signs_at_once(keys, rings):
    await keys.upkeep()
    assert await states(keys) == {"k1": "active"}
    assert rings == [TOPIC]


@both
async def test_many_servers_that_start_at_once_make_one_key(keys):
    await asyncio.gather(*(keys.upkeep() for _ in range(5)))
    assert await states(keys) == {"k1": "active"}


@both
async def test_a_rotation_takes_its_time(keys, clock):
    # 1. A new key is published, and does not sign.
    await keys.upkeep()
    first = await keys.rotate()
    assert (first.active, first.standby, first.made, first.promoted) == ("k1", "k2", True, False)
    assert first.signs_at == clock.now() + RULES.publish_before
    # 2. Asking again changes nothing.
    again = await keys.rotate()
    assert (again.standby, again.made, again.signs_at) == ("k2", False, first.signs_at)
    # 3. Nothing happens a moment before its time.
    clock.advance(BEFORE - 1)
    await keys.upkeep()
    assert await states(keys) == {"k1": "active", "k2": "standby"}
    # 4. Then it signs, and the old one stays published.
    clock.advance(1)
    await keys.upkeep()
    assert await states(keys) == {"k1": "retiring", "k2": "active"}
    clock.advance(AFTER - 1)
    await keys.upkeep()
    assert (await states(keys))["k1"] == "retiring"
    # 5. Until everything it signed has expired.
    clock.advance(1)
    await keys.upkeep()
    assert await states(keys) == {"k1": "gone", "k2": "active"}


@both
async def test_rotate_promotes_a_key_whose_time_has_come(keys, clock):
    await keys.rotate()
    await keys.rotate()
    clock.advance(BEFORE)
    done = await keys.rotate()
    assert (done.active, done.standby, done.signs_at) == ("k2", None, None)
    assert (done.made, done.promoted) == (False, True)


@both
async def test_a_key_that_will_never_sign_again_is_forgotten(keys, store, clock):
    await keys.rotate()
    clock.advance(BEFORE)
    await keys.rotate()
    found = {key.kid: key for key in await store.published()}
    assert found["k1"].private_key == b""
    assert found["k2"].private_key == b"k2"
    assert found["k1"].retired_at == found["k2"].activated_at == clock.now()
    assert "k2'" not in repr(found["k2"]).replace("kid='k2'", "").replace("'kid': 'k2'", "")


@both
async def test_a_standby_key_can_be_withdrawn_at_once(keys, rings):
    await keys.rotate()
    gone = await keys.retire("k2")
    assert gone.state is KeyState.GONE
    assert await states(keys) == {"k1": "active", "k2": "gone"}
    assert len(rings) == 2


@both
async def test_the_key_that_signs_needs_a_successor_that_verifiers_know(keys, clock):
    await keys.upkeep()
    with pytest.raises(Conflict, match="rotate first"):
        await keys.retire("k1")
    await keys.rotate()
    with pytest.raises(Conflict, match="may not before 2026-11-23T10:10:00Z"):
        await keys.retire("k1")
    clock.advance(BEFORE)
    assert (await keys.retire("k1")).state is KeyState.RETIRING
    assert await states(keys) == {"k1": "retiring", "k2": "active"}


@both
async def test_a_retiring_key_waits_for_what_it_signed(keys, clock):
    await keys.rotate()
    clock.advance(BEFORE)
    await keys.rotate()
    with pytest.raises(Conflict, match="may be in use until"):
        await keys.retire("k1")
    clock.advance(AFTER)
    assert (await keys.retire("k1")).state is KeyState.GONE


@both
@pytest.mark.parametrize("with_standby", [True, False])
async def test_a_compromised_key_goes_at_once_and_somebody_else_signs(keys, store, with_standby):
    await keys.upkeep()
    if with_standby:
        await keys.rotate()
    await keys.retire("k1", compromised=True)
    assert await states(keys) == {"k1": "gone", "k2": "active"}
    assert [key.kid for key in await store.published()] == ["k2"]


@both
async def test_a_key_that_is_gone_or_unknown_cannot_be_retired(keys):
    await keys.rotate()
    await keys.retire("k2")
    with pytest.raises(Conflict, match="is gone cannot become gone"):
        await keys.retire("k2")
    with pytest.raises(NotFound):
        await keys.retire("k9")


@both
async def test_a_change_that_fails_changes_nothing(keys, store, clock, maker):
    await keys.upkeep()

    async def fail_late():
        async with store.exclusive() as transaction:
            await transaction.put(await maker.make(clock.now()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    assert await states(keys) == {"k1": "active"}


@both
async def test_the_store_itself_refuses_a_second_active_key(keys, store, clock, maker):
    await keys.upkeep()
    second = (await maker.make(clock.now())).activated(clock.now())

    async def put_another():
        async with store.exclusive() as transaction:
            await transaction.put(second)

    with pytest.raises(Exception, match=r"another active key|signing_keys_one_of_each"):
        await put_another()
    assert await states(keys) == {"k1": "active"}


def test_what_the_table_does_not_list_is_illegal(clock):
    now = clock.now()
    gone = Key("k", KeyState.GONE, {}, b"", now)
    for change in (gone.activated, gone.retired, gone.withdrawn):
        with pytest.raises(Conflict):
            change(now)
    retiring = Key("k", KeyState.RETIRING, {}, b"", now)
    with pytest.raises(Conflict):
        retiring.activated(now)


def test_nothing_is_due_without_a_reason(clock):
    assert due([], clock.now(), RULES) == []
    assert only([], KeyState.ACTIVE) is None


async def test_two_databases_with_another_master_key_cannot_read_each_other(
    database, derived, maker, clock
):
    await Keys(
        PostgresKeys(database, derived.keys), maker, clock=clock, rules=RULES, bell=MemoryBell()
    ).upkeep()
    row = await database.fetchrow("SELECT * FROM core.signing_keys")
    assert b"k1" not in row["sealed"]
    other = PostgresKeys(database, Secrets.derived_from(bytes(32)).keys)
    with pytest.raises(lime_jwt.DecryptionError):
        await other.published()


# The ring of one process


@both
async def test_a_server_that_starts_on_an_empty_store_can_sign(ring):
    assert not ring.is_fresh
    await ring.open()
    assert ring.is_fresh
    assert (await ring.signing_key()).sign({}, typ="t") == "t by k1"
    assert ring.jwks == Jwks.of([]) or b'"kid":"k1"' in ring.jwks.body


class DistantKeys(MemoryKeys):
    """Answers a moment later, and counts."""

    asked = 0

    async def published(self):
        self.asked += 1
        await asyncio.sleep(0)
        return await super().published()


async def memory_ring(clock, maker, parse, store=None, **more):
    store = store or MemoryKeys()
    keys = Keys(store, maker, clock=clock, rules=RULES, bell=MemoryBell())
    ring = KeyRing(store, keys, parse=parse, clock=clock, rules=RULES, **more)
    return ring, keys


async def test_before_it_was_opened_there_is_nothing_to_publish(clock, maker, parse):
    ring, _ = await memory_ring(clock, maker, parse)
    with pytest.raises(Unavailable):
        ring.jwks  # noqa: B018 - the property raises


async def test_standby_active_and_retiring_keys_are_published_and_no_others(clock, maker, parse):
    ring, keys = await memory_ring(clock, maker, parse)
    await ring.open()
    one = ring.jwks
    await keys.rotate()
    await ring.refresh()
    two = ring.jwks
    assert two.body == b'{"keys":[{"kid":"k1","kty":"RSA"},{"kid":"k2","kty":"RSA"}]}'
    clock.advance(BEFORE)
    await ring.refresh()
    assert ring.jwks == two
    assert (await ring.signing_key()).kid == "k2"
    clock.advance(AFTER)
    await ring.refresh()
    assert ring.jwks.body == b'{"keys":[{"kid":"k2","kty":"RSA"}]}'
    assert len({one.etag, two.etag, ring.jwks.etag}) == 3


async def test_a_key_is_parsed_once(clock, maker, parse):
    parsed = []

    def counting(private_key):
        parsed.append(private_key)
        return parse(private_key)

    ring, _ = await memory_ring(clock, maker, counting)
    await ring.open()
    await ring.refresh()
    assert parsed == [b"k1"]


async def test_a_stale_ring_asks_before_it_signs(clock, maker, parse):
    store = DistantKeys()
    ring, _ = await memory_ring(clock, maker, parse, store)
    _, elsewhere = await memory_ring(clock, maker, parse, store)
    await ring.open()
    await elsewhere.retire("k1", compromised=True)
    asked = store.asked
    clock.advance(RULES.max_staleness.total_seconds())
    assert (await ring.signing_key()).kid == "k1"
    clock.advance(0.001)
    signers = await asyncio.gather(*(ring.signing_key() for _ in range(3)))
    assert {key.kid for key in signers} == {"k2"}
    assert store.asked == asked + 1


async def test_a_ring_whose_clock_was_set_back_asks_before_it_signs(clock, maker, parse):
    store = MemoryKeys()
    ring, _ = await memory_ring(clock, maker, parse, store)
    _, elsewhere = await memory_ring(clock, maker, parse, store)
    await ring.open()
    await elsewhere.retire("k1", compromised=True)
    clock.advance(-1)
    assert (await ring.signing_key()).kid == "k2"


async def test_a_stale_ring_without_a_store_publishes_but_does_not_sign(
    clock, maker, parse, absent_keys
):
    ring, _ = await memory_ring(clock, maker, parse)
    await ring.open()
    ring._store = absent_keys
    before = ring.jwks
    clock.advance(RULES.max_staleness.total_seconds() + 1)
    with pytest.raises(Unavailable):
        await ring.signing_key()
    assert ring.jwks is before


async def test_it_is_told_when_the_keys_were_read_and_not_when_they_were_not(
    clock, maker, parse, absent_keys
):
    noted = []
    ring, _ = await memory_ring(clock, maker, parse, note=noted.append)
    await ring.open()
    opened = clock.now()
    clock.advance(5)
    ring._store = absent_keys
    with pytest.raises(Unavailable):
        await ring.refresh()
    assert noted == [opened]


async def test_a_ring_refuses_a_store_without_an_active_key(clock, maker, parse):
    class NoKeys(MemoryKeys):
        async def published(self):
            return []

    ring, _ = await memory_ring(clock, maker, parse, NoKeys())
    with pytest.raises(Unavailable, match="no active signing key"):
        await ring.open()


async def test_the_ring_hears_of_a_change_elsewhere(clock, maker, parse, until):
    bell = MemoryBell()
    ring, keys = await memory_ring(clock, maker, parse)
    await ring.open()
    running = asyncio.create_task(ring.run(interval=3600, bell=bell))
    await asyncio.sleep(0)
    await keys.rotate()
    await bell.ring("another topic", "")
    await bell.ring(TOPIC, "")
    await until(lambda: b"k2" in ring.jwks.body)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert bell._listeners == {}


async def test_the_ring_looks_by_itself_and_outlives_a_failing_store(
    clock, maker, parse, caplog, absent_keys, until
):
    ring, keys = await memory_ring(clock, maker, parse)
    await ring.open()
    good, ring._store = ring._store, absent_keys
    running = asyncio.create_task(ring.run(interval=0.001, bell=MemoryBell()))
    await until(lambda: "could not be read" in caplog.text)
    ring._store = good
    await keys.rotate()
    await until(lambda: b"k2" in ring.jwks.body)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_equal_keys_give_equal_bytes_in_any_order(clock):
    keys = [Key(f"k{n}", KeyState.ACTIVE, {"kid": f"k{n}"}, b"", clock.now()) for n in range(3)]
    assert Jwks.of(keys) == Jwks.of(keys[::-1])
    assert timedelta(0) < RULES.max_staleness < RULES.publish_after
