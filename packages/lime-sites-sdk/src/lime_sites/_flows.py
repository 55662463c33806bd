"""The site's conversations with LIME, written once for both clients."""

import base64
import hashlib
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lime_sdk_core import Flow, LimeError, Now, Request, Sleep, as_model, call, segment
from lime_sdk_core._late import Late
from lime_sites._passports import Verifier
from lime_sites._types import (
    Binding,
    BindingPage,
    BindingPassport,
    BindingRequestResult,
    LoginRequestResult,
    Passport,
)
from lime_sites.errors import (
    ERRORS,
    ApiError,
    LoginTimeoutError,
    RateLimitError,
    RequestDeniedError,
    RequestExpiredError,
    TransportError,
)

if TYPE_CHECKING:
    from lime_sites import _wire
else:
    _wire = Late("lime_sites._wire")

MAX_WAIT: Final = 25
"""Seconds that LIME holds one question about a login request: protocol section 3 allows 30."""

_REQUESTS = "/modules/agent-login/requests"
_BINDINGS = "/modules/bindings"

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

# Seconds that an answer may need for its way, so that LIME has to answer that much earlier.
_MARGIN = 1.0

# Seconds after the end of `wait` at which an answer counts as lost.
_LATENESS = 15.0

# Seconds between two questions when LIME does not hold the answer.
_POLL_INTERVAL = 0.5


def create_login_request(redirect_url: str | None) -> Flow[LoginRequestResult]:
    """Ask LIME for a login request."""
    body = {} if redirect_url is None else {"redirect_url": redirect_url}
    # May be repeated: a request that nobody knows of hurts nobody and expires by itself.
    request = Request("POST", _REQUESTS, json=body, idempotent=True)
    made = yield from call(request, as_model(_wire.LoginRequest), errors=ERRORS)
    return made.result()


def get_login_request(
    request_id: str, *, wait: int | None = None, timeout: float | None = None
) -> Flow[LoginRequestResult]:
    """Read one of this site's requests; with `wait`, LIME answers only when it is final.

    Args:
        request_id: which one.
        wait: most seconds that LIME may hold the answer, 0 to 30.
        timeout: most seconds for the whole call.

    Raises:
        ValueError: `request_id` cannot be a segment of a path.
    """
    request = Request(
        "GET",
        f"{_REQUESTS}/{segment(request_id)}",
        params={} if wait is None else {"wait": str(wait)},
        timeout=timeout,
    )
    found = yield from call(request, as_model(_wire.LoginRequest), errors=ERRORS)
    return found.result()


def wait_for_login(request_id: str, timeout: float, verifier: Verifier) -> Flow[Passport]:
    """Wait until `request_id` is approved and return its proven passport.

    This asks about the request instead of listening to the events: an event goes to one worker of
    the site, which need not be the one where somebody waits. A LIME that is away for a moment is
    asked again.

    Raises:
        RequestExpiredError: nobody came.
        RequestDeniedError: the agent refused.
        LoginTimeoutError: `timeout` seconds are over; the request may still be approved.
        InvalidPassportError: LIME says approved, but its passport proves nothing.
        LimeError: LIME refused the question, or was still away at the end.
    """
    deadline = (yield Now()) + timeout
    while True:
        asked_at = yield Now()
        left = deadline - asked_at
        wait = int(max(0, min(MAX_WAIT, left - _MARGIN)))
        # LIME answers after `wait` at the latest: an answer that takes much longer is lost, and
        # there is time to ask again.
        patience = min(max(left, _MARGIN), wait + _LATENESS)
        outcome = yield from _ask(request_id, wait, patience)
        if isinstance(outcome, LoginRequestResult) and outcome.is_final:
            return (yield from _prove(outcome, verifier))
        now = yield Now()
        if now - asked_at < wait or wait == 0:
            asked_for = outcome.retry_after if isinstance(outcome, LimeError) else None
            yield Sleep(max(0.0, min(asked_for or _POLL_INTERVAL, deadline - now)))
        if (yield Now()) >= deadline:
            raise _too_late(outcome, timeout)


def _ask(request_id: str, wait: int, timeout: float) -> Flow[LoginRequestResult | LimeError]:
    """Return the request as it stands, or the error of a LIME that is away."""
    try:
        return (yield from get_login_request(request_id, wait=wait, timeout=timeout))
    except (TransportError, RateLimitError) as error:
        return error
    except ApiError as error:
        if error.http_status is not None and error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return error
        raise


def _prove(login: LoginRequestResult, verifier: Verifier) -> Flow[Passport]:
    if not login.is_approved:
        denied = login.status == "DENIED"
        kind = RequestDeniedError if denied else RequestExpiredError
        raise kind(f"login request {login.request_id}: {login.status}", code=login.status)
    if login.agent_passport_jwt is None:
        # Approved long ago: its passport is no longer given out.
        raise RequestExpiredError(f"login request {login.request_id}: too late", code="EXPIRED")
    return (yield from verifier.verify(login.agent_passport_jwt, login.request_id))


def _too_late(outcome: LoginRequestResult | LimeError, timeout: float) -> LimeError:
    if isinstance(outcome, LimeError):
        return outcome
    return LoginTimeoutError(f"nobody answered within {timeout:g} s", code="LOGIN_TIMEOUT")


def acknowledge(ids: list[str]) -> Flow[None]:
    """Tell LIME that these events were handled."""
    request = Request("POST", "/modules/agent-login/events/ack", json={"ids": ids}, idempotent=True)
    yield from call(request, lambda _: None, errors=ERRORS)


def create_binding_request(
    redirect_uri: str, state: str | None, code_verifier: str | None
) -> Flow[BindingRequestResult]:
    """Ask LIME for a binding.

    Raises:
        ValueError: `code_verifier` is not one (RFC 7636, section 4.1).
    """
    body = {"redirect_uri": redirect_uri}
    if state is not None:
        body["state"] = state
    if code_verifier is not None:
        body |= {"code_challenge": _challenge(code_verifier), "code_challenge_method": "S256"}
    # May be repeated: a request that nobody knows of hurts nobody and expires by itself.
    request = Request("POST", f"{_BINDINGS}/requests", json=body, idempotent=True)
    made = yield from call(request, as_model(_wire.BindingRequest), errors=ERRORS)
    return made.result()


def exchange_binding_code(
    code: str,
    expected_binding_id: str,
    state: str | None,
    code_verifier: str | None,
    verifier: Verifier,
) -> Flow[BindingPassport]:
    """Exchange a code and prove the passport that LIME gives for it."""
    # 1. Get ready for the proof: a failure after the exchange would cost the passport, and the code
    #    with it.
    yield from verifier.make_ready()
    # 2. LIME compares before it spends the code, so that a code in the wrong browser binds nothing.
    body = {"binding_code": code, "binding_id": expected_binding_id}
    if state is not None:
        body["state"] = state
    if code_verifier is not None:
        body["code_verifier"] = code_verifier
    request = Request(
        "POST",
        f"{_BINDINGS}/exchange",
        json=body,
        # The code works once: with the key, asking again for a lost answer gives that answer.
        headers={"idempotency-key": _key_of_exchange(body)},
        idempotent=True,
    )
    exchanged = yield from call(request, as_model(_wire.ExchangedBinding), errors=ERRORS)
    # 3. Prove it.
    return (yield from verifier.verify_binding(exchanged.passport, expected_binding_id))


def list_bindings(cursor: str | None, limit: int | None) -> Flow[BindingPage]:
    """Read a page of this site's bindings."""
    params = {} if cursor is None else {"cursor": cursor}
    if limit is not None:
        params["limit"] = str(limit)
    request = Request("GET", f"{_BINDINGS}/of-site", params=params)
    return (yield from call(request, as_model(_wire.SiteBindings), errors=ERRORS)).result()


def get_binding(binding_id: str) -> Flow[Binding]:
    """Read one of this site's bindings. Raises ValueError for what cannot be in a path."""
    request = Request("GET", f"{_BINDINGS}/of-site/{segment(binding_id)}")
    return (yield from call(request, as_model(_wire.SiteBinding), errors=ERRORS)).result()


def end_binding(binding_id: str) -> Flow[Binding]:
    """End one of this site's bindings. Raises ValueError for what cannot be in a path."""
    request = Request("DELETE", f"{_BINDINGS}/of-site/{segment(binding_id)}", idempotent=True)
    return (yield from call(request, as_model(_wire.SiteBinding), errors=ERRORS)).result()


def _key_of_exchange(body: dict[str, str]) -> str:
    """Return the `Idempotency-Key` of an exchange: the same whenever the same is asked.

    So the caller, too, may ask again for an answer that was lost. All of the body counts, because
    LIME refuses a key that comes again with another one. Nobody learns the code or the verifier
    from the digest: both are too long to be guessed.
    """
    asked = json.dumps(body, sort_keys=True)
    return hashlib.sha256(f"lime-sites binding exchange\n{asked}".encode()).hexdigest()


def _challenge(code_verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, section 4.2)."""
    if not _VERIFIER.fullmatch(code_verifier):
        raise ValueError("a code_verifier has 43 to 128 letters, digits, or any of -._~")
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
