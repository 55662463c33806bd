"""The token endpoint: who gets what for which grant, on both kinds of stores."""

import asyncio
import base64
from datetime import timedelta

import pytest

from lime_server.modules.mcp_oauth.errors import InvalidRequest
from lime_server.modules.mcp_oauth.model import AuthMethod, GrantType
from lime_server.modules.mcp_oauth.token_wire import domain_of

AGENT_FORM = {"grant_type": "client_credentials"}


def refused(response, status, error):
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error", "error_description"}
    assert body["error"] == error, body
    return body["error_description"]


def granted(response):
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 300
    return body


def basic(user, secret):
    text = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


# Races, first of all.


async def test_of_fifty_exchanges_of_one_code_one_wins_and_the_others_end_what_it_issued(
    world, api
):
    client = await world.client()
    form = await world.exchange_form(client)
    answers = await asyncio.gather(*(api.token(form) for _ in range(50)))
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not winner:
            refused(answer, 400, "invalid_grant")
    body = granted(winner)
    again = {
        "grant_type": "refresh_token",
        "client_id": client.client_id,
        "refresh_token": body["refresh_token"],
    }
    refused(await api.token(again), 400, "invalid_grant")
    assert await world.actions(world.ada) == ["oauth.code.replayed"]
    inactive = await api.introspect(
        {"token": body["access_token"]}, headers=basic(world.site.site_id, world.site_token.text)
    )
    assert inactive.json() == {"active": False}
    assert b'lime_oauth_tokens_total{what="replay"} 1.0' in world.metrics.render()


async def test_a_replay_leaves_alone_what_another_code_of_the_same_client_issued(world, api):
    client = await world.client()
    here, there = [await world.exchange_form(client) for _ in range(2)]
    granted(await api.token(here))
    kept = granted(await api.token(there))
    refused(await api.token(here), 400, "invalid_grant")
    again = {
        "grant_type": "refresh_token",
        "client_id": client.client_id,
        "refresh_token": kept["refresh_token"],
    }
    granted(await api.token(again))


async def test_who_is_slower_between_reading_and_spending_a_code_has_replayed_it(
    world, api, monkeypatch
):
    form = await world.exchange_form(await world.client())
    unspent = await world.oauth.codes.find(world.parts.tokens.hash(form["code"]))
    first = granted(await api.token(form))

    async def as_it_was(_code_hash):
        return unspent

    monkeypatch.setattr(world.oauth.codes, "find", as_it_was)
    refused(await api.token(form), 400, "invalid_grant")
    sid = world.claims(first["access_token"], domain="mcp.shop.com")["sid"]
    assert (await world.oauth.refresh_tokens.family(sid)).revoked_at == world.clock.now()


async def test_two_refreshes_at_once_both_succeed_and_a_later_one_ends_the_family(world, api):
    client = await world.client()
    first = granted(await api.token(await world.exchange_form(client)))
    form = {"grant_type": "refresh_token", "client_id": client.client_id}
    old = form | {"refresh_token": first["refresh_token"]}
    pair = [granted(one) for one in await asyncio.gather(api.token(old), api.token(old))]
    texts = {one["refresh_token"] for one in pair}
    assert len(texts) == 2
    assert first["refresh_token"] not in texts
    world.clock.advance(9.9)
    granted(await api.token(old))
    # The grace is over: two parties have it.
    world.clock.advance(0.2)
    refused(await api.token(old), 400, "invalid_grant")
    for one in pair:
        form_of_one = form | {"refresh_token": one["refresh_token"]}
        refused(await api.token(form_of_one), 400, "invalid_grant")
    assert await world.actions(world.ada) == ["oauth.refresh.reused"]


# An agent in its own name.


async def test_the_short_form_answers_with_three_keys_to_the_byte(world, api):
    answer = await api.short(world.agent_token.text)
    assert list(granted(answer)) == ["access_token", "token_type", "expires_in"]
    assert answer.headers["content-type"] == "application/json"
    claims = world.claims(answer.json()["access_token"], domain="mcp.shop.com")
    now = int(world.clock.now().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": "https://lime.example/api/v1/modules/oauth",
        "aud": "mcp",
        "sub": world.agent.agent_id,
        "iat": now,
        "exp": now + 300,
        "domain": "mcp.shop.com",
        "client_id": world.agent.agent_id,
        "scope": "mcp",
    }


async def test_the_short_form_refuses_as_rfc_6749_says(small_world, small_api):
    world, api = small_world, small_api
    refused(await api.short(None), 401, "invalid_client")
    refused(await api.short("at_" + "x" * 43), 401, "invalid_client")
    refused(await api.short(world.site_token.text), 401, "invalid_client")
    refused(await api.short(world.stranger_token.text), 403, "access_denied")
    good = world.agent_token.text
    for body in ({}, [], {"domain": 1}, {"domain": "mcp.shop.com", "more": 1}, {"domain": ""}):
        refused(await api.short(good, body), 400, "invalid_request")
    json = {"X-Agent-Token": good, "Content-Type": "application/json"}
    refused(await api.token(content=b"", headers=json), 400, "invalid_request")
    refused(
        await api.token(content=b'{"domain":"a.b","domain":"c.d"}', headers=json),
        400,
        "invalid_request",
    )
    refused(
        await api.token(content=b"<a/>", headers=json | {"Content-Type": "text/xml"}),
        400,
        "invalid_request",
    )
    refused(await api.token(content=b"x" * 70000, headers=json), 413, "invalid_request")
    await world.allow(active=False)
    refused(await api.short(good), 403, "access_denied")


async def test_an_agent_without_the_capability_gets_nothing(small_world, small_api):
    await small_world.allow(capable=False)
    text = refused(await small_api.short(small_world.agent_token.text), 403, "access_denied")
    assert "its owner can allow it" in text


async def test_client_credentials_with_a_resource_or_a_domain(small_world, small_api, help_):
    world, api = small_world, small_api
    me = basic(world.agent.agent_id, world.agent_token.text)
    body = granted(await api.token(AGENT_FORM | {"resource": help_.RESOURCE}, headers=me))
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = world.claims(body["access_token"], resource=help_.RESOURCE)
    assert (claims["aud"], claims["domain"]) == (["mcp", help_.RESOURCE], "mcp.shop.com")
    assert "sid" not in claims
    in_the_form = AGENT_FORM | {
        "client_id": world.agent.agent_id,
        "client_secret": world.agent_token.text,
        "scope": "offline_access everything",
        "domain": "MCP.shop.com",
    }
    body = granted(await api.token(in_the_form))
    assert body["scope"] == "mcp"
    assert world.claims(body["access_token"], domain="mcp.shop.com")["aud"] == "mcp"
    both = AGENT_FORM | {"resource": help_.RESOURCE, "domain": "mcp.shop.com"}
    granted(await api.token(both, headers=me))
    refused(await api.token(both | {"domain": "other.com"}, headers=me), 400, "invalid_target")
    text = refused(await api.token(AGENT_FORM, headers=me), 400, "invalid_request")
    assert "resource" in text
    refused(await api.token(AGENT_FORM | {"resource": "mcp"}, headers=me), 400, "invalid_target")
    refused(await api.token(AGENT_FORM | {"scope": 'a"b'}, headers=me), 400, "invalid_scope")


async def test_a_form_is_read_once_and_in_one_way(small_world, small_api, help_):
    world, api = small_world, small_api
    me = basic(world.agent.agent_id, world.agent_token.text)

    async def send(body, **more):
        headers = me | {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return await api.token(content=body, headers=headers, **more)

    good = b"grant_type=client_credentials&domain=mcp.shop.com"
    granted(await send(good + b"&resource="))
    refused(await send(good + b"&domain=mcp.shop.com"), 400, "invalid_request")
    refused(
        await send(good + b"&resource=https://a.com&resource=https://b.com"), 400, "invalid_target"
    )
    refused(await send(b"\xff=" + good), 400, "invalid_request")
    refused(await send(good + b"&x=%ff"), 400, "invalid_request")
    refused(await send(good + b"".join(b"&a%d=" % n for n in range(70))), 400, "invalid_request")
    refused(await send(b""), 400, "invalid_request")
    refused(await send(b"grant_type=password"), 400, "unsupported_grant_type")
    refused(await send(b"grant_type=refresh_token"), 400, "unauthorized_client")


# A client in the name of an owner's agent.


async def test_a_code_becomes_a_token_for_the_server_that_was_consented_to(world, api, help_):
    client = await world.client()
    body = granted(await api.token(await world.exchange_form(client, resource=help_.RESOURCE)))
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    claims = world.claims(body["access_token"], resource=help_.RESOURCE)
    assert claims["sub"] == world.agent.agent_id
    assert claims["client_id"] == client.client_id
    assert not claims.keys() & {"user_id", "passport_version", "request_id"}
    (grant,) = await world.oauth.grants.of_owner(world.ada, before=None, limit=5)
    assert grant.last_used_at == world.clock.now()


async def test_what_does_not_fit_its_code_is_refused_and_does_not_spend_it(world, api, help_):
    client, other = await world.client(), await world.client()
    form = await world.exchange_form(client)
    wrong = [
        ({"client_id": other.client_id}, "invalid_grant"),
        ({"code": "ac_" + "x" * 43}, "invalid_grant"),
        ({"code": "rt_" + "x" * 43}, "invalid_grant"),
        ({"redirect_uri": help_.CALLBACK + "/"}, "invalid_grant"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"resource": "https://other.com/mcp"}, "invalid_target"),
        ({"resource": help_.RESOURCE + "/"}, "invalid_target"),
    ]
    for changes, error in wrong:
        refused(await api.token(form | changes), 400, error)
    granted(await api.token(form))


async def test_a_code_is_good_for_a_minute(small_world, small_api):
    form = await small_world.exchange_form(await small_world.client())
    small_world.clock.advance(60)
    refused(await small_api.token(form), 400, "invalid_grant")


async def test_a_client_without_refresh_gets_none_and_a_family_as_short_as_its_token(
    small_world, small_api
):
    client = await small_world.client(grant_types=frozenset({GrantType.AUTHORIZATION_CODE}))
    body = granted(await small_api.token(await small_world.exchange_form(client)))
    assert "refresh_token" not in body
    sid = small_world.claims(body["access_token"], domain="mcp.shop.com")["sid"]
    family = await small_world.oauth.refresh_tokens.family(sid)
    assert family.expires_at == small_world.clock.now() + timedelta(seconds=300)


async def test_without_a_resource_the_client_names_the_server_at_the_token(small_world, small_api):
    world, api = small_world, small_api
    client = await world.client()
    form = await world.exchange_form(client)
    form["code"] = await world.code(client, resource=None)
    refused(await api.token(form), 400, "invalid_request")
    body = granted(await api.token(form | {"domain": "mcp.shop.com"}))
    assert world.claims(body["access_token"], domain="mcp.shop.com")["aud"] == "mcp"


async def test_a_consent_that_was_taken_back_ends_codes_and_refreshes(world, api):
    client = await world.client()
    first = granted(await api.token(await world.exchange_form(client)))
    form = await world.exchange_form(client)
    (grant,) = await world.oauth.grants.of_owner(world.ada, before=None, limit=5)
    assert await world.oauth.grants.revoke(grant.grant_id, world.clock.now())
    refused(await api.token(form), 400, "invalid_grant")
    refresh = {
        "grant_type": "refresh_token",
        "client_id": client.client_id,
        "refresh_token": first["refresh_token"],
    }
    refused(await api.token(refresh), 400, "invalid_grant")


async def test_scopes_that_the_operator_withdrew_are_issued_no_more(small_world, help_):
    small_world.scopes = ("mcp", "write")
    client = await small_world.client()
    async with help_.serving(small_world, mcp_scopes=["mcp", "write"]) as api:
        body = granted(await api.token(await small_world.exchange_form(client)))
        assert body["scope"] == "mcp write"
    form = {"grant_type": "refresh_token", "client_id": client.client_id}
    async with help_.serving(small_world, mcp_scopes=["read", "mcp"]) as api:
        body = granted(await api.token(form | {"refresh_token": body["refresh_token"]}))
        assert body["scope"] == "mcp"
        assert small_world.claims(body["access_token"], resource=help_.RESOURCE)["scope"] == "mcp"
        for asked in ("write", "read"):
            body = granted(
                await api.token(form | {"refresh_token": body["refresh_token"], "scope": asked})
            )
            assert body["scope"] == "mcp"
        fresh = granted(await api.token(await small_world.exchange_form(client)))
        assert fresh["scope"] == "mcp"
    async with help_.serving(small_world, mcp_scopes=["read"]) as api:
        again = form | {"refresh_token": body["refresh_token"]}
        refused(await api.token(again), 400, "invalid_grant")
        refused(await api.token(await small_world.exchange_form(client)), 400, "invalid_grant")
    # What was refused spent nothing.
    async with help_.serving(small_world, mcp_scopes=["mcp", "write"]) as api:
        assert granted(await api.token(again))["scope"] == "mcp write"


async def test_an_agent_that_may_not_act_keeps_its_refresh_token(world, api):
    client = await world.client()
    first = granted(await api.token(await world.exchange_form(client)))
    refresh = {
        "grant_type": "refresh_token",
        "client_id": client.client_id,
        "refresh_token": first["refresh_token"],
    }
    await world.allow(capable=False)
    refused(await api.token(refresh), 403, "access_denied")
    await world.allow(active=False)
    refused(await api.token(refresh), 403, "access_denied")
    world.clock.advance(60)
    await world.allow()
    granted(await api.token(refresh))
    await world.backend.delete_agent(world.agent.agent_id)
    refused(await api.token(refresh), 400, "invalid_grant")


async def test_a_refresh_token_is_its_clients_alone_and_ends(world, api, help_):
    client, other = await world.client(), await world.client()
    body = granted(await api.token(await world.exchange_form(client)))
    form = {
        "grant_type": "refresh_token",
        "client_id": client.client_id,
        "refresh_token": body["refresh_token"],
    }
    refused(await api.token(form | {"client_id": other.client_id}), 400, "invalid_grant")
    refused(await api.token(form | {"refresh_token": "rt_" + "x" * 43}), 400, "invalid_grant")
    refused(await api.token(form | {"resource": "https://other.com"}), 400, "invalid_target")
    world.clock.advance(29 * 86400)
    body = granted(await api.token(form | {"scope": "mcp more", "resource": help_.RESOURCE}))
    assert body["scope"] == "mcp"
    form["refresh_token"] = body["refresh_token"]
    world.clock.advance(30 * 86400)
    refused(await api.token(form), 400, "invalid_grant")


async def test_however_often_it_is_refreshed_the_owner_is_asked_again_after_ninety_days(
    small_world, small_api
):
    world, api = small_world, small_api
    client = await world.client()
    body = granted(await api.token(await world.exchange_form(client)))
    form = {"grant_type": "refresh_token", "client_id": client.client_id}
    for _ in range(4):
        world.clock.advance(20 * 86400)
        body = granted(await api.token(form | {"refresh_token": body["refresh_token"]}))
    world.clock.advance(10 * 86400)
    refused(await api.token(form | {"refresh_token": body["refresh_token"]}), 400, "invalid_grant")


async def test_nothing_is_spent_while_nothing_can_be_signed(world, api):
    client = await world.client()
    form = await world.exchange_form(client)
    world.signer.away = True
    answer = await api.token(form)
    refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    world.signer.away = False
    granted(await api.token(form))


async def test_a_registered_client_has_no_agent_to_be(small_world, small_api):
    client = await small_world.client(AuthMethod.CLIENT_SECRET_BASIC)
    me = basic(client.client_id, small_world.secret)
    refused(await small_api.token(AGENT_FORM, headers=me), 400, "unauthorized_client")


async def test_a_client_asks_too_often(small_world, help_):
    from lime_server.core.ports import Limit

    async with help_.serving(small_world, rate_per_token=Limit(rate=0.1, burst=1)) as api:
        form = {"client_id": "nobody", "grant_type": "x"}
        refused(await api.token(form), 401, "invalid_client")
        answer = await api.token(form)
        refused(answer, 429, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "10"
        granted(await api.short(small_world.agent_token.text))
    async with help_.serving(small_world, rate_per_token=None) as api:
        for _ in range(3):
            refused(await api.token(form), 401, "invalid_client")


@pytest.mark.parametrize("what", ["code", "refresh"])
async def test_a_replay_of_a_grant_whose_record_is_gone_is_refused_all_the_same(
    small_world, small_api, what
):
    world, api = small_world, small_api
    client = await world.client()
    form = await world.exchange_form(client)
    body = granted(await api.token(form))
    if what == "refresh":
        form = {
            "grant_type": "refresh_token",
            "client_id": client.client_id,
            "refresh_token": body["refresh_token"],
        }
        granted(await api.token(form))
    world.backend.oauth.grants._shared.grants.clear()
    world.clock.advance(30)
    refused(await api.token(form), 400, "invalid_grant")
    assert await world.actions(world.ada) == []


async def test_a_body_deeper_than_the_stack_is_no_json():
    """The edge refuses most of them; here the stack is deeper by what is in between."""

    class Deep:
        async def body(self):
            return b'{"domain":' + b"[" * 5000 + b"]" * 5000 + b"}"

    with pytest.raises(InvalidRequest, match="not JSON"):
        await domain_of(Deep())
