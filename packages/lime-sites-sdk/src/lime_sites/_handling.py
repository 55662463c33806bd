"""What happens with an event: the application's handlers, then the acknowledgement."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from lime_sdk_core import Callback, Flow, LimeError
from lime_sites._events import Delivery, Inbox
from lime_sites._flows import acknowledge
from lime_sites.errors import HandlerError

logger = logging.getLogger("lime_sites")

LoginHandler = Callable[[str, str | None], object]
"""What `on_login` takes: a function of (request_id, passport or None), plain or async."""

ErrorHandler = Callable[[LimeError], object]
"""What `on_error` takes: a function of the error, plain or async."""


Attempt = Callable[..., object]
"""A handler that the driver in use can call. It returns what the handler raised, or None.

Returned and not raised, because a driver lets through what is no `Exception`: one handler's
`sys.exit` would end the whole conversation, and in silence.
"""


@dataclass(slots=True)
class Application:
    """The handlers that the application registered, ready to be called by the driver in use."""

    login_handlers: list[Attempt] = field(default_factory=list)
    error_handlers: list[Attempt] = field(default_factory=list)

    def call(self, delivery: Delivery, inbox: Inbox) -> Flow[bool]:
        """Call every login handler and say whether all of them returned.

        Each gets the passport that came last when its turn comes. Without any handler, nothing was
        handled: there may be one when the event comes again.
        """
        handlers = list(self.login_handlers)
        handled = bool(handlers)
        for handler in handlers:
            passport = inbox.latest_passport(delivery)
            cause = yield Callback(handler, (delivery.request_id, passport))
            # Whatever the application raises: the stream must go on for the other logins.
            if cause is not None:
                handled = False
                error = HandlerError(delivery.request_id)
                error.__cause__ = cause
                logger.error("%s", error, exc_info=cause)
                yield from self.report(error)
        return handled

    def report(self, error: LimeError) -> Flow[None]:
        """Tell every error handler. One that fails is logged."""
        for handler in list(self.error_handlers):
            cause = yield Callback(handler, (error,))
            if cause is not None:
                logger.error("an on_error handler failed", exc_info=cause)


def handle(delivery: Delivery, application: Application, inbox: Inbox) -> Flow[None]:
    """Handle an event that the inbox gave out, acknowledge it, and go on with the same login's."""
    current: Delivery | None = delivery
    while current is not None:
        handled = False
        try:
            handled = yield from application.call(current, inbox)
        finally:
            # Also when closing cancels a handler: its event must be taken when it comes again.
            current = inbox.finish(current, handled=handled)
        yield from acknowledge_handled(inbox)


def acknowledge_handled(inbox: Inbox) -> Flow[None]:
    """Acknowledge what was handled, unless somebody is at it, who will take these ids along.

    A failure is only logged: LIME sends the events again, and their repetition is acknowledged.
    """
    while True:
        with inbox.acknowledgement() as ids:
            if not ids:
                return
            try:
                yield from acknowledge(ids)
            except LimeError as error:
                logger.warning("%d events could not be acknowledged: %s", len(ids), error)
