"""Signed values, by calling what makes and reads them."""

from typing import Any

import pytest

from lime_sites._cookies import SignedValue

SECRET = "s" * 32
MAX_AGE = 600


@pytest.fixture
def signed(clock: Any) -> SignedValue:
    return SignedValue(SECRET, kind="session", max_age=MAX_AGE, wall_clock=clock)


@pytest.mark.parametrize(
    ("age", "value"),
    [(-31, None), (-30, "agent-1"), (-1, "agent-1"), (0, "agent-1"), (600, "agent-1"), (601, None)],
)
def test_a_value_is_good_for_its_time_though_the_clock_that_signed_it_was_a_little_ahead(
    signed: SignedValue, clock: Any, age: int, value: str | None
) -> None:
    text = signed.dump("agent-1")
    clock.advance(age)
    assert signed.load(text) == value


def test_what_is_not_ours_is_nothing(signed: SignedValue, clock: Any) -> None:
    other = SignedValue(SECRET, kind="pending", max_age=MAX_AGE, wall_clock=clock)
    for text in (None, "", "agent-1", other.dump("agent-1"), signed.dump("agent-1") + "x"):
        assert signed.load(text) is None
