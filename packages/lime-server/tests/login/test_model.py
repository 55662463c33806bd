"""The table of states."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lime_server.core.agents import Agent
from lime_server.core.errors import Conflict
from lime_server.modules.site_login.model import Login, State

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AGENT = Agent("agent", "owner", "Agent", None, None, True, NOW, False, 0, False)
PENDING = Login("id", "site", State.PENDING, "c", 15, None, NOW, NOW + timedelta(minutes=5))
MOVES = {
    State.APPROVED: lambda login: login.approved_by(AGENT, NOW),
    State.DENIED: lambda login: login.denied_by(AGENT, NOW),
    State.EXPIRED: lambda login: login._to(State.EXPIRED, decided_at=NOW),
    State.DELIVERED: lambda login: login.delivered(),
}
LEGAL = {
    (State.PENDING, State.APPROVED),
    (State.PENDING, State.DENIED),
    (State.PENDING, State.EXPIRED),
    (State.APPROVED, State.DELIVERED),
}


@pytest.mark.parametrize("old", State)
@pytest.mark.parametrize("new", MOVES)
def test_only_the_moves_of_the_protocol_are_possible(old, new):
    login = replace(PENDING, state=old)
    if (old, new) in LEGAL:
        assert MOVES[new](login).state is new
    else:
        with pytest.raises(Conflict):
            MOVES[new](login)


def test_only_a_pending_login_expires_by_itself():
    later = PENDING.expires_at
    assert PENDING.at(later - timedelta(microseconds=1)) is PENDING
    assert PENDING.at(later).state is State.EXPIRED
    assert PENDING.at(later + timedelta(days=1)).decided_at == later
    approved = PENDING.approved_by(AGENT, NOW)
    assert approved.at(later) is approved
