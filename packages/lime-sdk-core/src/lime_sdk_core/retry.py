"""When a request is sent again, and how one call stays within its deadline."""

import logging
from dataclasses import dataclass

from lime_sdk_core.errors import TransportError
from lime_sdk_core.steps import Attempt, Flow, Now, Random, Reply, Request, Sleep

logger = logging.getLogger("lime")

#: Statuses that a later attempt may turn into an answer. 501 and 505 will not change.
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

#: Seconds that an attempt has at least, if the call does: a first connection from far away.
SHORTEST_ATTEMPT = 1.0

CONFLICT = 409
KEY = "idempotency-key"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Full jitter: each pause is drawn evenly from zero to a bound that doubles.

    Attributes:
        max_retries: Repetitions after the first attempt; 0 turns them off.
        base: Bound of the first pause, in seconds.
        cap: No bound is above this, in seconds.
    """

    max_retries: int = 3
    base: float = 0.25
    cap: float = 8.0

    def share(self, *, attempt: int, remaining: float) -> float:
        """Return the seconds that an attempt may take, of `remaining`.

        Half of them while another could follow: where an answer was lost without a sign (a balancer
        that froze, a connection that one side forgot), waiting longer brings nothing, and asking
        again does.
        """
        if attempt >= self.max_retries:
            return remaining
        return min(remaining, max(remaining / 2, SHORTEST_ATTEMPT))

    def pause(
        self, *, attempt: int, retry_after: float | None, remaining: float, random: float
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or `None` to give up.

        Args:
            attempt: Which attempt has failed, counted from 0.
            retry_after: What the server asked for, in seconds: the least to wait. A draw of at most
                `base` comes on top, so that all who were turned away do not return at once.
            remaining: Seconds left of the call's time. A pause that would use them up is not begun.
            random: A number in [0, 1).
        """
        if attempt >= self.max_retries:
            return None
        if retry_after is None:
            wait = random * min(self.cap, self.base * 2.0 ** min(attempt, 30))
        else:
            wait = retry_after + random * self.base
        return wait if wait < remaining else None


def attempts(request: Request, policy: RetryPolicy, timeout: float) -> Flow[Reply]:
    """Send `request`, again where that is safe and useful, within `timeout` seconds altogether.

    Returns the last answer, whatever its status.

    Raises:
        TransportError: No answer came, and none will within the time.
    """
    deadline = (yield Now()) + timeout
    remaining, attempt = timeout, 0
    while True:
        if not request.repeatable:
            return _settle((yield from _once(request, remaining)))
        share = policy.share(attempt=attempt, remaining=remaining)
        outcome = yield from _once(request, share)
        if _final(request, outcome):
            return _settle(outcome)
        remaining = deadline - (yield Now())
        retry_after = outcome.retry_after
        pause = policy.pause(
            attempt=attempt, retry_after=retry_after, remaining=remaining, random=(yield Random())
        )
        if pause is None:
            return _settle(outcome)
        logger.info("%s %s: trying again in %.2f s", request.method, request.path, pause)
        yield Sleep(pause)
        remaining = deadline - (yield Now())
        if remaining <= 0:
            return _settle(outcome)
        attempt += 1


def _once(request: Request, timeout: float) -> Flow[Reply | TransportError]:
    try:
        reply: Reply = yield Attempt(request, timeout)
    except TransportError as error:
        return error
    return reply


def _final(request: Request, outcome: Reply | TransportError) -> bool:
    if isinstance(outcome, TransportError):
        return False
    # The first request with this key has not ended yet: its answer was lost (protocol section 1).
    waits = outcome.status == CONFLICT and outcome.retry_after is not None
    return not (outcome.status in RETRIED_STATUSES or (waits and KEY in request.headers))


def _settle(outcome: Reply | TransportError) -> Reply:
    if isinstance(outcome, TransportError):
        raise outcome
    return outcome
