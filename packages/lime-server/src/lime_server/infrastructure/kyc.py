"""Those who find out who an owner is: our own operators, or a script that plays a firm."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

from lime_server.core.errors import InvalidInput, NotFound, Unauthenticated
from lime_server.core.names import reason as clean_reason
from lime_server.foundation.kyc import CALLBACK_AGE, Begun, Callback, CaseState, Outcome

_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
_OUTCOMES = frozenset(get_args(Outcome))
_NAME = re.compile(r"[!-~]{1,128}")
"""A reference or an event's id: visible ASCII, which every database and log can hold."""


class ManualKyc:
    """An operator reviews documents that were handed in with us."""

    name = "manual"
    takes_documents = True

    async def begin(self, case_id: str, target_level: int) -> Begun:  # noqa: ARG002 - the port's
        """Everything was handed in already."""
        return Begun(CaseState.SUBMITTED)

    def read(self, unverified_signature: str, unverified_body: bytes, now: datetime) -> Callback:  # noqa: ARG002 - the port's
        """Operators call nobody back."""
        raise NotFound


class ScriptedKyc:
    """Plays a firm that verifies people: whoever knows the secret decides, by signed webhooks.

    For tests and rehearsals. Its callbacks are signed as is usual: `t=<seconds since 1970>,v1=<hex
    of HMAC-SHA-256 over "<t>." and the body>`.
    """

    name = "scripted"
    takes_documents = False

    def __init__(
        self, secret: bytes, *, new_reference: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        """`secret` has 32 bytes or more, and is shared with the script."""
        self._secret = secret
        self._new_reference = new_reference

    async def begin(self, case_id: str, target_level: int) -> Begun:  # noqa: ARG002 - the port's
        """From now on the script is to call."""
        return Begun(CaseState.OPEN, self._new_reference())

    def read(self, unverified_signature: str, unverified_body: bytes, now: datetime) -> Callback:
        """The callback. Raises Unauthenticated and InvalidInput."""
        # 1. Who says so? In constant time, and before anything of the body is read.
        match = _SIGNATURE.fullmatch(unverified_signature)
        if match is None:
            raise Unauthenticated("The signature is not valid.")
        signed = _hmac(self._secret, int(match[1]), unverified_body)
        if not hmac.compare_digest(signed, match[2]):
            raise Unauthenticated("The signature is not valid.")
        # 2. When? An old one may have been caught on its way.
        if abs(now.timestamp() - int(match[1])) > CALLBACK_AGE.total_seconds():
            raise Unauthenticated("The signature is too old, or from the future.")
        # 3. What?
        return _callback(unverified_body)


def sign_callback(secret: bytes, body: bytes, at: datetime) -> str:
    """The signature that goes with `body`."""
    seconds = int(at.astimezone(UTC).timestamp())
    return f"t={seconds},v1={_hmac(secret, seconds, body)}"


def _hmac(secret: bytes, seconds: int, body: bytes) -> str:
    return hmac.new(secret, b"%d." % seconds + body, hashlib.sha256).hexdigest()


def _callback(body: bytes) -> Callback:
    try:
        said = json.loads(body)
    except ValueError:
        raise InvalidInput("The callback is not JSON.") from None
    match said:
        case {"event_id": str(event), "reference": str(reference), "outcome": str(outcome)} if (
            outcome in _OUTCOMES and _NAME.fullmatch(event) and _NAME.fullmatch(reference)
        ):
            return Callback(
                event,
                reference,
                outcome,  # type: ignore[arg-type]  # one of the outcomes
                _level(said.get("level")),
                _reason(said.get("reason")),
            )
        case _:
            raise InvalidInput("The callback lacks event_id, reference or outcome.")


def _level(said: object) -> int | None:
    if said is None or (isinstance(said, int) and not isinstance(said, bool)):
        return said
    raise InvalidInput("The callback's level is no number.")


def _reason(said: object) -> str | None:
    if not isinstance(said, str | None):
        raise InvalidInput("The callback's reason is no text.")
    return clean_reason(said) if said else None
