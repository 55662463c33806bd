"""The authorization request (OAuth 2.1, section 4.1.1): who asks for what, and may they ask?

Nothing is kept between the steps of a consent. Each of them reads the whole request again: the
page that carries it is in the hands of whoever holds the browser.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from lime_server.modules.mcp_oauth.clients import Clients
from lime_server.modules.mcp_oauth.errors import InvalidClient, InvalidTarget, OAuthError
from lime_server.modules.mcp_oauth.model import Client
from lime_server.modules.mcp_oauth.redirects import RedirectUri, find_redirect, going_back
from lime_server.modules.mcp_oauth.resources import Resource, parse_resource
from lime_server.modules.mcp_oauth.scopes import narrowed, parse_scope

MAX_STATE = 2048
"""Characters of a client's `state`: a signed cookie's worth, which still fits into a URL."""
MAX_TOGETHER = 2560
"""Characters of `client_id` and `resource` together: a grant is found by both, and PostgreSQL
indexes no more than 2704 bytes at once, of which two UUIDs and a few lengths take some."""
PARAMETERS = (
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "resource",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "request",
    "request_uri",
)
"""What is read of a request; all else is ignored (OAuth 2.1, section 3.1)."""
_STATE = re.compile(rf"[\x20-\x7e]{{1,{MAX_STATE}}}")  # RFC 6749, appendix A.5
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7636, section 4.2)

Parameters = Mapping[str, Sequence[str]]
"""The values of each parameter that was sent, none of them empty."""


class Misdirected(Exception):  # noqa: N818 - it says what happened
    """A request that must not be answered by a redirect: nobody knows whose that would be.

    The message is for the person in front of the browser (OAuth 2.1, section 4.1.2.1).
    """


class GoesBack(Exception):  # noqa: N818 - it says what happens
    """A request that its client is told the fault of, by a redirect."""

    def __init__(self, error: str, description: str, redirect_to: str) -> None:
        """`error` as in OAuth 2.1, section 4.1.2.1; `redirect_to` says the same."""
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.redirect_to = redirect_to


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that an owner may be asked about."""

    client: Client
    redirect_uri: RedirectUri
    state: str | None = field(repr=False)
    code_challenge: str = field(repr=False)
    resource: Resource | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRules:
    """What the operator chose."""

    issuer: str
    scopes: tuple[str, ...]
    """All there are."""
    private_too: bool
    """Whether there are tokens for names that only a private network, or this machine, knows."""
    private_schemes: bool
    """Whether apps may be redirected to by schemes of their own."""


class Authorization:
    """Reads authorization requests, and makes the answers that a browser carries."""

    def __init__(self, clients: Clients, rules: AuthorizationRules) -> None:
        """Put the parts together; nothing happens yet."""
        self._clients = clients
        self._rules = rules

    async def read(self, parameters: Parameters) -> AuthorizationRequest:
        """The request that `parameters` are. Raises Misdirected, GoesBack or RateLimited."""
        # 1. Who asks? (Section 4.1.2.1: until client and redirect URI are known to belong
        #    together, nothing is sent anywhere.)
        client = await self._client(_only(parameters, "client_id"))
        # 2. Is that where its answers go?
        asked = _only(parameters, "redirect_uri")
        redirect_uri = find_redirect(
            client.redirect_uris, asked, private_schemes=self._rules.private_schemes
        )
        if redirect_uri is None:
            raise Misdirected("redirect_uri is not one that this client registered.")
        # 3. From here on the client learns what is wrong, and nobody else.
        refuse = _Refusals(redirect_uri.text, self._rules.issuer, parameters)
        state = refuse.state()
        refuse.repeated()
        _check_kind(parameters, refuse)
        # 4. PKCE, always, and never in clear (section 7.5.1).
        challenge = _challenge(parameters, refuse)
        # 5. For which server, and for what?
        resource = self._resource(client, parameters, refuse)
        scopes = parse_scope(_value(parameters, "scope") or "")
        if scopes is None:
            refuse("invalid_scope", "scope is not a list of scopes.")
        return AuthorizationRequest(
            client=client,
            redirect_uri=redirect_uri,
            state=state,
            code_challenge=challenge,
            resource=resource,
            scopes=narrowed(scopes, self._rules.scopes),
        )

    def answer(self, request: AuthorizationRequest, **facts: str) -> str:
        """Where the browser takes `facts`, with `state` and `iss` (RFC 9207, section 2)."""
        return going_back(
            request.redirect_uri.text, **facts, state=request.state, iss=self._rules.issuer
        )

    async def _client(self, unverified_id: str) -> Client:
        try:
            return await self._clients.look(unverified_id)
        except InvalidClient as error:
            raise Misdirected(error.message) from None

    def _resource(
        self, client: Client, parameters: Parameters, refuse: "_Refusals"
    ) -> Resource | None:
        text = _value(parameters, "resource")
        if text is None:
            return None
        if len(client.client_id) + len(text) > MAX_TOGETHER:
            refuse(
                InvalidTarget.code,
                f"resource and client_id have at most {MAX_TOGETHER} characters together.",
            )
        try:
            return parse_resource(text, private_too=self._rules.private_too)
        except InvalidTarget as error:
            refuse(error.code, error.message)


class _Refusals:
    """Refuses by redirect; made once it is known where to."""

    def __init__(self, redirect_uri: str, issuer: str, parameters: Parameters) -> None:
        self._redirect_uri = redirect_uri
        self._issuer = issuer
        self._parameters = parameters
        # The first one, if it is one: a client that sent several gets none.
        states = parameters.get("state", ())
        self._state = states[0] if len(states) == 1 and _STATE.fullmatch(states[0]) else None

    def __call__(self, error: str, description: str) -> NoReturn:
        """Raise GoesBack, with `state` and `iss`."""
        redirect_to = going_back(
            self._redirect_uri,
            error=error,
            error_description=description,
            state=self._state,
            iss=self._issuer,
        )
        raise GoesBack(error, description, redirect_to)

    def state(self) -> str | None:
        """The client's `state`, if it sent one."""
        if self._state is None and "state" in self._parameters:
            self(
                "invalid_request",
                f"state is one text of at most {MAX_STATE} printable ASCII characters.",
            )
        return self._state

    def repeated(self) -> None:
        """Return unless a parameter came twice (section 3.1)."""
        for name in PARAMETERS:
            if len(self._parameters.get(name, ())) > 1:
                if name == "resource":
                    self(InvalidTarget.code, "Send one resource: a token is for one server.")
                self(OAuthError.code, f"{name} was sent twice.")


def _check_kind(parameters: Parameters, refuse: _Refusals) -> None:
    """Return if the request is of the kind that there is here."""
    for name in ("request", "request_uri"):
        if name in parameters:
            # RFC 9101, section 6.3, and OpenID Connect's names for it.
            refuse(f"{name}_not_supported", "Send the parameters themselves.")
    if (response_type := _value(parameters, "response_type")) is None:
        refuse("invalid_request", "Send response_type=code.")
    if response_type != "code":
        refuse("unsupported_response_type", "response_type is code.")
    if _value(parameters, "response_mode") not in {None, "query"}:
        refuse("invalid_request", "response_mode is query.")
    if _value(parameters, "prompt") == "none":
        # Whoever holds the browser is always asked: a public client cannot prove that it is the
        # one that was allowed before (RFC 8252, section 8.6).
        refuse("interaction_required", "The owner is always asked.")


def _challenge(parameters: Parameters, refuse: _Refusals) -> str:
    challenge = _value(parameters, "code_challenge")
    if challenge is None:
        refuse("invalid_request", "Send code_challenge: PKCE is required.")
    if _value(parameters, "code_challenge_method") != "S256":
        # Absent means plain (RFC 7636, section 4.3).
        refuse("invalid_request", "code_challenge_method is S256.")
    if not _CHALLENGE.fullmatch(challenge):
        refuse("invalid_request", "code_challenge is SHA-256 in base64url, 43 characters.")
    return challenge


def _only(parameters: Parameters, name: str) -> str:
    """A parameter without which there is nowhere to go. Raises Misdirected."""
    values = parameters.get(name, ())
    if len(values) != 1:
        raise Misdirected(f"The request does not hold one {name}.")
    return values[0]


def _value(parameters: Parameters, name: str) -> str | None:
    values = parameters.get(name)
    return values[0] if values else None
