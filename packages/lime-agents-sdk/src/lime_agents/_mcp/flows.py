"""What an agent asks LIME for MCP (protocol section 8), written once. No I/O happens here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lime_agents._errors import AGENT_ERRORS, OAuthCapabilityError
from lime_sdk_core import (
    ApiError,
    AuthenticationError,
    Flow,
    LimeError,
    Problem,
    RateLimitError,
    Reply,
    Request,
    as_model,
    call_document,
)
from lime_sdk_core._late import Late
from lime_sdk_core.envelope import check_status, readable, request_id

if TYPE_CHECKING:
    from lime_agents._mcp import wire
else:
    wire = Late("lime_agents._mcp.wire")

_OAUTH = "/modules/oauth"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token is for: a host name (the short form), or a resource (RFC 8707)."""

    domain: str | None = None
    resource: str | None = None


def short_token(domain: str) -> Flow[wire.TokenAnswer]:
    """Ask for a token in the short form, by the agent's token and a host name."""
    # Repeating it is safe: another token does not end the first.
    body = {"domain": domain}
    reply: Reply = yield Request("POST", f"{_OAUTH}/token", json=body, idempotent=True)
    return _token(reply)


def resource_token(agent_id: str, resource: str) -> Flow[wire.TokenAnswer]:
    """Ask for a token for `resource`, as the confidential client that an agent is."""
    form = {"grant_type": "client_credentials", "resource": resource}
    request = Request("POST", f"{_OAUTH}/token", form=form, basic_user=agent_id, idempotent=True)
    reply: Reply = yield request
    return _token(reply)


def issuer() -> Flow[str]:
    """Ask LIME for its name as an authorization server."""
    request = Request(
        "GET", f"{_OAUTH}/.well-known/oauth-authorization-server", authenticated=False
    )
    reply = yield from call_document(request, errors=AGENT_ERRORS)
    return as_model(wire.ServerMetadata)(_object(reply.body)).issuer


def _token(reply: Reply) -> wire.TokenAnswer:
    """Return the token in `reply`, or raise what stands there instead."""
    said = _object(reply.body)
    if reply.status != 200 and isinstance(said, dict) and isinstance(said.get("error"), str):
        raise _refusal(reply, said)
    check_status(reply, AGENT_ERRORS)
    return as_model(wire.TokenAnswer)(said)


def _refusal(reply: Reply, said: dict[str, Any]) -> LimeError:
    """RFC 6749, section 5.2. The names of the classes are those of earlier versions."""
    code, description = readable(said["error"]), said.get("error_description")
    problem = Problem(
        http_status=reply.status,
        code=code,
        message=readable(description) if isinstance(description, str) and description else code,
        request_id=request_id(reply.headers),
        retry_after=reply.retry_after,
    )
    if reply.status == 401 or code == "invalid_client":
        return AuthenticationError.from_problem(problem)
    if reply.status == 429:
        return RateLimitError.from_problem(problem)
    if code == "access_denied":
        return OAuthCapabilityError.from_problem(problem)
    return ApiError.from_problem(problem)


def _object(body: bytes) -> object:
    """Return the JSON in `body`, or `None`: whoever reads it says what is missing."""
    try:
        return json.loads(body.decode())
    # A hostile body nests deeper than the parser can follow.
    except (ValueError, RecursionError):
        return None
