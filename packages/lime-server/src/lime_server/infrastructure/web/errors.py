"""Errors as answers: one envelope for all, and nothing in it that the caller must not know."""

import re
from collections.abc import Collection
from functools import cache
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lime_server.core.errors import DomainError
from lime_server.infrastructure.web.asgi import answer, answer_error, envelope
from lime_server.infrastructure.web.oauth import answer_oauth_error, oauth_body

MOST_PROBLEMS = 10
"""Problems listed of one invalid request: a body of thousands of wrong keys gets a short answer."""
LONGEST_PLACE = 64
"""Characters shown of a field's name, which the caller chose."""

_JSON = "application/json"

log = structlog.get_logger(__name__)


class Errors:
    """Turns whatever was raised further in into an envelope.

    Pure ASGI, and outside of everything that raises `DomainError`, other middleware included.
    """

    def __init__(self, app: ASGIApp, *, plain: Collection[str] = ()) -> None:
        """Wrap `app`. At the paths in `plain` refusals take the form of RFC 6749."""
        self._app = app
        self._plain = plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except DomainError as error:
            if started:
                log.warning("failed while answering", code=error.code)
            elif scope["path"] in self._plain:
                await answer_oauth_error(send, error)
            else:
                await answer_error(send, error)
        except Exception:
            # An unknown error says nothing outside. Inside, the line carries the request's id.
            log.exception("unexpected error")
            if not started and scope["path"] in self._plain:
                body = oauth_body("server_error", "Something went wrong here.")
                await answer(send, 500, body)
            elif not started:
                await answer(send, 500, envelope("INTERNAL_ERROR", "Something went wrong here."))
        # An answer that was cut short is not completed: the server then closes the connection, and
        # the client sees that something is missing.


def install(app: FastAPI, *, plain: Collection[str] = ()) -> None:
    """Give `app` the handlers for what FastAPI and Starlette raise themselves.

    `plain` is that of `Errors`.
    """

    async def http(request: Request, error: Exception) -> Response:
        if request.scope["path"] in plain and isinstance(error, HTTPException):
            # A method that there is not: whatever a route there wants to say, it raises.
            body = oauth_body("invalid_request", HTTPStatus(error.status_code).phrase)
            return Response(body, error.status_code, error.headers, media_type="application/json")
        return await _http(request, error)

    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, http)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    # Without `input` and `ctx`: they repeat what was sent, and that may be a secret.
    problems = [
        {"where": ".".join(_place(part) for part in problem["loc"]), "what": problem["msg"]}
        for problem in error.errors()[:MOST_PROBLEMS]
    ]
    body = envelope("INVALID_REQUEST", "The request is not valid.", {"problems": problems})
    return Response(body, 400, media_type="application/json")


def _place(part: object) -> str:
    return str(part)[:LONGEST_PLACE]


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    phrase = HTTPStatus(error.status_code).phrase
    # The same code as `core.errors.NotFound` has; "METHOD_NOT_ALLOWED" and so on for others.
    code = re.sub(r"[^A-Z]+", "_", phrase.upper())
    if error.status_code == HTTPStatus.BAD_REQUEST:
        code = "INVALID_REQUEST"
    message = "There is no such path." if error.status_code == HTTPStatus.NOT_FOUND else phrase
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := _allowed(request)):
        headers = {**(headers or {}), "Allow": ", ".join(sorted(allowed))}
    return Response(envelope(code, message), error.status_code, headers, media_type=_JSON)


def _allowed(request: Request) -> set[str]:
    """The methods of every route to this path; the router knows of one that matched, alone."""
    path = request.scope["path"]
    routes = [
        (route.path, route.methods or ())
        for route in iter_route_contexts(request.app.router.routes)
        if route.path is not None and _matcher(route.path).fullmatch(path)
    ]
    # `/agents/register` is also an `/agents/{agent_id}`, of an agent that there is not.
    closest = min((pattern.count("{") for pattern, _ in routes), default=0)
    return {one for pattern, methods in routes if pattern.count("{") == closest for one in methods}


@cache
def _matcher(pattern: str) -> re.Pattern[str]:
    return compile_path(pattern)[0]
