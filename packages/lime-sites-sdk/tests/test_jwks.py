"""The cache of keys, by calling it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lime_jwt import JwkSet, SigningKey, encode_jwks
from lime_sites._jwks import MAX_STALE, MIN_INTERVAL, Flight, KeyCache

ISSUER = "https://lime.example"
TTL = 300.0


@pytest.fixture(scope="module")
def keys() -> JwkSet:
    return JwkSet.parse(encode_jwks([SigningKey.generate()]), issuer=ISSUER)


@pytest.fixture
def cache(clock: Any) -> KeyCache:
    return KeyCache(ttl=TTL, clock=clock)


def _flight(cache: KeyCache, *, unknown_kid: bool = False) -> Flight:
    start = cache.plan(ISSUER, unknown_kid=unknown_kid).start
    assert start is not None
    return start


@pytest.fixture
def warm(cache: KeyCache, keys: JwkSet) -> KeyCache:
    cache.land(_flight(cache), keys)
    return cache


def test_a_cold_cache_wants_one_fetch_and_everybody_waits_for_it(cache: KeyCache) -> None:
    first, second = cache.plan(ISSUER), cache.plan(ISSUER)
    assert first.keys is None
    assert first.start is first.wait is second.wait
    assert second.start is None


def test_a_warm_cache_wants_nothing(warm: KeyCache, keys: JwkSet, clock: Any) -> None:
    clock.advance(TTL - 1)
    plan = warm.plan(ISSUER)
    assert (plan.keys, plan.start, plan.wait) == (keys, None, None)


def test_waiting_ends_when_the_fetch_has_landed(cache: KeyCache, keys: JwkSet) -> None:
    flight = _flight(cache)
    assert not flight.landed.done()
    assert not flight.landed.cancel()
    cache.land(flight, keys)
    assert flight.landed.done()
    assert cache.keys(ISSUER) is keys


def test_aged_keys_are_used_while_fresh_ones_are_on_their_way(
    warm: KeyCache, keys: JwkSet, clock: Any
) -> None:
    clock.advance(TTL)
    plan = warm.plan(ISSUER)
    assert plan.keys is keys
    assert plan.start is not None
    assert plan.wait is None


def test_keys_that_lay_unused_for_long_are_refreshed_before_they_are_used(
    warm: KeyCache, keys: JwkSet, clock: Any
) -> None:
    clock.advance(2 * TTL)
    plan = warm.plan(ISSUER)
    assert plan.wait is plan.start is not None
    # The issuer is down: from now on they are used at once.
    warm.land(plan.start, None)
    clock.advance(MIN_INTERVAL)
    again = warm.plan(ISSUER)
    assert again.keys is keys
    assert again.start is not None
    assert again.wait is None


@pytest.mark.parametrize("ttl", [TTL, 1.0])
def test_an_issuer_that_is_down_holds_up_no_traffic_and_is_asked_once_per_interval(
    keys: JwkSet, clock: Any, ttl: float
) -> None:
    cache = KeyCache(ttl=ttl, clock=clock)
    cache.land(_flight(cache), keys)
    waited, fetches = 0, 0
    for _ in range(3600):
        clock.advance(1)
        plan = cache.plan(ISSUER)
        assert plan.keys is keys
        waited += plan.wait is not None
        if plan.start is not None:
            fetches += 1
            cache.land(plan.start, None)
    # Only who came first after keys of a very short life had aged.
    assert waited == (ttl == 1.0)
    assert fetches <= 3600 / MIN_INTERVAL


def test_a_failure_of_long_ago_does_not_make_unused_keys_trusted(
    warm: KeyCache, keys: JwkSet, clock: Any
) -> None:
    clock.advance(TTL)
    warm.land(_flight(warm), None)
    clock.advance(3600)
    first, second = warm.plan(ISSUER), warm.plan(ISSUER)
    # Nor does the attempt that has only just begun.
    assert first.wait is second.wait is first.start is not None
    # The issuer is still down: for a while that excuses the keys again.
    warm.land(first.start, None)
    clock.advance(TTL - 1)
    plan = warm.plan(ISSUER)
    assert (plan.keys, plan.wait) == (keys, None)


def test_a_failed_fetch_keeps_the_keys_for_a_day_and_no_longer(
    warm: KeyCache, keys: JwkSet, clock: Any
) -> None:
    clock.advance(TTL)
    warm.land(_flight(warm), None)
    clock.advance(MAX_STALE - TTL - 1)
    assert warm.keys(ISSUER) is keys
    clock.advance(1)
    assert warm.keys(ISSUER) is None
    assert warm.plan(ISSUER).wait is not None


def test_a_withdrawn_key_stops_working_with_the_next_good_fetch(warm: KeyCache, clock: Any) -> None:
    clock.advance(TTL)
    warm.land(_flight(warm), JwkSet.parse(b'{"keys":[]}', issuer=ISSUER))
    found = warm.keys(ISSUER)
    assert found is not None
    assert len(found) == 0


@pytest.mark.parametrize("goes_well", [True, False])
def test_ten_thousand_unknown_key_ids_cost_one_fetch_per_interval(
    warm: KeyCache, keys: JwkSet, clock: Any, goes_well: bool
) -> None:
    clock.advance(MIN_INTERVAL)
    fetches = 0
    for number in range(10_000):
        plan = warm.plan(ISSUER, unknown_kid=True)
        if plan.start is not None:
            fetches += 1
            # The issuer takes its time, or is down.
            if number % 3:
                continue
            warm.land(plan.start, keys if goes_well else None)
        assert warm.plan(ISSUER).keys is keys
        assert warm.plan(ISSUER).wait is None
    assert fetches == 1
    clock.advance(MIN_INTERVAL)
    assert warm.plan(ISSUER, unknown_kid=True).start is not None


def test_an_unknown_key_id_right_after_a_fetch_is_not_looked_for(
    warm: KeyCache, clock: Any
) -> None:
    clock.advance(MIN_INTERVAL - 1)
    plan = warm.plan(ISSUER, unknown_kid=True)
    assert plan.start is plan.wait is None


def test_an_issuer_that_is_down_from_the_start_is_asked_once_per_interval(
    cache: KeyCache, clock: Any
) -> None:
    cache.land(_flight(cache), None)
    plan = cache.plan(ISSUER)
    assert (plan.keys, plan.start, plan.wait) == (None, None, None)
    clock.advance(MIN_INTERVAL)
    assert cache.plan(ISSUER).start is not None


def test_each_issuer_has_keys_of_its_own(warm: KeyCache) -> None:
    assert warm.keys("https://other.example") is None
    assert warm.plan("https://other.example").keys is None


def test_of_many_threads_one_makes_the_fetch(cache: KeyCache, keys: JwkSet) -> None:
    starts: list[Flight] = []
    ready = threading.Barrier(8)

    def verify() -> None:
        ready.wait()
        plan = cache.plan(ISSUER)
        if plan.start is not None:
            starts.append(plan.start)
            cache.land(plan.start, keys)
        elif plan.wait is not None:
            plan.wait.landed.result(timeout=10)
        assert cache.keys(ISSUER) is keys

    _run_in_threads(verify, 8)
    assert len(starts) == 1


def _run_in_threads(work: Callable[[], None], count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()


def test_a_fetch_whose_maker_is_gone_is_made_again(
    warm: KeyCache, keys: JwkSet, clock: Any
) -> None:
    clock.advance(TTL)
    lost = _flight(warm)
    clock.advance(MIN_INTERVAL - 1)
    assert warm.plan(ISSUER).start is None
    clock.advance(1)
    again = _flight(warm)
    assert again is not lost
    # What comes late after all neither ends the other fetch nor takes keys away.
    warm.land(lost, None)
    assert warm.plan(ISSUER, unknown_kid=True).wait is again
    warm.land(again, keys)
    assert warm.keys(ISSUER) is keys
