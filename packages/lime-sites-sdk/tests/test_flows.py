"""Waiting for a login, step by step, with a clock that is moved by hand."""

import json
import math
from typing import Any

import pytest

from lime_sdk_core import Now, Reply, Request, Sleep
from lime_sites import LimeSite, LoginTimeoutError, RateLimitError
from lime_sites._flows import MAX_WAIT, wait_for_login

BASE = "https://lime.example/api/v1"


class GaveUpError(Exception):
    """The test has seen enough."""


class Lime:
    """Answers the steps of a flow: PENDING, after as many seconds as it was allowed to hold."""

    def __init__(self, *, holds: bool) -> None:
        self.now = 0.0
        self.holds = holds
        self.requests: list[Request] = []
        self.slept: list[float] = []
        self.busy: Reply | None = None
        self.give_up_at = math.inf

    def answer(self, step: Any) -> Any:
        match step:
            case Now():
                return self.now
            case Sleep(seconds):
                self.slept.append(seconds)
                self.now += seconds
            case Request() if self.now >= self.give_up_at:
                raise GaveUpError
            case Request():
                self.requests.append(step)
                if self.busy is not None:
                    return self.busy
                self.now += int(step.params["wait"]) if self.holds else 0
                return _pending()
        return None

    def wait(self, timeout: float) -> None:
        verifier = LimeSite(site_token="st_x", base_url=BASE)._verifier
        flow = wait_for_login("login-1", timeout, verifier)
        step = next(flow)
        while True:
            step = flow.send(self.answer(step))


def _pending() -> Reply:
    data = {
        "login_request_id": "login-1",
        "status": "PENDING",
        "expires_at": "2030-01-01T00:00:00Z",
    }
    return Reply(200, body=json.dumps({"ok": True, "data": data}).encode())


def test_lime_is_asked_once_per_held_answer_and_never_past_the_deadline() -> None:
    lime = Lime(holds=True)
    with pytest.raises(LoginTimeoutError, match="60 s"):
        lime.wait(60)
    assert [request.params["wait"] for request in lime.requests[:2]] == [str(MAX_WAIT)] * 2
    assert lime.now == 60
    # Only the last second is spent asking again and again.
    assert sum(lime.slept) <= 1
    for request in lime.requests:
        assert request.timeout is not None
        assert int(request.params["wait"]) < request.timeout


def test_a_lime_that_does_not_hold_its_answers_is_not_asked_in_a_tight_loop() -> None:
    lime = Lime(holds=False)
    with pytest.raises(LoginTimeoutError) as caught:
        lime.wait(10)
    assert isinstance(caught.value, TimeoutError)
    assert len(lime.requests) == 20
    assert lime.now == 10


def test_one_who_waits_for_ever_is_served_in_the_same_steps() -> None:
    lime = Lime(holds=True)
    lime.give_up_at = 100.0
    with pytest.raises(GaveUpError):
        lime.wait(math.inf)
    assert {request.params["wait"] for request in lime.requests} == {str(MAX_WAIT)}


def test_an_answer_that_is_lost_does_not_use_up_the_time_to_wait() -> None:
    lime = Lime(holds=True)
    with pytest.raises(LoginTimeoutError):
        lime.wait(300)
    assert all(r.timeout is not None and r.timeout <= MAX_WAIT + 15 for r in lime.requests)


def test_a_lime_that_asks_for_patience_gets_it() -> None:
    lime = Lime(holds=True)
    lime.busy = Reply(429, retry_after=4.0)
    with pytest.raises(RateLimitError):
        lime.wait(10)
    assert lime.slept == [4, 4, 2]
