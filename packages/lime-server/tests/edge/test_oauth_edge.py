"""The edge at the endpoints of OAuth: refusals of their own form, CORS, and no repeated answers."""

import json

import httpx
import pytest

from lime_server.core.errors import (
    AgentInactive,
    BodyTooLarge,
    NotFound,
    RateLimited,
    SiteTokenInvalid,
    Unavailable,
)
from lime_server.infrastructure.memory.answers import MemoryAnswers
from lime_server.infrastructure.web.errors import Errors
from lime_server.infrastructure.web.idempotency import Idempotency
from lime_server.infrastructure.web.oauth import CrossOrigin
from lime_server.modules.mcp_oauth.errors import InvalidClient, InvalidTarget

PLAIN = frozenset({"/plain"})


def failing(error):
    async def app(scope, receive, send):
        raise error

    return app


async def answer_to(error, path="/plain"):
    transport = httpx.ASGITransport(Errors(failing(error), plain=PLAIN))
    async with httpx.AsyncClient(transport=transport, base_url="http://lime.example") as client:
        return await client.post(path)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidTarget(), 400, "invalid_target"),
        (InvalidClient(), 401, "invalid_client"),
        (SiteTokenInvalid(), 401, "invalid_client"),
        (AgentInactive(), 403, "access_denied"),
        (NotFound(), 404, "invalid_request"),
        (BodyTooLarge(), 413, "invalid_request"),
        (RateLimited(retry_after=3), 429, "temporarily_unavailable"),
        (Unavailable(), 503, "temporarily_unavailable"),
        (RuntimeError("secret"), 500, "server_error"),
    ],
)
async def test_whatever_fails_there_fails_as_oauth_says(error, status, code):
    answer = await answer_to(error)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json().keys() == {"error", "error_description"}
    assert "secret" not in answer.text


async def test_headers_that_a_client_needs():
    assert (await answer_to(RateLimited(retry_after=3))).headers["retry-after"] == "3"
    assert (await answer_to(BodyTooLarge())).headers["connection"] == "close"
    assert "Basic" in (await answer_to(InvalidClient(basic=True))).headers["www-authenticate"]
    assert "www-authenticate" not in (await answer_to(InvalidClient())).headers


async def test_a_description_has_the_characters_it_may_have():
    answer = await answer_to(InvalidTarget('a "quoted" \\ é'))
    assert answer.json()["error_description"] == "a 'quoted' ' '"


async def test_elsewhere_it_is_the_envelope():
    answer = await answer_to(InvalidTarget("no"), "/other")
    assert answer.json()["error"]["code"] == "invalid_target"
    assert (await answer_to(RuntimeError(), "/other")).json()["error"]["code"] == "INTERNAL_ERROR"


async def test_what_is_not_http_is_passed_on():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    await CrossOrigin(app, paths=PLAIN)({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


async def test_an_idempotency_key_means_nothing_there(clock, derived):
    served = []

    async def app(scope, receive, send):
        served.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(len(served)).encode()})

    wrapped = Idempotency(
        app,
        store=MemoryAnswers(),
        hasher=derived.tokens,
        clock=clock,
        new_owner=lambda: "0190a2b4-0000-7000-8000-000000000000",
        except_at=PLAIN,
    )
    transport = httpx.ASGITransport(wrapped)
    async with httpx.AsyncClient(transport=transport, base_url="http://lime.example") as client:
        for expected in ("1", "2"):
            answer = await client.post("/plain", headers={"Idempotency-Key": "key"})
            assert answer.text == expected
