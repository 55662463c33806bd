"""The published keys: `GET /core/.well-known/jwks.json` (protocol section 6)."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lime_server.core.keyring import KeyRing
from lime_server.core.urls import API_PATH

PATH = API_PATH + "/core/.well-known/jwks.json"
MAX_AGE = 300
"""Seconds a verifier may keep it (protocol section 10)."""


def jwks_route(ring: KeyRing) -> APIRouter:
    """The route; served from memory, without envelope (RFC 7517)."""
    routes = APIRouter(tags=["passports"])

    @routes.get(
        PATH,
        summary="The keys that passports are signed with",
        response_class=Response,
        responses={
            200: {
                "description": "A JWK Set (RFC 7517), without envelope.",
                "content": {"application/json": {"schema": _SCHEMA}},
                "headers": _HEADERS,
            },
            304: {"description": "Unchanged since the ETag in `If-None-Match`."},
        },
    )
    @routes.head(PATH, include_in_schema=False)
    async def jwks(request: Request) -> Response:
        """Every key that signs, will sign next, or signed what may still be in use."""
        document = ring.jwks
        headers = {
            "ETag": document.etag,
            "Cache-Control": f"public, max-age={MAX_AGE}",
            # Verifiers may live in a browser, and there is nothing secret here.
            "Access-Control-Allow-Origin": "*",
        }
        if _matches(request.headers.getlist("if-none-match"), document.etag):
            return Response(status_code=304, headers=headers)
        return Response(document.body, media_type="application/json", headers=headers)

    return routes


def _matches(conditions: list[str], etag: str) -> bool:
    # Weak comparison, as RFC 9110 (section 13.1.2) asks for with If-None-Match.
    tags = [tag.strip().removeprefix("W/") for line in conditions for tag in line.split(",")]
    return etag in tags or "*" in tags


_HEADERS = {
    "ETag": {"description": "Changes with the keys.", "schema": {"type": "string"}},
    "Cache-Control": {"description": f"`public, max-age={MAX_AGE}`", "schema": {"type": "string"}},
}
_SCHEMA = {
    "type": "object",
    "required": ["keys"],
    "properties": {
        "keys": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kty", "n", "e", "kid", "alg", "use"],
                "properties": {
                    name: {"type": "string"} for name in ("kty", "n", "e", "kid", "alg", "use")
                },
            },
        }
    },
}
