"""Access tokens for servers on Starlette and FastAPI that no MCP framework protects."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lime_sites._jwks import MIN_INTERVAL
from lime_sites.errors import InvalidPassportError, LimeError
from lime_sites.mcp._access import AgentAccess
from lime_sites.mcp._challenge import (
    INSUFFICIENT_SCOPE,
    INVALID_REQUEST,
    INVALID_TOKEN,
    BadAuthorizationError,
    bearer_token,
    www_authenticate,
)
from lime_sites.mcp._metadata import metadata_path
from lime_sites.mcp._verifier import LimeTokenVerifier

METADATA_SECONDS: Final = 3600
"""How long a client may keep the metadata; it changes with a deployment."""

_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

# Clients in browsers read the metadata from elsewhere, and send a header of their own with it.
_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET",
    "access-control-allow-headers": "*",
}


class RequireToken:
    """Lets nobody in without a proven token that has the scopes.

        agent = RequireToken(verifier)

        @app.get("/reports")
        async def reports(access: Annotated[AgentAccess, Depends(agent)]) -> str:
            return access.agent_id

    With Starlette alone: `access = await agent(request)`.

    Args:
        verifier: knows this server's tokens.
        scopes: what this place needs; the verifier's `required_scopes` if not given.
    """

    def __init__(self, verifier: LimeTokenVerifier, *, scopes: Sequence[str] | None = None) -> None:
        self._verifier = verifier
        self._scopes = verifier.required_scopes if scopes is None else tuple(scopes)

    async def __call__(self, request: Request) -> AgentAccess:
        """Return who is at the door.

        Raises:
            HTTPException: 401, 403 or 400 with the challenge that says how to come by a token;
                503 while no token can be verified.
        """
        # 1. One token, in the one place where it belongs: never in the URL (OAuth 2.1, section 5).
        try:
            token = bearer_token(request.headers.getlist("authorization"))
        except BadAuthorizationError as error:
            raise self._refusal(
                HTTPStatus.BAD_REQUEST, INVALID_REQUEST, f"The request has {error}."
            ) from None
        if token is None:
            raise self._refusal(HTTPStatus.UNAUTHORIZED, None, None)
        # 2. Proven, and for this server. Why it is not is in the log, and nobody else's business.
        access = await self._verify(token)
        # 3. With what this place needs.
        missing = access.missing(self._scopes)
        if missing:
            raise self._refusal(
                HTTPStatus.FORBIDDEN,
                INSUFFICIENT_SCOPE,
                f"The token lacks a scope: {' '.join(missing)}.",
            )
        return access

    async def _verify(self, token: str) -> AgentAccess:
        try:
            return await self._verifier.verify(token)
        except InvalidPassportError:
            refusal = self._refusal(
                HTTPStatus.UNAUTHORIZED,
                INVALID_TOKEN,
                "The token is not valid here: too old, or not for this server.",
            )
        except LimeError:
            # Not a 401: a client would throw a good token away.
            refusal = HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "tokens cannot be verified just now",
                headers={"retry-after": str(int(MIN_INTERVAL))},
            )
        raise refusal

    def _refusal(
        self, status: HTTPStatus, error: str | None, description: str | None
    ) -> HTTPException:
        challenge = www_authenticate(
            self._verifier.resource_metadata_url,
            error=error,
            description=description,
            scopes=self._scopes,
        )
        return HTTPException(
            status,
            description or "an access token is needed",
            headers={"www-authenticate": challenge, "cache-control": "no-store"},
        )


class ChallengeScopes:
    """Pure ASGI middleware that names the scopes in an application's challenges.

    The specification of MCP wants them there, so that a client asks for the right ones at once;
    the official SDK's server leaves them out. A challenge that names scopes stays as it is.

        app = ChallengeScopes(server.streamable_http_app(), verifier)
    """

    def __init__(self, app: ASGIApp, verifier: LimeTokenVerifier) -> None:
        self._app = app
        # Checked, and written as the challenge writes it.
        said = www_authenticate(scopes=verifier.required_scopes).removeprefix("Bearer").strip()
        self._addition = said.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but for the challenges."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                headers = [self._complete(name, value) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_on)

    def _complete(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        scheme, _, said = value.partition(b" ")
        if name.lower() != b"www-authenticate" or scheme.lower() != b"bearer":
            return name, value
        if b"scope=" in said or not self._addition:
            return name, value
        return name, b"Bearer " + b", ".join(part for part in (said, self._addition) if part)


def metadata_route(
    verifier: LimeTokenVerifier, *, name: str | None = None, documentation: str | None = None
) -> Route:
    """Return the route of this server's metadata, for its own application's root.

    Args:
        verifier: was given the resource.
        name: this server's, for humans.
        documentation: a URL for developers.

    Raises:
        ConfigurationError: the verifier was given a domain alone.
    """
    document = verifier.protected_resource_metadata(name=name, documentation=documentation)

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=_CORS)
        kept = {"cache-control": f"public, max-age={METADATA_SECONDS}"}
        return JSONResponse(document, headers={**_CORS, **kept})

    path = unquote(metadata_path(verifier.resource))
    return Route(path, answer, methods=["GET", "OPTIONS"])
