"""The network between every pair: cut, half-open, black-holed and slow."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos.links import Link
from tests.chaos.stage import Stage

SLOW = 0.1
"""Seconds that each piece travels on a slow link: another continent."""

PAIRS = {
    "agents": "the agents and LIME",
    "sites": "the sites and LIME",
    "postgres": "the servers and PostgreSQL",
    "redis": "the servers and Redis",
}
"""Which links there are, and between whom."""


def cut(stage: Stage, link: Link) -> None:
    link.cut()
    stage.a_moment(0.5, 4.0)
    link.mend()


def half_open(stage: Stage, link: Link) -> None:
    stage.random.choice([link.forget_callers, link.forget_answerers])()


def black_hole(stage: Stage, link: Link) -> None:
    link.swallow()
    stage.a_moment(0.5, 8.0)
    link.mend()


def slow(stage: Stage, link: Link) -> None:
    link.slow_down(SLOW)
    stage.a_moment(1.0, 4.0)
    link.mend()


FAULTS: dict[str, Callable[[Stage, Link], None]] = {
    "cut": cut,
    "half-open": half_open,
    "black-hole": black_hole,
    "slow": slow,
}


def between(pair: str, fault: str) -> Callable[[Stage], None]:
    """One kind of fault on the links of one pair, one link at a time."""

    def act(stage: Stage) -> None:
        while stage.goes_on():
            stage.a_moment(0.5, 2.0)
            FAULTS[fault](stage, stage.random.choice(stage.links_of(pair)))
            stage.note(f"{pair} {fault}")

    return act


def anywhere(stage: Stage) -> None:
    """Every kind of fault on any link, at random."""
    while stage.goes_on():
        stage.a_moment(0.2, 1.0)
        fault = stage.random.choice(list(FAULTS.values()))
        fault(stage, stage.random.choice(list(stage.links.values())))
        stage.note("network fault")
