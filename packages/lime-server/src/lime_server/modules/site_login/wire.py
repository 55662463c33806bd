"""What travels: strict in, complete out (protocol sections 3 and 5)."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from lime_server.core import patterns
from lime_server.foundation.sites import Site
from lime_server.modules.http import Id, Timestamp
from lime_server.modules.site_login.model import Event, KnownLogin, Login, State
from lime_server.modules.site_login.service import MAX_REDIRECT_URL

MAX_IDS = 1000
"""Events acknowledged at once: more than a stream carries between two heartbeats."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CreateBody(_Input):
    """What a site may say about the login it asks for."""

    redirect_url: Annotated[
        Annotated[
            str,
            Field(
                max_length=MAX_REDIRECT_URL,
                json_schema_extra={"pattern": patterns.REDIRECT_URL},
            ),
        ]
        | None,
        Field(
            description="Handed back with the event: where the site wants its user to go on. "
            "https, or http on loopback.",
        ),
    ] = None


class ApproveBody(_Input):
    """An agent's proof of work."""

    model_config = ConfigDict(json_schema_extra={"required": ["pow_nonce"]})

    # None here and required in the document: what is missing has an error of its own.
    pow_nonce: Annotated[
        str | None,
        WithJsonSchema(
            {
                "type": "string",
                "description": "Printable ASCII.",
                "minLength": 1,
                "maxLength": 64,
                "pattern": patterns.PRINTABLE,
            }
        ),
    ] = None


class DenyBody(_Input):
    """Nothing needs to be said to refuse."""


class AckBody(_Input):
    """Events that a site has handled."""

    ids: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Field(max_length=MAX_IDS, description="The `id:` of each frame, or the passport's `jti`."),
    ]


class CreatedLogin(BaseModel):
    """A login request, as its site learns of it."""

    login_request_id: Id
    site_id: Id
    status: State
    expires_at: Timestamp

    @classmethod
    def of(cls, login: Login) -> Self:
        """What the site is told about its new request."""
        return cls(
            login_request_id=login.request_id,
            site_id=login.site_id,
            status=login.state,
            expires_at=login.expires_at,
        )


class LoginStatus(CreatedLogin):
    """A login request, as its site sees it later."""

    redirect_url: str | None
    approved_agent_id: Id | None
    agent_passport_jwt: Annotated[
        str | None,
        Field(
            description="Only with `?wait=`, and only while the login is approved and can be used; "
            "made for this answer."
        ),
    ]

    @classmethod
    def now(cls, login: Login, passport: str | None) -> Self:
        """What the site is told about its request."""
        return cls(
            login_request_id=login.request_id,
            site_id=login.site_id,
            status=login.state,
            expires_at=login.expires_at,
            redirect_url=login.redirect_url,
            approved_agent_id=login.agent_id if login.is_approved else None,
            agent_passport_jwt=passport,
        )


class WhichSite(BaseModel):
    """For whom an agent would let itself in."""

    site_id: Id
    display_name: str
    domain: str | None
    domain_verified: bool

    @classmethod
    def of(cls, site: Site) -> Self:
        """What anyone may know about a site."""
        return cls(
            site_id=site.site_id,
            display_name=site.display_name,
            domain=site.domain,
            domain_verified=site.domain_verified,
        )


class Puzzle(BaseModel):
    """What an agent has to solve, and for whom."""

    pow_challenge: str
    pow_difficulty: Annotated[int, Field(description="Leading zero bits.")]
    pow_algorithm: Literal["sha256"]
    expires_at: Timestamp
    site: WhichSite

    @classmethod
    def of(cls, known: KnownLogin) -> Self:
        """The puzzle of a pending request."""
        return cls(
            pow_challenge=known.login.challenge,
            pow_difficulty=known.login.difficulty,
            pow_algorithm="sha256",
            expires_at=known.login.expires_at,
            site=WhichSite.of(known.site),
        )


class Decision(BaseModel):
    """A login request, as the agent that decided it sees it."""

    request_id: Id
    site_id: Id
    status: State
    expires_at: Timestamp
    approved_agent_id: Id | None

    @classmethod
    def of(cls, login: Login) -> Self:
        """What the agent is told about what it decided."""
        return cls(
            request_id=login.request_id,
            site_id=login.site_id,
            status=login.state,
            expires_at=login.expires_at,
            approved_agent_id=login.agent_id if login.is_approved else None,
        )


class Acknowledged(BaseModel):
    """Nothing: to say which ids were known would tell one site about another's."""


# Frames: one data line each, ended by LF; clients in the wild read no other form.


def _frame_schema(kind: str, **fields: str) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": text} for name, text in fields.items()}
    required = [name for name in fields if name != "redirect_url"]
    return {
        "type": "object",
        "required": ["type", *required],
        "properties": {"type": {"const": kind}, **properties},
    }


_WHICH = "The login request, which is also the frame's id."
FRAME_SCHEMA = {
    "oneOf": [
        _frame_schema(
            "approved",
            login_request_id=_WHICH,
            agent_passport_jwt="Made for this frame; verify it.",
            redirect_url="The one that the request was made with.",
        ),
        _frame_schema("denied", login_request_id=_WHICH),
        _frame_schema("expired", login_request_id=_WHICH),
        _frame_schema("keepalive"),
        _frame_schema("error", code="UPPER_SNAKE.", message="For a human."),
        _frame_schema("goaway"),
        _frame_schema("test"),
    ]
}
"""What a frame's `data` holds, for OpenAPI."""


_JSON = json.JSONEncoder(separators=(",", ":"))


def _frame(event_id: str | None, data: dict[str, object]) -> bytes:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}data: {_JSON.encode(data)}\n\n".encode()


KEEPALIVE = _frame(None, {"type": "keepalive"})
GOAWAY = _frame(None, {"type": "goaway"})
TEST = _frame(None, {"type": "test"})
"""Asked for by the site's owner. Clients ignore it; it stands for no login and is not acknowledged.
"""


def error_frame(code: str, message: str) -> bytes:
    """Why the stream is about to end."""
    return _frame(None, {"type": "error", "code": code, "message": message})


def event_frame(event: Event, passport: str | None) -> bytes:
    """What became of a login request; `passport` goes with an approval and nothing else."""
    data: dict[str, object] = {"type": event.kind.value, "login_request_id": event.request_id}
    if passport is not None:
        data["agent_passport_jwt"] = passport
        if event.redirect_url is not None:
            data["redirect_url"] = event.redirect_url
    return _frame(event.event_id, data)
