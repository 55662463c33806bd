"""Revocation (RFC 7009), introspection (RFC 7662), metadata (RFC 8414), CORS, and what goes away."""

import base64
from datetime import timedelta

import pytest

from lime_server.modules.mcp_oauth.metadata import CROSS_ORIGIN_PATHS, METADATA_PATHS
from lime_server.modules.mcp_oauth.model import AuthMethod

INACTIVE = {"active": False}


def basic(user, secret):
    text = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def site(world):
    return basic(world.site.site_id, world.site_token.text)


async def issued(world, api, client):
    body = (await api.token(await world.exchange_form(client))).json()
    return body["access_token"], body["refresh_token"]


async def ask(api, token, who):
    answer = await api.introspect({"token": token}, headers=who)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def test_a_site_and_the_client_learn_what_a_token_says(world, api, help_):
    client = await world.client(AuthMethod.CLIENT_SECRET_BASIC)
    me = basic(client.client_id, world.secret)
    form = await world.exchange_form(client)
    del form["client_id"]
    body = (await api.token(form, headers=me)).json()
    told = await ask(api, body["access_token"], site(world))
    assert told == await ask(api, body["access_token"], me)
    now = int(world.clock.now().timestamp())
    assert told.pop("jti")
    assert told == {
        "active": True,
        "token_type": "Bearer",
        "iss": help_.ISSUER,
        "aud": ["mcp", help_.RESOURCE],
        "sub": world.agent.agent_id,
        "client_id": client.client_id,
        "scope": "mcp",
        "domain": "mcp.shop.com",
        "iat": now,
        "exp": now + 300,
    }
    world.clock.advance(300)
    assert await ask(api, body["access_token"], site(world)) == INACTIVE


async def test_other_peoples_tokens_are_inactive(small_world, small_api, help_):
    world, api = small_world, small_api
    client = await world.client()
    token, refresh = await issued(world, api, client)
    await world.client(AuthMethod.CLIENT_SECRET_POST)
    other = await world.client(AuthMethod.CLIENT_SECRET_BASIC)
    assert await ask(api, token, basic(other.client_id, world.secret)) == INACTIVE
    assert await ask(api, refresh, site(world)) == INACTIVE
    assert await ask(api, "x", site(world)) == INACTIVE
    elsewhere = {"grant_type": "client_credentials", "resource": "https://other.com"}
    agent = basic(world.agent.agent_id, world.agent_token.text)
    theirs = (await api.token(elsewhere, headers=agent)).json()["access_token"]
    assert await ask(api, theirs, site(world)) == INACTIVE
    assert (await ask(api, theirs, agent))["active"] is True
    claimed, claimed_token = await world.sites.register(world.ada, "Liar", domain="mcp.shop.com")
    assert await ask(api, token, basic(claimed.site_id, claimed_token.text)) == INACTIVE


async def test_nobody_asks_without_a_credential(small_world, small_api):
    world, api = small_world, small_api
    public = await world.client()
    form = {"token": "x"}
    wrong = [
        (form | {"client_id": public.client_id}, {}, 401),
        (form, {}, 401),
        (form, basic(world.site.site_id, "st_" + "x" * 43), 401),
        (form, basic(world.agent.agent_id, world.site_token.text), 401),
        (form, basic("x", world.site_token.text), 401),
        ({}, site(world), 400),
        ({"token": "x" * 16385}, site(world), 400),
    ]
    for body, headers, status in wrong:
        assert (await api.introspect(body, headers=headers)).status_code == status
    await world.backend.suspend_site(world.site.site_id)
    answer = await api.introspect(form, headers=site(world))
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")


async def test_an_agent_that_may_not_act_has_no_active_tokens(world, api):
    token, _ = await issued(world, api, await world.client())
    assert (await ask(api, token, site(world)))["active"] is True
    await world.allow(capable=False)
    assert await ask(api, token, site(world)) == INACTIVE
    await world.allow(active=False)
    assert await ask(api, token, site(world)) == INACTIVE
    await world.backend.delete_agent(world.agent.agent_id)
    assert await ask(api, token, site(world)) == INACTIVE


async def test_a_consent_that_was_taken_back_shows_at_once(world, api):
    token, _ = await issued(world, api, await world.client())
    (grant,) = await world.oauth.grants.of_owner(world.ada, before=None, limit=5)
    assert await world.oauth.grants.revoke(grant.grant_id, world.clock.now())
    assert await ask(api, token, site(world)) == INACTIVE


async def test_a_client_gives_back_what_it_has(world, api):
    client, other = await world.client(), await world.client()
    mine, theirs = {"client_id": client.client_id}, {"client_id": other.client_id}
    token, refresh = await issued(world, api, client)
    for strange in (token, refresh, "x", "rt_" + "x" * 43):
        answer = await api.revoke(theirs | {"token": strange})
        assert (answer.status_code, answer.json()) == (200, {})
    assert (await ask(api, token, site(world)))["active"] is True
    # An access token ends alone.
    assert (await api.revoke(mine | {"token": token})).status_code == 200
    assert (await api.revoke(mine | {"token": token})).status_code == 200
    assert await ask(api, token, site(world)) == INACTIVE
    form = mine | {"grant_type": "refresh_token", "refresh_token": refresh}
    body = (await api.token(form)).json()
    assert (await ask(api, body["access_token"], site(world)))["active"] is True
    # A refresh token takes everything with it.
    hint = {"token_type_hint": "access_token", "token": body["refresh_token"]}
    assert (await api.revoke(mine | hint)).status_code == 200
    assert await ask(api, body["access_token"], site(world)) == INACTIVE
    form["refresh_token"] = body["refresh_token"]
    assert (await api.token(form)).json()["error"] == "invalid_grant"
    assert (await api.revoke(mine)).json()["error"] == "invalid_request"


async def test_what_expired_leaves_after_a_day(world, api):
    client = await world.client()
    token, _ = await issued(world, api, client)
    await api.revoke({"client_id": client.client_id, "token": token})
    await world.oauth.spent.spend(b"seen", world.clock.now())
    form = await world.exchange_form(client)
    claims = world.claims(token, domain="mcp.shop.com")
    world.clock.advance(86400)
    await world.pruning.once()
    assert await world.oauth.revoked.holds(claims["jti"])
    world.clock.advance(400)
    await world.pruning.once()
    assert not await world.oauth.revoked.holds(claims["jti"])
    assert await world.oauth.spent.spend(b"seen", world.clock.now())
    assert await world.oauth.codes.find(_hash(world, form["code"])) is None
    assert await world.oauth.refresh_tokens.family(claims["sid"]) is not None
    world.clock.advance(91 * 86400)
    await world.pruning.once()
    assert await world.oauth.refresh_tokens.family(claims["sid"]) is None
    assert await world.oauth.refresh_tokens.prune(world.clock.now(), limit=9) == 0


def _hash(world, text):
    return world.parts.tokens.hash(text)


async def test_pruning_goes_on_until_nothing_is_left(small_world, monkeypatch):
    small_world.app()
    monkeypatch.setattr("lime_server.modules.mcp_oauth.pruning.BATCH", 2)
    for number in range(5):
        await small_world.oauth.spent.spend(bytes([number]), small_world.clock.now())
    small_world.clock.advance(timedelta(days=2).total_seconds())
    await small_world.pruning.once()
    assert small_world.oauth.spent._shared.spent_assertions == {}


@pytest.mark.parametrize("path", METADATA_PATHS)
async def test_the_metadata_is_the_same_at_every_place(small_api, help_, path):
    answer = await small_api.http.get(path)
    document = answer.json()
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert document["issuer"] == help_.ISSUER
    assert document["jwks_uri"] == "https://lime.example/api/v1/core/.well-known/jwks.json"
    assert document["token_endpoint"] == f"{help_.ISSUER}/token"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["grant_types_supported"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
    ]
    assert document["token_endpoint_auth_methods_supported"] == [
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ]
    assert "none" not in document["introspection_endpoint_auth_methods_supported"]
    assert document["scopes_supported"] == ["mcp"]
    assert answer.content == (await small_api.http.get(METADATA_PATHS[0])).content
    assert (await small_api.http.head(path)).status_code == 200


@pytest.mark.parametrize("path", sorted(CROSS_ORIGIN_PATHS))
async def test_pages_of_any_origin_may_ask(small_api, path):
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    answer = await small_api.http.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_refusals_can_be_read_by_pages_too(small_api, help_):
    answer = await small_api.token({"grant_type": "x"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "*"
    for method in ("GET", "OPTIONS"):
        answer = await small_api.http.request(method, f"{help_.ISSUER}/token")
        assert answer.status_code == 405
        assert answer.json() == {
            "error": "invalid_request",
            "error_description": "Method Not Allowed",
        }
    closed = await small_api.http.options(
        f"{help_.ISSUER}/introspect", headers={"Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in closed.headers
