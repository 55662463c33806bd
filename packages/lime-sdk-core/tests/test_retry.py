import pytest
from hypothesis import given
from hypothesis import strategies as st

from lime_sdk_core import (
    Attempt,
    Now,
    Random,
    Reply,
    Request,
    RetryPolicy,
    Sleep,
    TransportError,
)
from lime_sdk_core.retry import attempts

GET = Request("GET", "/a")
POST = Request("POST", "/a", json={})
BUSY, OK = Reply(503), Reply(200)
LOST = TransportError("lost")
POLICY = RetryPolicy(max_retries=2, base=1.0, cap=4.0)


def test_an_answer_is_returned_at_once(play):
    steps, reply = play(attempts(GET, POLICY, 30.0), [0.0, OK])
    assert reply is OK
    assert steps == [Now(), Attempt(GET, 15.0)]


@pytest.mark.parametrize("failure", [BUSY, LOST, Reply(429), Reply(408), Reply(500), Reply(504)])
def test_an_idempotent_request_is_sent_again(play, failure):
    steps, reply = play(attempts(GET, POLICY, 30.0), [0.0, failure, 1.0, 0.5, None, 2.0, OK])
    assert reply is OK
    assert steps[2:] == [Now(), Random(), Sleep(0.5), Now(), Attempt(GET, 14.0)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 501, 505, 301])
def test_an_answer_that_will_not_change_is_final(play, status):
    reply = Reply(status)
    assert play(attempts(GET, POLICY, 30.0), [0.0, reply])[1] is reply


def test_a_request_that_is_not_idempotent_is_sent_once(play):
    assert play(attempts(POST, POLICY, 30.0), [0.0, BUSY])[1] is BUSY
    with pytest.raises(TransportError):
        play(attempts(POST, POLICY, 30.0), [0.0, LOST])


def test_a_post_that_is_declared_idempotent_is_sent_again(play):
    again = Request("POST", "/a", json={}, idempotent=True)
    assert play(attempts(again, POLICY, 9.0), [0.0, LOST, 0.0, 0.0, None, 0.0, OK])[1] is OK


def test_a_get_that_is_declared_not_idempotent_is_sent_once(play):
    once = Request("GET", "/a", idempotent=False)
    assert play(attempts(once, POLICY, 9.0), [0.0, BUSY])[1] is BUSY


def test_each_attempt_leaves_time_for_another_one(play):
    again = [15.0, 0.0, None, 15.0, LOST, 22.5, 0.0, None, 22.5, OK]
    steps, reply = play(attempts(GET, POLICY, 30.0), [0.0, LOST, *again])
    assert reply is OK
    assert [step.timeout for step in steps if isinstance(step, Attempt)] == [15.0, 7.5, 7.5]
    # What cannot be repeated has all the time there is.
    assert play(attempts(POST, POLICY, 30.0), [0.0, OK])[0] == [Now(), Attempt(POST, 30.0)]


@pytest.mark.parametrize(
    ("attempt", "remaining", "share"),
    [(0, 30.0, 15.0), (1, 1.5, 1.0), (0, 0.5, 0.5), (2, 30.0, 30.0), (7, 0.1, 0.1)],
)
def test_the_share_of_an_attempt(attempt, remaining, share):
    assert POLICY.share(attempt=attempt, remaining=remaining) == share


def test_a_key_that_is_in_use_is_asked_for_again(play):
    keyed = Request("POST", "/a", json={}, idempotent=True, headers={"idempotency-key": "k"})
    in_use = Reply(409, retry_after=1.0)
    steps, reply = play(attempts(keyed, POLICY, 9.0), [0.0, in_use, 0.0, 0.0, None, 1.0, OK])
    assert reply is OK
    assert Sleep(1.0) in steps
    # A conflict about the matter is an answer.
    for request, conflict in [(keyed, Reply(409)), (GET, in_use)]:
        assert play(attempts(request, POLICY, 9.0), [0.0, conflict])[1] is conflict


def test_after_the_last_repetition_the_last_outcome_stands(play):
    again = [0.0, 0.0, None, 0.0]
    answers = [0.0, LOST, *again, LOST, *again, BUSY, 0.0, 0.0]
    steps, reply = play(attempts(GET, POLICY, 30.0), answers)
    assert reply is BUSY
    assert sum(isinstance(step, Attempt) for step in steps) == 3


def test_no_attempt_begins_after_the_deadline(play):
    # The pause took longer than it should have: a machine that slept.
    answers = [0.0, BUSY, 1.0, 0.5, None, 31.0]
    assert play(attempts(GET, POLICY, 30.0), answers)[1] is BUSY


def test_a_pause_that_would_cross_the_deadline_is_not_begun(play):
    slow = Reply(429, retry_after=60.0)
    steps, reply = play(attempts(GET, POLICY, 30.0), [0.0, slow, 1.0, 0.0])
    assert reply is slow
    assert not any(isinstance(step, Sleep) for step in steps)


def test_the_servers_pause_is_the_least_that_is_waited():
    asked = {"attempt": 0, "retry_after": 5.0, "remaining": 30.0}
    assert POLICY.pause(**asked, random=0.0) == 5.0
    assert POLICY.pause(**asked, random=0.5) == 5.5


@pytest.mark.parametrize(
    ("attempt", "bound"), [(0, 1.0), (1, 2.0), (2, 4.0), (3, 4.0), (10**9, 4.0)]
)
def test_the_bound_of_the_jitter_doubles_up_to_its_cap(attempt, bound):
    policy = RetryPolicy(max_retries=2**40, base=1.0, cap=4.0)
    found = policy.pause(attempt=attempt, retry_after=None, remaining=100.0, random=0.5)
    assert found == bound / 2


@given(
    attempt=st.integers(0, 10),
    retry_after=st.none() | st.floats(0, 86_400),
    remaining=st.floats(-10, 100),
    random=st.floats(0, 1, exclude_max=True),
)
def test_a_pause_always_fits_into_the_time_left(attempt, retry_after, remaining, random):
    pause = RetryPolicy().pause(
        attempt=attempt, retry_after=retry_after, remaining=remaining, random=random
    )
    assert pause is None or (attempt < 3 and (retry_after or 0) <= pause < remaining)
