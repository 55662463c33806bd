"""Makes the OpenAPI document say what the edge does to every route."""

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI

from lime_server.core.errors import (
    BodyTooLarge,
    DomainError,
    IdempotencyKeyReused,
    InvalidInput,
    RateLimited,
    RequestTooSlow,
)
from lime_server.modules import http
from lime_server.modules.credentials import CSRF_COOKIE

_UNSAFE = {"post", "put", "patch", "delete"}

_SESSION = str(http.session_cookie.scheme_name)
_CSRF_COOKIE = "CsrfCookie"
_BROWSER: dict[str, list[str]] = {
    _SESSION: [],
    str(http.csrf_token.scheme_name): [],
    _CSRF_COOKIE: [],
}

_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Names the request in our logs; made if absent or not a sane token.",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Same key and same body within 24 h: the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def describe(app: FastAPI, *, session_cookie: str, forgotten: Collection[str]) -> None:
    """Give `app` an OpenAPI document that is true for the whole stack, edge included.

    `session_cookie` is what this deployment calls it; answers of paths that are `forgotten` are
    never repeated.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain(), session_cookie, forgotten)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents


def _completed(
    document: dict[str, Any], session_cookie: str, forgotten: Collection[str]
) -> dict[str, Any]:
    schemes = document["components"]["securitySchemes"]
    schemes[_SESSION]["name"] = session_cookie
    schemes[_CSRF_COOKIE] = {
        "type": "apiKey",
        "in": "cookie",
        "name": CSRF_COOKIE,
        "description": "Set beside the session's. The header repeats it.",
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(method, operation, repeated=method in _UNSAFE and path not in forgotten)
    # Validation errors are rendered as our envelope, with status 400.
    for name in ("HTTPValidationError", "ValidationError"):
        document.get("components", {}).get("schemas", {}).pop(name, None)
    return document


def _complete(method: str, operation: dict[str, Any], *, repeated: bool) -> None:
    parameters = operation.setdefault("parameters", [])
    responses = operation["responses"]
    everywhere: list[type[DomainError]] = [RateLimited]
    responses.pop("422", None)
    # A path cannot be invalid: what is not an id names nothing, and is not found. A key can.
    if method in _UNSAFE or any(one["in"] == "query" for one in parameters):
        everywhere.append(InvalidInput)
    parameters.append(_REQUEST_ID)
    if method in _UNSAFE:
        everywhere += [BodyTooLarge, RequestTooSlow]
    if repeated:
        parameters.append(_IDEMPOTENCY_KEY)
        everywhere.append(IdempotencyKeyReused)
    if any(_SESSION in one for one in operation.get("security", [])):
        # Both at once, where FastAPI says "one of them"; and reading needs no CSRF token.
        operation["security"] = [_BROWSER if method in _UNSAFE else {_SESSION: []}]
    for status, response in http.fails_with(*everywhere).items():
        response.pop("model")
        responses.setdefault(str(status), response)
    responses["500"] = {"description": "`INTERNAL_ERROR`"}
    for status, response in responses.items():
        response["headers"] = http.REQUEST_ID_HEADER | response.get("headers", {})
        if int(status) >= 400:
            # Failures are JSON also where successes are something else.
            content = response.get("content", {}).get("application/json", {})
            response["content"] = {"application/json": content | {"schema": _ERROR}}


_ERROR = {"$ref": "#/components/schemas/ErrorEnvelope"}
