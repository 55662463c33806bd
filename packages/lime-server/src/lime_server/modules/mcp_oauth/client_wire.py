"""What travels to and from registration, the authorization endpoint, consent and grants."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Annotated, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lime_server.modules.http import Timestamp
from lime_server.modules.mcp_oauth.authorization import PARAMETERS, Misdirected, Parameters
from lime_server.modules.mcp_oauth.consent import Question
from lime_server.modules.mcp_oauth.errors import InvalidClientMetadata
from lime_server.modules.mcp_oauth.grants import KnownGrant
from lime_server.modules.mcp_oauth.model import ClientKind
from lime_server.modules.mcp_oauth.redirects import RedirectKind
from lime_server.modules.mcp_oauth.token_wire import FORM, JSON, MAX_PARAMETERS, kind_of

MAX_VALUE = 2048
"""Characters of a parameter in a consent's body: none of those that can be valid is longer."""
MAX_TEXT = 512
"""Characters of an id; none of ours comes near it."""
_NO_STORE = {"Cache-Control": "no-store"}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>LIME</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>This request for access cannot be used</h1><p>{message}</p>
<p>Nothing was allowed, and no agent of yours is concerned. Go back to the program that sent you
here and try again; if this page returns, its developer can tell from the sentence above what to
change.</p></main></body></html>"""
_PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


async def registration_in(request: Request) -> bytes:
    """The body of a registration. Raises InvalidClientMetadata unless it says that it is JSON."""
    if kind_of(request) != JSON:
        raise InvalidClientMetadata(f"Send {JSON}.")
    return await request.body()


def registered(facts: Mapping[str, object]) -> Response:
    """RFC 7591, section 3.2.1: without envelope, and for no cache."""
    body = json.dumps(dict(facts), separators=(",", ":")).encode()
    return Response(body, 201, _NO_STORE, media_type=JSON)


async def parameters_in(request: Request) -> Parameters:
    """The parameters of an authorization request: of its query, or its form.

    Raises Misdirected for what cannot be read.
    """
    if request.method == "GET":
        return parameters_of(request.scope["query_string"])
    if kind_of(request) != FORM:
        raise Misdirected("The request is not a form.")
    return parameters_of(await request.body())


def parameters_of(encoded: bytes) -> Parameters:
    """The same, of the bytes of either."""
    try:
        pairs = parse_qsl(
            encoded.decode(),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise Misdirected("The request's parameters cannot be read.") from None
    return _gathered(pairs)


def consent_page(public_url: str, parameters: Parameters) -> Response:
    """To the page that asks the owner, with what was asked."""
    pairs = [(name, value) for name, values in parameters.items() for value in values]
    return redirect(f"{public_url}/consent/?{urlencode(pairs)}")


def redirect(location: str) -> Response:
    """303: whatever was posted is not posted again (RFC 9700, section 4.12)."""
    return Response(status_code=303, headers=_NO_STORE | {"Location": location})


def refusal_page(message: str, *, status: int = 400, retry_after: int | None = None) -> Response:
    """A page of our own, for what must not be answered by a redirect."""
    headers = _NO_STORE | {"Content-Security-Policy": _PAGE_POLICY}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    page = _PAGE.format(message=escape(message))
    return Response(page, status, headers, media_type="text/html")


_REQUIRED = frozenset(
    {"response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method"}
)
QUERY = [
    {
        "name": name,
        "in": "query",
        "required": name in _REQUIRED,
        "description": "As in the authorization request.",
        "schema": {"type": "string"},
    }
    for name in PARAMETERS
]
"""How the OpenAPI document describes an authorization request. Its route reads the query itself,
because it has to notice what came twice."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Asked(_Input):
    request: Annotated[
        dict[
            Annotated[str, Field(max_length=MAX_TEXT)], Annotated[str, Field(max_length=MAX_VALUE)]
        ],
        Field(
            max_length=MAX_PARAMETERS,
            description="The parameters of the authorization request, as its query has them.",
        ),
    ]

    def parameters(self) -> Parameters:
        """The same, for the service."""
        return _gathered(list(self.request.items()))


class ApproveConsentBody(_Asked):
    """Which agent the owner picked for which request."""

    agent_id: Annotated[str, Field(max_length=MAX_TEXT)]


class RefuseConsentBody(_Asked):
    """Which request the owner refused."""


class ConsentAnswered(BaseModel):
    """Where the browser goes now."""

    redirect_to: str


class ConsentScope(BaseModel):
    """Something that the client may do."""

    scope: str
    meaning: str


_MEANINGS = {"mcp": "Use the tools of this server as your agent."}
_OTHERWISE = "What the server understands by this name."


class ConsentClient(BaseModel):
    """Who asks."""

    client_id: str
    name: Annotated[str, Field(description="What it calls itself; proven by nobody.")]
    kind: Annotated[
        ClientKind,
        Field(description="`registered` by itself, anonymously; or with a `document` at a URL."),
    ]
    host: Annotated[
        str | None, Field(description="Who publishes its document; null for a registered one.")
    ]

    @classmethod
    def of(cls, client_id: str, name: str) -> Self:
        """A client that is not an agent."""
        host = _document_host(client_id)
        kind = ClientKind.REGISTERED if host is None else ClientKind.DOCUMENT
        return cls(client_id=client_id, name=name, kind=kind, host=host)


class AskingClient(ConsentClient):
    """The same, at the moment of asking."""

    document_url: str | None


class ConsentQuestion(BaseModel):
    """What an owner is asked."""

    client: AskingClient
    redirect_host: Annotated[str, Field(description="Where the browser will be sent afterwards.")]
    loopback: Annotated[
        bool,
        Field(description="Whether that is a program on the owner's machine: any of them."),
    ]
    resource: Annotated[str | None, Field(description="The server that tokens will be for.")]
    resource_host: str | None
    scopes: list[ConsentScope]
    remembered_agent_id: Annotated[
        str | None, Field(description="Whom the owner picked last time, if that still stands.")
    ]
    expires_in: Annotated[
        int, Field(description="Seconds after which the client has to ask again, at the latest.")
    ]

    @classmethod
    def of(cls, question: Question, expires_in: int) -> Self:
        """What the page shows."""
        request = question.request
        client, resource = request.client, request.resource
        remembered = question.remembered
        known = ConsentClient.of(client.client_id, client.name)
        return cls(
            client=AskingClient(
                **known.model_dump(),
                document_url=client.client_id if client.kind is ClientKind.DOCUMENT else None,
            ),
            redirect_host=request.redirect_uri.host,
            loopback=request.redirect_uri.kind is RedirectKind.LOOPBACK,
            resource=None if resource is None else resource.text,
            resource_host=None if resource is None else resource.host,
            scopes=[
                ConsentScope(scope=scope, meaning=_MEANINGS.get(scope, _OTHERWISE))
                for scope in request.scopes
            ],
            remembered_agent_id=None if remembered is None else remembered.agent_id,
            expires_in=expires_in,
        )


class GrantedAgent(BaseModel):
    """Whose name it acts in."""

    agent_id: str
    display_name: Annotated[str | None, Field(description="Null once the agent was deleted.")]


class OwnersGrant(BaseModel):
    """A consent that stands, as its owner sees it."""

    grant_id: str
    client: ConsentClient
    agent: GrantedAgent
    redirect_host: str
    resource: Annotated[
        str | None, Field(description="The server it is for; null if the client chooses.")
    ]
    scopes: list[str]
    created_at: Timestamp
    last_used_at: Timestamp | None

    @classmethod
    def of(cls, known: KnownGrant) -> Self:
        """One line of the list."""
        grant = known.grant
        return cls(
            grant_id=grant.grant_id,
            client=ConsentClient.of(grant.client_id, grant.client_name),
            agent=GrantedAgent(
                agent_id=grant.agent_id,
                display_name=None if known.agent is None else known.agent.display_name,
            ),
            redirect_host=grant.redirect_host,
            resource=grant.resource,
            scopes=list(grant.scopes),
            created_at=grant.created_at,
            last_used_at=grant.last_used_at,
        )


class GrantRevoked(BaseModel):
    """Nothing is left to say."""


def _gathered(pairs: Sequence[tuple[str, str]]) -> Parameters:
    """What we read of a request. A parameter without a value was not sent (section 3.1)."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if value and name in PARAMETERS:
            found.setdefault(name, []).append(value)
    return found


def _document_host(client_id: str) -> str | None:
    """Host, and port if it has one, of a client id that is a URL; those of ours have no colon."""
    return urlsplit(client_id).netloc if ":" in client_id else None
