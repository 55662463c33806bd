"""A site that is offline, for less and for more than LIME tries to reach it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from lime_sites import LimeError, LimeSiteSync, RequestExpiredError
from tests.chaos import ledger
from tests.chaos.stage import Cast, Stage

T = TypeVar("T")

WINDOW = 12.0
"""Seconds for which LIME tries where a site is away for longer; 300 otherwise."""
SHORT = 4.0
AT_ONCE = 10
"""Logins of the site that is away, in each absence."""
DECIDED = 180.0
"""Seconds in which an agent answers."""

SHORT_WINDOW = Cast(settings={"LIME_DELIVERY_WINDOW": f"{WINDOW:g}", "LIME_DELIVERY_LEASE": "2"})


def less_than_the_window(stage: Stage) -> None:
    """A site's workers are away for less than the delivery window: it hears of everything."""
    with _front_desk(stage) as desk:
        while stage.goes_on():
            _leave(stage)
            _ask(stage, desk)
            stage.let_pass(SHORT)
            _return(stage)


def more_than_the_window(stage: Stage) -> None:
    """They are away for longer: what LIME gave up on is told apart from what it delivered."""
    with _front_desk(stage) as desk:
        while stage.goes_on():
            _leave(stage)
            asked = _ask(stage, desk)
            _wait_for_agents(stage, asked)
            stage.let_pass(WINDOW + 1.0)
            _return(stage)
            stage.let_pass(WINDOW)
            told = ledger.stories(stage.lines())
            for request in ledger.missing(stage.lines()):
                if told[request].site == stage.sites[0].site_id and _is_told_apart(
                    stage, desk, request
                ):
                    stage.excused.add(request)
            stage.a_moment()
        assert stage.excused, "nobody was away for long enough"


def _is_told_apart(stage: Stage, desk: LimeSiteSync, request: str) -> bool:
    """Whether LIME has given up on a request; and if so, that the site can see it."""
    found = _insist(stage, lambda: desk.get_login_request(request, wait=0))
    if found.agent_passport_jwt is not None:
        return False
    assert found.status == "APPROVED"
    with pytest.raises(RequestExpiredError):
        desk.wait_for_login(request, timeout=20)
    return True


def _insist(stage: Stage, ask: Callable[[], T]) -> T:
    """Ask until there is an answer: a machine that is busy with other things may need some time."""
    answers: list[T] = []

    def answered() -> bool:
        with suppress(LimeError):
            answers.append(ask())
        return bool(answers)

    stage.until(answered, within=DECIDED, what="LIME answers")
    return answers[0]


def _front_desk(stage: Stage) -> LimeSiteSync:
    """What still works at the site: its web pages ask for logins, and nobody listens."""
    return LimeSiteSync(
        site_token=stage.sites[0].token, base_url=f"{stage.url}/api/v1", issuer=stage.url
    )


def _leave(stage: Stage) -> None:
    for worker in stage.workers[: stage.cast.workers]:
        worker.wanted = False
        worker.kill()
    stage.note("site offline")


def _ask(stage: Stage, desk: LimeSiteSync) -> set[str]:
    made = {_insist(stage, desk.create_login_request).request_id for _ in range(AT_ONCE)}
    for request in made:
        stage.own_ledger.write("created", request, site=stage.sites[0].site_id)
        stage.load.hand_over(request)
    return made


def _return(stage: Stage) -> None:
    for worker in stage.workers[: stage.cast.workers]:
        worker.wanted = True
    stage.until(
        lambda: all(worker.is_alive for worker in stage.workers), within=30.0, what="they are back"
    )
    stage.a_moment()


def _wait_for_agents(stage: Stage, requests: set[str]) -> None:
    def answered() -> bool:
        answers = {"approved", "failed"}
        return requests <= {line["request"] for line in stage.lines() if line["what"] in answers}

    stage.until(answered, within=DECIDED, what="agents answered")
