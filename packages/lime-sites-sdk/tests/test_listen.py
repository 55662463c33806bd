"""The conversation with the event stream, step by step, with nothing behind it."""

import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from lime_sdk_core import Callback, Random, Sleep
from lime_sites._events import Delivery, Inbox
from lime_sites._handling import Application
from lime_sites._listen import MAX_ASKED_PAUSE, MAX_BACKOFF, SILENCE, listen
from lime_sites.errors import (
    ApiError,
    AuthenticationError,
    ClosedError,
    LimeError,
    ProtocolError,
    RateLimitError,
    TransportError,
)

HEADERS = {"content-type": "text/event-stream; charset=utf-8"}
KEEPALIVE = {"type": "keepalive"}
GOODBYE = {"type": "goaway"}
CUT = TransportError("the connection failed")


class Script:
    """A link that plays back visits: each is what `open` says, then what `read` gives."""

    def __init__(self, *visits: list[Any]) -> None:
        self.visits = [list(visit) for visit in visits]
        self.log: list[str] = []
        self.requests: list[Any] = []
        self.started: list[Generator[Any, Any, None]] = []
        self.reported: list[LimeError] = []

    def open(self, request: Any) -> Any:
        self.log.append("open")
        self.requests.append(request)
        return self._next()

    def read(self) -> Any:
        return self._next() if self.visits[0] else b""

    def close(self) -> None:
        self.log.append("close")
        self.visits.pop(0)

    def start(self, work: Generator[Any, Any, None]) -> None:
        self.started.append(work)

    def _next(self) -> Any:
        item = self.visits[0].pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def play(
        self, *, random: float = 1.0, backoff_base: float = 1.0, inbox: Inbox | None = None
    ) -> list[float]:
        """Run the conversation until the visits are over; return the pauses."""
        application = Application(error_handlers=[self.reported.append])
        inbox = inbox or Inbox()
        flow = listen(self, application, inbox, consumer="worker", backoff_base=backoff_base)
        pauses: list[float] = []
        step = next(flow)
        while self.visits or getattr(step, "function", None) != self.open:
            answer, failure = None, None
            match step:
                case Sleep(seconds):
                    pauses.append(round(seconds, 3))
                case Random():
                    answer = random
                case Callback(function, args):
                    try:
                        answer = function(*args)
                    except LimeError as error:
                        failure = error
            step = flow.send(answer) if failure is None else flow.throw(failure)
        return pauses


def _event(frame: dict[str, object], event_id: str = "") -> bytes:
    numbered = f"id: {event_id}\n" if event_id else ""
    return f"{numbered}data: {json.dumps(frame)}\n\n".encode()


def test_it_says_who_listens_and_for_how_long_silence_is_borne() -> None:
    script = Script([HEADERS])
    script.play()
    (request,) = script.requests
    assert (request.method, request.path) == ("GET", "/modules/agent-login/events")
    assert request.params == {"consumer": "worker"}
    assert request.timeout == SILENCE
    assert request.headers["accept"] == "text/event-stream"


def test_it_comes_back_after_every_end_and_the_pauses_grow_to_a_bound() -> None:
    script = Script(*[[CUT]] * 7)
    assert script.play() == [2, 4, 8, 16, MAX_BACKOFF, MAX_BACKOFF, MAX_BACKOFF]
    assert script.log == ["open", "close"] * 7
    assert script.reported == [CUT] * 7


def test_pauses_are_drawn_from_zero_to_the_bound() -> None:
    assert Script([CUT], [CUT]).play(random=0.25) == [0.5, 1]


def test_a_visit_that_brought_something_resets_the_pause() -> None:
    script = Script([CUT], [CUT], [HEADERS, _event(KEEPALIVE), CUT], [HEADERS, _event(KEEPALIVE)])
    assert script.play(backoff_base=0.5) == [1, 2, 0.5, 0.5]


def test_a_server_that_only_hangs_up_is_not_called_in_a_tight_loop() -> None:
    assert Script([HEADERS], [HEADERS], [HEADERS]).play() == [2, 4, 8]


def test_after_a_goodbye_it_comes_back_at_once() -> None:
    script = Script([HEADERS, _event(KEEPALIVE) + _event(GOODBYE), b"never read"], [CUT])
    assert script.play() == [2]
    assert script.log == ["open", "close"] * 2


def test_a_server_that_only_says_goodbye_is_not_called_in_a_tight_loop() -> None:
    assert Script([HEADERS, _event(GOODBYE)], [HEADERS, _event(GOODBYE)]).play() == [2, 4]


def test_the_server_may_ask_for_patience() -> None:
    busy = RateLimitError("slowly", http_status=429, retry_after=60.0)
    assert Script([busy], [busy]).play(random=0.5) == [61, 62]


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", http_status=401),
        ApiError("SOMETHING", "no", http_status=403),
        ClosedError("closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_it_ends_when_trying_again_would_change_nothing(error: LimeError) -> None:
    script = Script([error], [CUT])
    with pytest.raises(type(error)) as caught:
        script.play()
    assert caught.value is error
    assert script.log == ["open", "close"]


def test_what_is_no_event_stream_is_not_read() -> None:
    script = Script([{"content-type": "text/html"}], [{}])
    script.play()
    assert [type(error) for error in script.reported] == [ProtocolError] * 2


def test_the_server_may_say_why_it_ends() -> None:
    frame = {"type": "error", "code": "SITE_SUSPENDED", "message": "bad\x1b[31m news"}
    script = Script([HEADERS, _event(frame)], [HEADERS, _event({"type": "error"})])
    assert script.play() == [2, 4]
    first, second = script.reported
    assert (first.code, str(first)) == (
        "SITE_SUSPENDED",
        "LIME ends the event stream: bad [31m news",
    )
    assert second.code == "UNKNOWN_ERROR"


def test_events_are_handed_over_and_their_repetition_is_acknowledged() -> None:
    approved = {"type": "approved", "login_request_id": "l1", "agent_passport_jwt": "jwt"}
    denied = {"type": "denied", "login_request_id": "l2"}
    expired = {"type": "expired", "login_request_id": "l3"}
    chunk = _event(approved, "e1") + _event(denied, "e2") + _event(expired, "e3")
    script = Script([HEADERS, chunk, _event({**denied, "login_request_id": "l0"}, "e0")])
    inbox = Inbox()
    earlier = Delivery("e0", "l0", None)
    inbox.offer(earlier)
    inbox.finish(earlier, handled=True)
    with inbox.acknowledgement() as ids:
        assert ids == ["e0"]
    script.play(inbox=inbox)
    assert [work.__name__ for work in script.started] == ["handle"] * 3 + ["acknowledge_handled"]
    for work in script.started:
        work.close()


def test_the_repetition_of_an_event_that_is_still_in_hand_starts_nothing() -> None:
    approved = {"type": "approved", "login_request_id": "l1", "agent_passport_jwt": "jwt"}
    script = Script([HEADERS, _event(approved, "e1") * 1000])
    script.play()
    assert [work.__name__ for work in script.started] == ["handle"]
    script.started[0].close()


def test_a_firewall_that_refuses_is_not_lime_and_the_site_comes_back() -> None:
    refusal = ApiError("HTTP_403", "HTTP 403 without LIME's error envelope.", http_status=403)
    script = Script([refusal], [HEADERS, _event(KEEPALIVE)])
    script.play()
    assert script.log.count("open") == 2


def test_no_answer_keeps_a_site_away_for_longer_than_events_wait() -> None:
    script = Script([RateLimitError("slow down", http_status=429, retry_after=86_400.0)])
    assert script.play(random=0.0) == [MAX_ASKED_PAUSE]


def test_types_of_a_newer_server_are_ignored_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="lime_sites")
    frame = {"type": "party", "login_request_id": "l1", "agent_passport_jwt": "jwt"}
    script = Script([HEADERS, _event(frame, "e1")])
    script.play()
    assert script.started == []
    assert script.reported == []
    assert caplog.text == ""


@pytest.mark.parametrize(
    "data",
    [
        "not json",
        "[]",
        "{}",
        '{"type": "approved", "login_request_id": "l1"}',
        '{"type": "approved", "login_request_id": "l1", "agent_passport_jwt": ""}',
        '{"type": "approved", "login_request_id": 7, "agent_passport_jwt": "secret"}',
        '{"type": "expired"}',
    ],
)
def test_a_malformed_event_is_left_alone_with_a_warning(
    data: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script([HEADERS, f"id: e1\ndata: {data}\n\n".encode()])
    script.play()
    assert script.started == []
    assert "ignored a malformed event" in caplog.text
    assert "secret" not in caplog.text
