"""Agent binding: protocol section 9, with both clients."""

import base64
import hashlib
import json
import logging
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import respx

from lime_jwt import TYP_LOGIN
from lime_sites import (
    ApiError,
    BindingCodeError,
    BindingPassport,
    InvalidPassportError,
    KeysUnavailableError,
    LimeSite,
    LimeSiteSync,
    PassportVerificationResult,
    SiteAuthUnavailableError,
)
from lime_sites._jwks import MIN_INTERVAL
from lime_sites.testing import FakeLime

CALLBACK = "https://shop.example/lime"
BINDING = "7b1c3c3e-0000-4000-8000-000000000002"
BASE = "https://lime.example/api/v1"


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def bound(site: Any, fake: FakeLime) -> BindingPassport:
    asked = await site.create_binding_request(redirect_uri=CALLBACK)
    code = query_of(fake.bind(asked.binding_id, agent_id="agent-7"))["binding_code"]
    passport = await site.exchange_binding_code(code, expected_binding_id=asked.binding_id)
    assert isinstance(passport, BindingPassport)
    return passport


async def test_a_human_binds_an_agent(site: Any, fake: FakeLime) -> None:
    verifier = secrets.token_urlsafe(32)
    asked = await site.create_binding_request(
        redirect_uri=CALLBACK, state="mine", code_verifier=verifier
    )
    assert (asked.status, asked.state) == ("PENDING", "mine")
    assert asked.connect_url == f"{fake.issuer}/connect?id={asked.binding_id}"
    assert asked.expires_at.tzinfo is not None
    back = fake.bind(asked.binding_id, agent_id="agent-7", user_id="owner-7")
    assert back.startswith(f"{CALLBACK}?binding_code=bc_")
    query = query_of(back)
    assert query["state"] == "mine"
    passport = await site.exchange_binding_code(
        query["binding_code"],
        expected_binding_id=asked.binding_id,
        state="mine",
        code_verifier=verifier,
    )
    assert (passport.agent_id, passport.user_id) == ("agent-7", "owner-7")
    assert (passport.binding_id, passport.site_id) == (asked.binding_id, fake.site_id)
    assert passport.valid is True
    assert passport.claims["agent_id"] == passport.claims["sub"] == "agent-7"
    assert passport.expires_at.timestamp() == passport.claims["exp"]
    assert passport.jti == passport.claims["jti"]


async def test_a_code_in_the_wrong_browser_binds_nothing(site: Any, fake: FakeLime) -> None:
    verifier = secrets.token_urlsafe(32)
    asked = await site.create_binding_request(redirect_uri=CALLBACK, code_verifier=verifier)
    other = await site.create_binding_request(redirect_uri=f"{CALLBACK}?x=1")
    code = query_of(fake.bind(asked.binding_id))["binding_code"]
    right = {
        "expected_binding_id": asked.binding_id,
        "state": asked.state,
        "code_verifier": verifier,
    }
    for wrong in (
        {"expected_binding_id": other.binding_id},
        {"state": other.state},
        {"code_verifier": None},
        {"code_verifier": secrets.token_urlsafe(32)},
    ):
        with pytest.raises(BindingCodeError):
            await site.exchange_binding_code(code, **{**right, **wrong})
    with pytest.raises(BindingCodeError):
        await site.exchange_binding_code("bc_other", **right)
    assert (await site.exchange_binding_code(code, **right)).binding_id == asked.binding_id
    # It is spent, and not even its first answer is for who shows something else.
    with pytest.raises(BindingCodeError):
        await site.exchange_binding_code(code, **{**right, "state": None})


@pytest.mark.parametrize("known", [{}, {"site_id": "site-1"}], ids=["the site's id", "the keys"])
async def test_a_code_is_not_spent_before_its_passport_can_be_proved(
    make: Any, fake: FakeLime, clock: Any, known: dict[str, str]
) -> None:
    fake.site_id = "site-1"
    site = make(clock=clock, **known)
    asked = await site.create_binding_request(redirect_uri=CALLBACK)
    code = query_of(fake.bind(asked.binding_id))["binding_code"]
    fake.fail(503, "SITE_TOKEN_AUTH_UNAVAILABLE")
    with pytest.raises(KeysUnavailableError if known else SiteAuthUnavailableError):
        await site.exchange_binding_code(code, expected_binding_id=asked.binding_id)
    assert ("POST", "/modules/bindings/exchange") not in fake.calls
    clock.advance(MIN_INTERVAL)
    passport = await site.exchange_binding_code(code, expected_binding_id=asked.binding_id)
    assert passport.binding_id == asked.binding_id


async def test_the_same_exchange_again_gives_the_first_answer(site: Any, fake: FakeLime) -> None:
    asked = await site.create_binding_request(redirect_uri=CALLBACK)
    code = query_of(fake.bind(asked.binding_id))["binding_code"]
    first, second = [
        await site.exchange_binding_code(code, expected_binding_id=asked.binding_id)
        for _ in range(2)
    ]
    assert first == second


def test_without_a_key_the_fake_exchanges_a_code_once(fake: FakeLime) -> None:
    with fake.site_sync() as site:
        asked = site.create_binding_request(redirect_uri=CALLBACK)
    body = {"binding_code": query_of(fake.bind(asked.binding_id))["binding_code"]}
    headers = {"x-site-token": fake.site_token}
    with httpx.Client(transport=fake.transport, base_url=fake.base_url) as client:
        answers = [
            client.post("/modules/bindings/exchange", headers=headers, json=body) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 400]


async def test_a_refusal_comes_back_with_the_browser(site: Any, fake: FakeLime) -> None:
    asked = await site.create_binding_request(redirect_uri=f"{CALLBACK}?from=account")
    back = fake.refuse_binding(asked.binding_id)
    assert query_of(back) == {"from": "account", "error": "access_denied", "state": asked.state}
    assert (await site.get_binding(asked.binding_id)).status == "REFUSED"
    with pytest.raises(ValueError, match="REFUSED"):
        fake.bind(asked.binding_id)


async def test_bindings_are_listed_and_ended(site: Any, fake: FakeLime) -> None:
    first, second = await bound(site, fake), await bound(site, fake)
    open_one = await site.create_binding_request(redirect_uri=CALLBACK)
    page = await site.list_bindings()
    assert [each.binding_id for each in page.items] == [second.binding_id, first.binding_id]
    assert page.next_cursor is None
    assert all(each.is_active and each.agent_id == "agent-7" for each in page.items)
    ended = await site.end_binding(first.binding_id)
    assert (ended.status, ended.ended_by, ended.is_active) == ("ENDED", "site", False)
    assert ended.bound_at is not None
    assert ended.ended_at is not None
    fake.end_binding(second.binding_id)
    assert (await site.get_binding(second.binding_id)).ended_by == "owner"
    # Again: nothing changes.
    assert (await site.end_binding(second.binding_id)).ended_by == "owner"
    pending = await site.get_binding(open_one.binding_id)
    assert (pending.status, pending.agent_id, pending.bound_at) == ("PENDING", None, None)
    for attempt in (site.end_binding(open_one.binding_id), site.get_binding("unknown")):
        with pytest.raises(ApiError) as caught:
            await attempt
        assert (caught.value.http_status, caught.value.code) == (404, "BINDING_NOT_FOUND")


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_an_id_that_is_none_goes_nowhere(site: Any, fake: FakeLime, name: str) -> None:
    for call in (site.get_binding, site.end_binding):
        with pytest.raises(ValueError, match="segment"):
            await call(name)
    assert fake.calls == []


async def test_an_id_that_looks_like_a_path_stays_one_segment(site: Any, fake: FakeLime) -> None:
    with pytest.raises(ApiError):
        await site.end_binding("../../core/agents/me")
    ((method, path),) = fake.calls
    assert method == "DELETE"
    assert path.startswith("/modules/bindings/of-site/")


def test_the_fake_knows_no_other_paths(fake: FakeLime) -> None:
    with httpx.Client(transport=fake.transport, base_url=fake.base_url) as client:
        headers = {"x-site-token": fake.site_token}
        answer = client.post("/modules/bindings/elsewhere", headers=headers)
    assert answer.status_code == 404


@pytest.mark.parametrize("verifier", ["", "short", "x" * 129, "é" * 43, "x" * 42 + "\n"])
async def test_a_verifier_has_its_form(site: Any, fake: FakeLime, verifier: str) -> None:
    with pytest.raises(ValueError, match="43 to 128"):
        await site.create_binding_request(redirect_uri=CALLBACK, code_verifier=verifier)
    assert fake.calls == []


# Passports


async def test_a_binding_passport_is_verified_by_hand(site: Any, fake: FakeLime) -> None:
    jwt = fake.binding_passport(BINDING, agent_id="agent-7", claims={"agent_id": "agent-8"})
    for expected in (BINDING, None):
        passport = await site.verify_binding_passport(jwt, expected_binding_id=expected)
        assert passport.agent_id == passport.claims["agent_id"] == "agent-7"
        assert passport.binding_id == BINDING


REFUSED: dict[str, dict[str, object]] = {
    "another binding": {"binding_id": "another"},
    "no binding": {"binding_id": None},
    "an empty binding": {"binding_id": ""},
    "another site": {"site_id": "another"},
    "no site": {"site_id": None},
    "another audience": {"aud": "lime-site-login"},
    "audience as a list": {"aud": ["lime-binding"]},
    "another issuer": {"iss": "https://evil.example"},
    "no agent": {"sub": None},
    "no owner": {"user_id": None},
    "an owner that is a number": {"user_id": 7},
    "too long a life": {"exp": 4_000_000_000},
    "no end": {"exp": None},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
async def test_a_binding_passport_that_says_the_wrong_thing_is_refused(
    site: Any, fake: FakeLime, changes: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    jwt = fake.binding_passport(BINDING, claims=changes)
    with pytest.raises(InvalidPassportError) as caught:
        await site.verify_binding_passport(jwt, expected_binding_id=BINDING)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert jwt not in caplog.text


async def test_an_empty_expectation_matches_nothing(site: Any, fake: FakeLime) -> None:
    with pytest.raises(InvalidPassportError):
        await site.verify_binding_passport(fake.binding_passport(BINDING), expected_binding_id="")


async def test_one_kind_of_passport_is_not_the_other(
    site: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        with pytest.raises(InvalidPassportError):
            await site.verify_binding_passport(fake.passport(BINDING))
        with pytest.raises(InvalidPassportError):
            await site.verify_passport(fake.binding_passport(BINDING))
        # Also with claims that are right: the header alone tells them apart.
        claims = {"aud": "lime-binding", "binding_id": BINDING, "request_id": None}
        jwt = fake._sign(fake._claims("x", "agent-1"), claims, typ=TYP_LOGIN)
        with pytest.raises(InvalidPassportError):
            await site.verify_binding_passport(jwt)
    assert caplog.text.count("passport refused") == 3


async def test_a_program_of_version_2_that_exchanges_by_hand(
    fake_lime_for_sites: FakeLime,
) -> None:
    fake = fake_lime_for_sites
    site = LimeSite()
    req = await site.create_binding_request(redirect_uri=CALLBACK)
    kept = (req.binding_id, req.connect_url, req.status, req.expires_at)
    assert all(kept)
    code = query_of(fake.bind(req.binding_id))["binding_code"]
    async with httpx.AsyncClient(transport=fake.transport) as client:
        answer = await client.post(
            f"{fake.base_url}/modules/bindings/exchange",
            headers={"X-Site-Token": fake.site_token},
            json={"binding_code": code},
        )
    verified = await site.verify_binding_passport(answer.json()["data"]["passport"])
    assert verified.valid is True
    assert not isinstance(verified, PassportVerificationResult)
    assert verified.claims["binding_id"] == req.binding_id
    assert verified.claims["agent_id"] == "agent-1"
    await site.aclose()


# What goes over the wire

ASKED = {
    "binding_id": BINDING,
    "connect_url": f"https://lime.example/connect?id={BINDING}",
    "status": "PENDING",
    "expires_at": "2026-11-23T10:00:00Z",
    "a_field_of_a_newer_server": 7,
}


@pytest.mark.parametrize("kind", [LimeSite, LimeSiteSync])
async def test_what_is_sent(kind: Any, respx_mock: respx.MockRouter, make_call: Any) -> None:
    asked = respx_mock.post(f"{BASE}/modules/bindings/requests").respond(
        201, json={"ok": True, "data": ASKED}
    )
    made = await make_call(kind, lambda site: site.create_binding_request(redirect_uri=CALLBACK))
    assert json.loads(asked.calls.last.request.content) == {"redirect_uri": CALLBACK}
    # The clients in the wild get no state from an older server.
    assert made.state is None
    verifier = "v" * 43
    digest = hashlib.sha256(verifier.encode()).digest()
    await make_call(
        kind,
        lambda site: site.create_binding_request(
            redirect_uri=CALLBACK, state="s", code_verifier=verifier
        ),
    )
    assert json.loads(asked.calls.last.request.content) == {
        "redirect_uri": CALLBACK,
        "state": "s",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    listed = respx_mock.get(f"{BASE}/modules/bindings/of-site").respond(
        json={"ok": True, "data": {"items": [], "next_cursor": "next"}}
    )
    page = await make_call(kind, lambda site: site.list_bindings(cursor="c", limit=3))
    assert dict(listed.calls.last.request.url.params) == {"cursor": "c", "limit": "3"}
    assert (page.items, page.next_cursor) == ((), "next")


@pytest.mark.parametrize("kind", [LimeSite, LimeSiteSync])
async def test_a_lost_answer_is_asked_for_again_under_one_key(
    kind: Any, respx_mock: respx.MockRouter, make_call: Any, fake: FakeLime
) -> None:
    respx_mock.get(f"{BASE}/core/.well-known/jwks.json").respond(
        json=json.loads(
            httpx.Client(transport=fake.transport)
            .get(f"{fake.base_url}/core/.well-known/jwks.json")
            .content
        )
    )
    jwt = fake.binding_passport(BINDING, claims={"iss": "https://lime.example"})
    exchange = respx_mock.post(f"{BASE}/modules/bindings/exchange").mock(
        side_effect=[
            httpx.ReadError("the line was cut"),
            httpx.Response(200, json={"ok": True, "data": {"passport": jwt}}),
        ]
    )
    passport = await make_call(
        kind,
        lambda site: site.exchange_binding_code("bc_x", expected_binding_id=BINDING),
        site_id=fake.site_id,
    )
    assert passport.binding_id == BINDING
    first, second = (call.request for call in exchange.calls)
    assert first.content == second.content
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert re.fullmatch("[0-9a-f]{64}", first.headers["idempotency-key"])
