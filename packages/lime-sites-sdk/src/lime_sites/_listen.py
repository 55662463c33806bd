"""The conversation with the event stream: connect, read, hand over, come back; for ever."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from lime_sdk_core import Callback, Flow, LimeError, Random, Request, Sleep
from lime_sdk_core._late import Late
from lime_sites._events import Delivery, Inbox
from lime_sites._handling import Application, acknowledge_handled, handle
from lime_sites._sse import EventStreamParser, ServerSentEvent
from lime_sites.errors import AuthenticationError, ClosedError, ProtocolError

if TYPE_CHECKING:
    from lime_sites import _wire
else:
    _wire = Late("lime_sites._wire")

logger = logging.getLogger("lime_sites")

SILENCE: Final = 40.0
"""Seconds without a byte after which a stream counts as dead; LIME sends something every 15."""

MAX_BACKOFF: Final = 30.0
"""Bound of the pause before the next connection, in seconds."""

MAX_ASKED_PAUSE: Final = 300.0
"""Longest pause that LIME may ask for, in seconds: no event waits longer than that for its site."""


class Link(Protocol):
    """One connection to the event stream and who works off what comes, blocking or not."""

    def open(self, request: Request) -> Any:
        """Connect and return the answer's headers; raises LimeError if LIME refuses or is away."""

    def read(self) -> Any:
        """Return the next bytes, or none at the end; raises LimeError if it ends badly."""

    def close(self) -> Any:
        """Disconnect, if there is a connection."""

    def start(self, work: Flow[None]) -> Any:
        """See to it that `work` is done; does not wait for that."""


def listen(
    link: Link, application: Application, inbox: Inbox, *, consumer: str, backoff_base: float
) -> Flow[None]:
    """Receive events until the driver stops this flow, or LIME does not want this site any more.

    Raises:
        LimeError: the token is not accepted or the site is suspended, so that trying again would
            change nothing.
    """
    failures = 0
    while True:
        visit = _Visit(application, inbox)
        retry_after = 0.0
        try:
            yield from visit.stay(link, consumer)
        except LimeError as error:
            yield Callback(link.close)
            if _is_final(error):
                raise
            logger.warning("event stream: %s", error)
            retry_after = min(error.retry_after or 0.0, MAX_ASKED_PAUSE)
            yield from application.report(error)
        else:
            yield Callback(link.close)
        failures = 0 if visit.was_useful else failures + 1
        # At once after a goodbye: another server is there already.
        if not (visit.said_goodbye and visit.was_useful):
            # Full jitter, so that a thousand sites do not come back in the same instant.
            bound = min(MAX_BACKOFF, backoff_base * 2.0 ** min(failures, 16))
            yield Sleep(retry_after + (yield Random()) * bound)


def failure_of(error: Exception) -> LimeError:
    """Return what ended the conversation, as the application is told; a defect is one as well."""
    if isinstance(error, LimeError):
        logger.error("the event stream has ended for good: %s", error)
        return error
    logger.error("the event stream has ended by a defect", exc_info=error)
    failure = LimeError("the event stream has ended by a defect")
    failure.__cause__ = error
    return failure


def _is_final(error: LimeError) -> bool:
    if isinstance(error, AuthenticationError | ClosedError):
        return True
    # A refusal of LIME's own has a code. One without comes from between, and may end again.
    return error.http_status == HTTPStatus.FORBIDDEN and error.code != "HTTP_403"


class _Visit:
    """One connection, from opening to its end."""

    def __init__(self, application: Application, inbox: Inbox) -> None:
        self._application = application
        self._inbox = inbox
        self.was_useful = False
        self.said_goodbye = False

    def stay(self, link: Link, consumer: str) -> Flow[None]:
        """Read to the end, or to the goodbye."""
        request = Request(
            "GET",
            "/modules/agent-login/events",
            params={"consumer": consumer},
            headers={"accept": "text/event-stream", "cache-control": "no-store"},
            timeout=SILENCE,
        )
        _check_media_type((yield Callback(link.open, (request,))))
        parser = EventStreamParser()
        while not self.said_goodbye and (chunk := (yield Callback(link.read))):
            for event in parser.feed(chunk):
                yield from self._take(event, link)

    def _take(self, event: ServerSentEvent, link: Link) -> Flow[None]:
        frame = _wire.read_frame(event.data)
        if isinstance(frame, _wire.StreamError):
            yield from self._application.report(LimeError(_said(frame), code=frame.code))
            return
        if isinstance(frame, _wire.GoAway):
            self.said_goodbye = True
            return
        self.was_useful = True
        if isinstance(frame, _wire.Approved):
            passport = frame.agent_passport_jwt
        elif isinstance(frame, _wire.Ended):
            passport = None
        else:
            return
        delivery = Delivery(event.id, frame.login_request_id, passport)
        if self._inbox.offer(delivery):
            yield Callback(link.start, (handle(delivery, self._application, self._inbox),))
        elif self._inbox.owes_acknowledgement():
            yield Callback(link.start, (acknowledge_handled(self._inbox),))


def _check_media_type(headers: Mapping[str, str]) -> None:
    found = headers.get("content-type", "")
    if found.partition(";")[0].strip().lower() != "text/event-stream":
        raise ProtocolError("the events came as something else than text/event-stream")


def _said(frame: _wire.StreamError) -> str:
    said = "".join(char if char.isprintable() else " " for char in frame.message[:200])
    return f"LIME ends the event stream: {said}"
