"""What travels to and from the token, revocation and introspection endpoints, and agents' keys."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lime_server.modules.mcp_oauth.access_tokens import AccessToken
from lime_server.modules.mcp_oauth.agent_keys import MAX_KEYS
from lime_server.modules.mcp_oauth.client_authentication import Credentials, credentials_of
from lime_server.modules.mcp_oauth.errors import InvalidRequest, InvalidTarget
from lime_server.modules.mcp_oauth.model import Jwk
from lime_server.modules.mcp_oauth.token import Issued

MAX_PARAMETERS = 64
"""Parameters of a form: the longest request of any standard has a dozen."""
MAX_TOKEN = 16384
"""Characters of a token that somebody asks about (protocol section 6)."""
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def kind_of(request: Request) -> str:
    """The media type of the request's body, without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def form_of(request: Request) -> dict[str, str]:
    """The parameters of a form request.

    One that has no value was not sent, and none may come twice (RFC 6749, section 3.2). Raises
    InvalidRequest, and InvalidTarget for several resources: one token is for one server.
    """
    if kind_of(request) != FORM:
        raise InvalidRequest(f"Send {FORM}.")
    return parameters_of(await request.body())


def parameters_of(body: bytes) -> dict[str, str]:
    """The same, of a body or a query."""
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise InvalidRequest("The parameters cannot be read.") from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            if name == "resource":
                raise InvalidTarget("Send one resource: a token is for one server.")
            raise InvalidRequest("A parameter was sent twice.")
        parameters[name] = value
    return {name: value for name, value in parameters.items() if value}


async def domain_of(request: Request) -> str:
    """The `domain` of a request in the short form, not checked yet (protocol section 8)."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(body, dict) or body.keys() != {"domain"}:
        raise InvalidRequest("The body is an object with domain, a host name, and nothing else.")
    if not isinstance(body["domain"], str):
        raise InvalidRequest("domain is text.")
    return body["domain"]


def credentials_in(request: Request, parameters: Mapping[str, str]) -> Credentials:
    """Who sends the request, not checked yet. Raises InvalidRequest or InvalidClient."""
    lines = request.headers.getlist("authorization")
    if len(lines) > 1:
        raise InvalidRequest("Send one Authorization header.")
    return credentials_of(lines[0] if lines else None, parameters)


def token_in(parameters: Mapping[str, str]) -> str:
    """The `token` that a request is about, not checked yet. Raises InvalidRequest."""
    token = parameters.get("token")
    if token is None or len(token) > MAX_TOKEN:
        raise InvalidRequest(f"Send token, of at most {MAX_TOKEN} characters.")
    return token


def short_answer(token: AccessToken) -> Response:
    """Exactly three members, which clients in the wild insist on (protocol section 8)."""
    return plain(_facts(token))


def token_answer(issued: Issued) -> Response:
    """RFC 6749, section 5.1. The scope is always said: it may be less than was asked for."""
    facts: dict[str, object] = _facts(issued.token) | {"scope": issued.scope}
    if issued.refresh_token is not None:
        facts["refresh_token"] = issued.refresh_token
    return plain(facts)


def _facts(token: AccessToken) -> dict[str, object]:
    return {
        "access_token": token.text,
        "token_type": "Bearer",
        "expires_in": token.expires_in,
    }


def plain(document: Mapping[str, object]) -> Response:
    """A document of OAuth's own form, without envelope, that no cache keeps."""
    body = json.dumps(dict(document), separators=(",", ":")).encode()
    return Response(body, 200, {"Cache-Control": "no-store"}, media_type=JSON)


class KeysBody(BaseModel):
    """All keys that an agent is to have."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: Annotated[
        list[dict[str, Any]],
        Field(
            max_length=MAX_KEYS,
            description="Public keys (RFC 7517): RSA of 2048 to 4096 bits, EC on P-256 or P-384, "
            "or OKP with Ed25519. `kid` may be left out.",
        ),
    ]


class AgentKeyList(BaseModel):
    """The keys that an agent has."""

    keys: Annotated[
        list[dict[str, Any]],
        Field(description="Public keys, each with its `kid`: the RFC 7638 thumbprint unless given"),
    ]

    @classmethod
    def of(cls, jwks: tuple[Jwk, ...]) -> Self:
        """As they are kept."""
        return cls(keys=[dict(jwk) for jwk in jwks])
