"""How a client proves who it is at the token endpoint (OAuth 2.1, section 2.4; RFC 7523)."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import getLogger
from urllib.parse import unquote_plus

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.errors import Forbidden, Unauthenticated
from lime_server.core.origin import current_origin
from lime_server.core.ports import Limit, RateLimiter, TokenHash
from lime_server.core.tokens import Token, TokenKind
from lime_server.modules.mcp_oauth.errors import AccessDenied, InvalidClient, InvalidRequest
from lime_server.modules.mcp_oauth.model import AuthMethod, Client, ClientKind, GrantType, Jwk
from lime_server.modules.mcp_oauth.ports import (
    AgentKeys,
    Agents,
    AssertionRefused,
    Assertions,
    ClientFinder,
    SpentAssertions,
)

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, section 2.2
MAX_CLIENT_ID = 2048
"""Characters of a client id: it may be a URL, and this is what every proxy takes as one."""
_SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})

log = getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What came with a request to say who sends it; nothing is checked yet."""

    method: AuthMethod
    client_id: str | None
    """None where only the assertion says it."""
    secret: str = field(default="", repr=False)
    assertion: str = field(default="", repr=False)

    @property
    def basic(self) -> bool:
        """Whether HTTP Basic was used: a refusal then names it (RFC 6749, section 5.2)."""
        return self.method is AuthMethod.CLIENT_SECRET_BASIC


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that proved to be itself; or said who it is, if it is a public one."""

    client: Client
    agent: Agent | None = None
    """Which agent it is, if it is one."""


def credentials_of(authorization: str | None, parameters: Mapping[str, str]) -> Credentials:
    """The credentials in a request.

    Raises InvalidRequest for more than one kind (OAuth 2.1, section 2.4), and InvalidClient for
    none that we know.
    """
    # 1. Which of them are there? Exactly one may be.
    assertion = parameters.get("client_assertion")
    secret = parameters.get("client_secret")
    if sum(one is not None for one in (authorization, assertion, secret)) > 1:
        raise InvalidRequest("Send the client's credentials in one way only.")
    client_id = parameters.get("client_id")
    if client_id is not None and len(client_id) > MAX_CLIENT_ID:
        raise InvalidClient
    # 2. Read that one.
    if authorization is not None:
        return _basic(authorization, client_id)
    if assertion is not None:
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequest(f"client_assertion_type is {ASSERTION_TYPE}.")
        return Credentials(
            method=AuthMethod.PRIVATE_KEY_JWT, client_id=client_id, assertion=assertion
        )
    if client_id is None:
        raise InvalidClient("Send client_id, and the credentials of a confidential client.")
    if secret is not None:
        return Credentials(method=AuthMethod.CLIENT_SECRET_POST, client_id=client_id, secret=secret)
    return Credentials(method=AuthMethod.NONE, client_id=client_id)


def _basic(authorization: str, client_id: str | None) -> Credentials:
    """RFC 7617, with both parts form-encoded, or not (RFC 6749, section 2.3.1).

    Clients disagree on the encoding; ids and secrets of ours read the same either way.
    """
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidClient(basic=True) from None
    user, colon, secret = text.partition(":")
    user = unquote_plus(user)
    if scheme.lower() != "basic" or not colon or len(user) > MAX_CLIENT_ID:
        raise InvalidClient(basic=True)
    if client_id is not None and client_id != user:
        raise InvalidRequest("client_id is another one than in the Authorization header.")
    return Credentials(
        method=AuthMethod.CLIENT_SECRET_BASIC, client_id=user, secret=unquote_plus(secret)
    )


class ClientAuthentication:
    """Recognises clients: those that were registered, those with a document, and our agents."""

    def __init__(
        self,
        *,
        clients: ClientFinder,
        agents: Agents,
        keys: AgentKeys,
        assertions: Assertions,
        spent: SpentAssertions,
        tokens: TokenHash,
        limiter: RateLimiter,
        limit: Limit | None,
        clock: Clock,
        audiences: tuple[str, ...],
    ) -> None:
        """`audiences` are what an assertion may be for; `limit` is that of each client."""
        self._clients = clients
        self._agents = agents
        self._keys = keys
        self._assertions = assertions
        self._spent = spent
        self._tokens = tokens
        self._limiter = limiter
        self._limit = limit
        self._clock = clock
        self._audiences = audiences

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The client that sent `credentials`.

        Raises InvalidClient whatever is wrong, and the log says what; AccessDenied for an agent
        that proved to be itself and is switched off; RateLimited.
        """
        # 1. Who says it is there? An assertion says so itself.
        try:
            client_id = self._claimed(credentials)
        except AssertionRefused as error:
            raise _refused(credentials, str(error)) from None
        # 2. Not too often. With the address: one public client is used by thousands of people.
        if self._limit is not None:
            name = self._tokens.hash(f"oauth-client\n{client_id}\n{current_origin().address}")
            await self._limiter.take(f"oauth-client:{name[:16].hex()}", self._limit)
        # 3. Do we know it?
        if (agent := await self._agents.find(client_id)) is not None:
            return await self._agent(credentials, agent)
        client = await self._clients.find(client_id)
        if client is None:
            raise _refused(credentials, "no such client")
        # 4. Does it prove itself in the way that was agreed?
        await self._prove(credentials, client)
        return Caller(client)

    def _claimed(self, credentials: Credentials) -> str:
        if credentials.method is not AuthMethod.PRIVATE_KEY_JWT:
            return str(credentials.client_id)
        subject = self._assertions.unverified_subject(credentials.assertion)
        if credentials.client_id not in {None, subject}:
            raise AssertionRefused("client_id is not the assertion's subject")
        return subject[:MAX_CLIENT_ID]

    async def _agent(self, credentials: Credentials, agent: Agent) -> Caller:
        """An agent is a confidential client: its secret is its token, or a key of its own."""
        if credentials.method is AuthMethod.PRIVATE_KEY_JWT:
            keys = await self._keys.of(agent.agent_id)
            await self._check_assertion(credentials, agent.agent_id, keys)
        elif credentials.method in _SECRET_METHODS:
            try:
                holder = await self._agents.authenticate(credentials.secret)
            except Unauthenticated as error:
                raise _refused(credentials, error.code) from None
            except Forbidden as error:
                raise AccessDenied(error.message) from None
            if holder.agent_id != agent.agent_id:
                raise _refused(credentials, "another agent's token")
        else:
            raise _refused(credentials, "an agent without its credential")
        return Caller(agent_client(agent, credentials.method), agent)

    async def _prove(self, credentials: Credentials, client: Client) -> None:
        if client.auth_method is AuthMethod.PRIVATE_KEY_JWT:
            if credentials.method is not client.auth_method:
                raise _refused(credentials, "no assertion from a client that has keys")
            await self._check_assertion(credentials, client.client_id, client.jwks)
        elif client.auth_method in _SECRET_METHODS:
            # Either place of the secret will do: it is the same secret, and libraries choose.
            if credentials.method not in _SECRET_METHODS:
                raise _refused(credentials, "no secret from a client that has one")
            self._check_secret(credentials, client)
        elif credentials.method is not AuthMethod.NONE:
            raise _refused(credentials, "a credential from a public client")

    def _check_secret(self, credentials: Credentials, client: Client) -> None:
        secret = Token.parse(TokenKind.CLIENT_SECRET, credentials.secret)
        if secret is None or client.secret_hash is None:
            raise _refused(credentials, "not a client secret")
        if not hmac.compare_digest(self._tokens.hash(secret.text), client.secret_hash):
            raise _refused(credentials, "the wrong secret")

    async def _check_assertion(
        self, credentials: Credentials, client_id: str, keys: tuple[Jwk, ...]
    ) -> None:
        # 1. Signed by the client, for us, now.
        try:
            assertion = self._assertions.verify(
                credentials.assertion,
                client_id=client_id,
                keys=keys,
                audiences=self._audiences,
                now=self._clock.now(),
            )
        except AssertionRefused as error:
            raise _refused(credentials, str(error)) from None
        # 2. And never seen before, by any server.
        name = self._tokens.hash(f"assertion\n{client_id}\n{assertion.jti}")
        if not await self._spent.spend(name, assertion.expires_at):
            raise _refused(credentials, "a client assertion that was seen before")


def agent_client(agent: Agent, method: AuthMethod) -> Client:
    """`agent` as an OAuth client of its own."""
    return Client(
        client_id=agent.agent_id,
        kind=ClientKind.AGENT,
        name=agent.display_name,
        auth_method=method,
        grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}),
        created_at=agent.created_at,
    )


def _refused(credentials: Credentials, reason: str) -> InvalidClient:
    log.info("an OAuth client was refused: %s", reason)
    return InvalidClient(basic=credentials.basic)
