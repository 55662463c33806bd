"""The smallest conversation: one request, one answer, read."""

from collections.abc import Callable
from typing import TypeVar

from lime_sdk_core.envelope import check_status, unwrap
from lime_sdk_core.errors import ErrorTable
from lime_sdk_core.steps import Flow, Reply, Request

T = TypeVar("T")

DEFAULT_ERRORS = ErrorTable()


def call(
    request: Request, parse: Callable[[object], T], *, errors: ErrorTable = DEFAULT_ERRORS
) -> Flow[T]:
    """Send `request` and return what `parse` makes of the envelope's `data`.

    Raises:
        LimeError: The class that `errors` names for what LIME answered.
        ProtocolError: The answer is not LIME's.
        TransportError: There was no complete answer.
    """
    reply: Reply = yield request
    return parse(unwrap(reply, errors))


def call_document(
    request: Request, *, errors: ErrorTable = DEFAULT_ERRORS, accept: tuple[int, ...] = ()
) -> Flow[Reply]:
    """Send `request` for a document without envelope (JWKS) and return the successful answer.

    Statuses in `accept`, such as 304, count as success. Raises as `call` does.
    """
    reply: Reply = yield request
    return check_status(reply, errors, accept=accept)
