"""The inbox, by calling it."""

import pytest

from lime_sites._events import MAX_ACKNOWLEDGED_AT_ONCE, Delivery, Inbox


def _delivery(event_id: str | None, request_id: str = "login-1") -> Delivery:
    return Delivery(event_id, request_id, "jwt")


def _handle(inbox: Inbox, delivery: Delivery, *, handled: bool = True) -> Delivery | None:
    assert inbox.offer(delivery)
    return inbox.finish(delivery, handled=handled)


def _acknowledged(inbox: Inbox) -> list[str]:
    with inbox.acknowledgement() as ids:
        return ids


def test_an_event_is_handled_once_and_acknowledged_each_time_it_comes() -> None:
    inbox = Inbox()
    _handle(inbox, _delivery("e1"))
    assert _acknowledged(inbox) == ["e1"]
    assert _acknowledged(inbox) == []
    assert not inbox.offer(_delivery("e1"))
    assert _acknowledged(inbox) == ["e1"]


def test_an_event_that_comes_again_while_it_is_handled_is_not_taken_twice() -> None:
    inbox = Inbox()
    assert inbox.offer(_delivery("e1"))
    assert not inbox.offer(_delivery("e1"))
    assert inbox.finish(_delivery("e1"), handled=True) is None
    assert _acknowledged(inbox) == ["e1"]


def test_an_event_in_hand_has_the_passport_that_came_last() -> None:
    inbox = Inbox()
    first, queued = _delivery("e1"), _delivery("e2")
    assert inbox.offer(first)
    assert not inbox.offer(queued)
    for event_id in ("e1", "e2"):
        assert not inbox.offer(Delivery(event_id, "login-1", f"new for {event_id}"))
    assert inbox.latest_passport(first) == "new for e1"
    assert inbox.finish(first, handled=True) is queued
    assert inbox.latest_passport(queued) == "new for e2"
    assert inbox.finish(queued, handled=True) is None


def test_a_full_inbox_still_takes_new_passports_for_what_it_holds() -> None:
    inbox = Inbox(max_pending=1)
    assert inbox.offer(_delivery("e1"))
    assert not inbox.offer(Delivery("e1", "login-1", "new"))
    assert inbox.latest_passport(_delivery("e1")) == "new"


def test_an_event_without_id_keeps_its_passport() -> None:
    inbox = Inbox()
    assert inbox.offer(_delivery(None))
    assert inbox.latest_passport(_delivery(None)) == "jwt"


def test_an_event_that_was_not_handled_is_taken_when_it_comes_again() -> None:
    inbox = Inbox()
    _handle(inbox, _delivery("e1"), handled=False)
    assert _acknowledged(inbox) == []
    assert inbox.offer(_delivery("e1"))


def test_the_events_of_one_login_come_one_after_the_other() -> None:
    inbox = Inbox()
    first, second, third = _delivery("e1"), _delivery("e2"), _delivery("e3")
    assert inbox.offer(first)
    assert not inbox.offer(second)
    assert not inbox.offer(third)
    assert inbox.offer(_delivery("e4", "login-2"))
    assert inbox.finish(first, handled=True) is second
    assert inbox.finish(second, handled=True) is third
    assert inbox.finish(third, handled=True) is None
    assert _acknowledged(inbox) == ["e1", "e2", "e3"]
    assert inbox.offer(_delivery("e5"))


def test_what_waits_behind_a_failure_comes_again_with_it() -> None:
    inbox = Inbox()
    assert inbox.offer(_delivery("e1"))
    assert not inbox.offer(_delivery("e2"))
    assert inbox.finish(_delivery("e1"), handled=False) is None
    assert inbox.offer(_delivery("e1"))
    assert not inbox.offer(_delivery("e2"))


def test_events_without_id_are_always_handled_and_never_acknowledged() -> None:
    inbox = Inbox()
    for _ in range(2):
        _handle(inbox, _delivery(None))
    assert _acknowledged(inbox) == []


def test_a_full_inbox_leaves_events_to_come_again() -> None:
    inbox = Inbox(max_pending=1)
    assert inbox.offer(_delivery("e1"))
    assert not inbox.offer(_delivery("e2", "login-2"))
    inbox.finish(_delivery("e1"), handled=True)
    assert inbox.offer(_delivery("e2", "login-2"))


def test_only_so_many_handled_events_are_remembered() -> None:
    inbox = Inbox(max_remembered=1)
    _handle(inbox, _delivery("e1"))
    _handle(inbox, _delivery("e2"))
    assert not inbox.offer(_delivery("e2"))
    assert inbox.offer(_delivery("e1"))


def test_one_acknowledgement_at_a_time_takes_what_was_finished_meanwhile() -> None:
    inbox = Inbox()
    _handle(inbox, _delivery("e1"))
    with inbox.acknowledgement() as ids:
        assert ids == ["e1"]
        _handle(inbox, _delivery("e2"))
        assert _acknowledged(inbox) == []
    assert _acknowledged(inbox) == ["e2"]


def test_an_acknowledgement_that_fails_lets_the_next_one_begin() -> None:
    inbox = Inbox()
    _handle(inbox, _delivery("e1"))
    with pytest.raises(RuntimeError), inbox.acknowledgement():
        raise RuntimeError
    _handle(inbox, _delivery("e2"))
    assert _acknowledged(inbox) == ["e2"]


def test_an_acknowledgement_is_not_endless() -> None:
    inbox = Inbox()
    for number in range(MAX_ACKNOWLEDGED_AT_ONCE + 1):
        _handle(inbox, _delivery(f"e{number}"))
    assert len(_acknowledged(inbox)) == MAX_ACKNOWLEDGED_AT_ONCE
    assert len(_acknowledged(inbox)) == 1


def test_a_delivery_does_not_print_its_passport() -> None:
    assert "jwt" not in repr(_delivery("e1"))


def test_an_heir_knows_what_was_handled_and_has_nothing_in_hand() -> None:
    inbox = Inbox()
    handled, in_hand = Delivery("e1", "l1", None), Delivery("e2", "l2", None)
    assert inbox.offer(handled)
    inbox.finish(handled, handled=True)
    assert inbox.offer(in_hand)
    heir = inbox.heir()
    assert heir.offer(in_hand)
    assert not heir.offer(handled)
    with heir.acknowledgement() as ids:
        assert ids == ["e1"]
