"""What an agent says to LIME, written once for both clients. No I/O happens here."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from lime_agents._errors import AGENT_ERRORS, InvalidRequestIdError, LoginRefusedError
from lime_agents._pow import PowLimits, solve
from lime_agents._types import AgentProfile, ApprovalResult, LoginSite
from lime_sdk_core import Callback, Flow, LimeError, Request, as_model, call
from lime_sdk_core._late import Late

if TYPE_CHECKING:
    from lime_agents import _wire
else:
    _wire = Late("lime_agents._wire")

#: Decides by site whether the agent logs in. Whatever is not true refuses.
Allow: TypeAlias = Callable[[LoginSite], bool]

#: The same for `LimeAgent`, where it may be async.
AsyncAllow: TypeAlias = Callable[[LoginSite], bool | Awaitable[bool]]

# The wire says UUID; other opaque words are let through for LIME to judge. None of these characters
# means anything in a URL, so an id stays one path segment, whatever a proxy does on the way.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def login(
    request_id: str, *, limits: PowLimits, allow: AsyncAllow | None, deny_key: str | None
) -> Flow[ApprovalResult]:
    """Approve a site's login request.

    `deny_key` is the idempotency key for denying what `allow` refuses; `None` leaves it alone.
    """
    # 1. The id comes from a site: nothing is sent until it cannot mean anything else.
    path = _path(request_id)
    # 2. Read the puzzle. No credential: reading it must not tell who is about to log in.
    question = Request("GET", f"/auth/requests/{path}", authenticated=False)
    challenge = yield from call(question, as_model(_wire.Challenge), errors=AGENT_ERRORS)
    # 3. Decide before any work.
    if allow is not None:
        yield from _admit(path, challenge, allow, deny_key)
    # 4. Work.
    nonce = yield from solve(challenge.pow_challenge, challenge.pow_difficulty, limits)
    # 5. Approve. Repeating it is safe: the agent that has approved gets the same answer again.
    answer = Request(
        "POST",
        f"/modules/agent-login/requests/{path}/approve",
        json={"pow_nonce": nonce},
        idempotent=True,
    )
    approval = yield from call(answer, as_model(_wire.Approval), errors=AGENT_ERRORS)
    return approval.public()


def deny(request_id: str, *, key: str) -> Flow[None]:
    """Deny a site's login request. `key` is the idempotency key that makes a repetition safe."""
    request = Request(
        "POST",
        f"/modules/agent-login/requests/{_path(request_id)}/deny",
        json={},
        headers={"idempotency-key": key},
        idempotent=True,
    )
    yield from call(request, as_model(_wire.Denial), errors=AGENT_ERRORS)


def profile() -> Flow[AgentProfile]:
    """Ask who this agent is."""
    request = Request("GET", "/core/agents/me/profile")
    found = yield from call(request, as_model(_wire.Profile), errors=AGENT_ERRORS)
    return found.public()


def _admit(
    path: str, challenge: _wire.Challenge, allow: AsyncAllow, deny_key: str | None
) -> Flow[None]:
    """Raise `LoginRefusedError` unless `allow` lets the site in."""
    site = challenge.site.public() if challenge.site is not None else None
    # Without a name there is nothing to decide by, and the caller did ask to decide.
    if site is not None and (yield Callback(allow, (site,))):
        return
    denied = False
    if deny_key is not None:
        denied = yield from _try_to_deny(path, deny_key)
    # A site chooses its own name: bounded, and without control characters.
    who = f"{site.display_name[:80]!r}" if site is not None else "a site that LIME does not name"
    raise LoginRefusedError(f"This agent does not log in to {who}.", site=site, denied=denied)


def _try_to_deny(path: str, key: str) -> Flow[bool]:
    """Deny, and say whether that worked: the refusal stands either way."""
    try:
        yield from deny(path, key=key)
    except LimeError:
        return False
    return True


def _path(request_id: str) -> str:
    # White space comes from queues and files. Only ASCII's: the rest is somebody being clever.
    found = request_id.strip(" \t\r\n")
    if not _REQUEST_ID.fullmatch(found):
        # Not repeated in the message: it may be 10 kB of terminal escapes.
        raise InvalidRequestIdError("A login request id is 1 to 128 letters, digits, - and _.")
    return found
