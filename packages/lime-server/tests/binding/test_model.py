"""What may happen to a binding."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from lime_server.core.errors import Conflict
from lime_server.modules.binding.model import _NEXT, Binding, BindingState, EndedBy

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)

PENDING = Binding(
    binding_id="b",
    site_id="s",
    state=BindingState.PENDING,
    redirect_uri="https://shop.example/back",
    browser_state="xyz",
    created_at=NOW,
    expires_at=LATER,
)
STEPS = {
    BindingState.APPROVED: lambda one: one.approved_for(
        "a", owner_id="o", code_hash=b"h", now=NOW, until=LATER
    ),
    BindingState.REFUSED: lambda one: one.refused_by("o", NOW),
    BindingState.ACTIVE: lambda one: one.exchanged(NOW),
    BindingState.ENDED: lambda one: one.ended(EndedBy.SITE, NOW),
}


@pytest.mark.parametrize(("before", "after"), list(product(BindingState, STEPS)))
def test_what_is_not_in_the_table_is_illegal(before, after):
    one = replace(PENDING, state=before)
    if after in _NEXT[before]:
        assert STEPS[after](one).state is after
    else:
        with pytest.raises(Conflict, match=f"{before} cannot become {after}"):
            STEPS[after](one)


@pytest.mark.parametrize("state", BindingState)
def test_requests_and_codes_expire_by_themselves_and_links_do_not(state):
    one = replace(PENDING, state=state, code_hash=b"h")
    assert one.at(LATER - timedelta(microseconds=1)) is one
    if state in {BindingState.PENDING, BindingState.APPROVED}:
        expired = one.at(LATER)
        assert (expired.state, expired.code_hash) == (BindingState.EXPIRED, None)
        assert expired.decided_at == LATER
    else:
        assert one.at(LATER) is one


def test_a_code_leaves_with_its_exchange():
    approved = STEPS[BindingState.APPROVED](PENDING)
    assert (approved.code_hash, approved.agent_id, approved.owner_id) == (b"h", "a", "o")
    assert approved.exchanged(NOW).code_hash is None
    # An expired code says when its human had decided.
    assert approved.at(LATER).decided_at == NOW


def test_every_state_is_in_the_table():
    assert set(_NEXT) == set(BindingState)


def test_the_repr_keeps_what_proves_something():
    text = repr(replace(PENDING, code_challenge="challenge", code_hash=b"hash"))
    assert "xyz" not in text
    assert "challenge=" not in text
    assert "hash" not in text
