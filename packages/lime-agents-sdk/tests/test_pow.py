import hashlib

import pytest

from lime_agents import ConfigurationError, PowDifficultyError, PowTimeoutError, ProtocolError
from lime_agents._pow import SLICE, PowLimits, solve
from lime_sdk_core import Now, Offload

CHALLENGE = "A" * 43


def test_a_found_nonce_satisfies_the_rule():
    flow = solve(CHALLENGE, 12, PowLimits())
    assert next(flow) == Now()
    search = flow.send(0.0)
    nonce = search.function()
    with pytest.raises(StopIteration) as done:
        flow.send(nonce)
    assert done.value.value == nonce
    digest = hashlib.sha256(f"lime:pow:v1\0{CHALLENGE}\0{nonce}".encode()).digest()
    assert int.from_bytes(digest, "big") < 2 ** (256 - 12)


def test_the_search_goes_on_in_slices_until_the_deadline():
    flow = solve(CHALLENGE, 26, PowLimits(timeout=10.0))
    assert next(flow) == Now()
    assert isinstance(flow.send(100.0), Offload)
    assert flow.send(None) == Now()
    again = flow.send(109.9)
    assert isinstance(again, Offload)
    assert again.function.args == (SLICE * again.function.func.__self__.threads,)
    flow.send(None)
    with pytest.raises(PowTimeoutError, match="difficulty 26 within 10 s"):
        flow.send(110.0)


def test_a_search_that_is_given_up_stops_the_slice_that_still_runs():
    flow = solve(CHALLENGE, 26, PowLimits())
    next(flow)
    search = flow.send(0.0).function
    flow.close()
    solver = search.func.__self__
    assert search() is None
    assert solver.attempts == 0


@pytest.mark.parametrize(("difficulty", "limit"), [(27, 26), (16, 15), (10**12, 32), (1, 0)])
def test_too_much_work_is_refused_before_any_is_done(difficulty, limit):
    with pytest.raises(PowDifficultyError, match=str(difficulty)):
        next(solve(CHALLENGE, difficulty, PowLimits(max_difficulty=limit)))


def test_a_challenge_that_is_none_is_refused():
    with pytest.raises(ProtocolError, match="challenge"):
        next(solve("é", 15, PowLimits()))


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_an_impossible_time_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="pow_timeout"):
        PowLimits(timeout=timeout)


@pytest.mark.parametrize("difficulty", [-1, 33])
def test_an_impossible_limit_is_refused(difficulty):
    with pytest.raises(ConfigurationError, match="between 0 and 32"):
        PowLimits(max_difficulty=difficulty)
