"""Client authentication (OAuth 2.1, section 2.4; RFC 7523), and the keys it is done with."""

import base64
import hashlib
import json
import logging
import uuid
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from lime_server.core.errors import InvalidInput
from lime_server.infrastructure.oauth_crypto import (
    MAX_ASSERTION,
    PyJwtAssertions,
    PyJwtKeys,
    RingAccessTokens,
)
from lime_server.modules.mcp_oauth.client_authentication import ASSERTION_TYPE
from lime_server.modules.mcp_oauth.model import AuthMethod
from lime_server.modules.mcp_oauth.ports import AssertionRefused

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
PUBLIC = {
    "RS256": json.loads(RSAAlgorithm.to_jwk(RSA.public_key())),
    "PS256": json.loads(RSAAlgorithm.to_jwk(RSA.public_key())),
    "ES256": json.loads(ECAlgorithm.to_jwk(P256.public_key())),
    "ES384": json.loads(ECAlgorithm.to_jwk(P384.public_key())),
    "EdDSA": json.loads(OKPAlgorithm.to_jwk(ED.public_key())),
}
PRIVATE = {"RS256": RSA, "PS256": RSA, "ES256": P256, "ES384": P384, "EdDSA": ED}
for _jwk in PUBLIC.values():
    _jwk.pop("key_ops", None)


def refused(response, status, error):
    assert response.status_code == status, response.text
    assert response.json()["error"] == error
    return response


def basic(user, secret):
    text = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@pytest.fixture
def asking(small_world, small_api):
    """Asks for a token by an assertion of Ada's agent, with every claim as it must be."""
    world = small_world

    async def ask(alg="RS256", *, header=None, form=None, key=None, **claims):
        text = assertion(world, alg, header=header, key=key, **claims)
        return await small_api.token(
            {
                "grant_type": "client_credentials",
                "domain": "mcp.shop.com",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": text,
            }
            | (form or {})
        )

    return ask


def assertion(world, alg="RS256", *, header=None, key=None, **claims):
    now = int(world.clock.now().timestamp())
    every = {
        "iss": world.agent.agent_id,
        "sub": world.agent.agent_id,
        "aud": "https://lime.example/api/v1/modules/oauth",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
    } | claims
    kept = {name: value for name, value in every.items() if value is not None}
    return jwt.encode(kept, key or PRIVATE[alg], algorithm=alg, headers=header)


async def keys_of(world, *jwks):
    await world.oauth.agent_keys.replace(
        world.agent.agent_id, [PyJwtKeys().clean(jwk) for jwk in jwks]
    )


@pytest.mark.parametrize("alg", PUBLIC)
async def test_an_agent_proves_itself_with_a_key_of_every_kind(small_world, asking, alg):
    await keys_of(small_world, PUBLIC[alg])
    assert (await asking(alg)).status_code == 200
    token_endpoint = "https://lime.example/api/v1/modules/oauth/token"
    assert (await asking(alg, aud=["https://x.example", token_endpoint])).status_code == 200
    kid = PyJwtKeys().clean(PUBLIC[alg])["kid"]
    assert (await asking(alg, header={"kid": kid})).status_code == 200
    refused(await asking(alg, header={"kid": "another"}), 401, "invalid_client")


async def test_an_assertion_opens_the_door_once(world, api):
    await keys_of(world, PUBLIC["ES256"])
    form = {
        "grant_type": "client_credentials",
        "domain": "mcp.shop.com",
        "client_id": world.agent.agent_id,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion(world, "ES256"),
    }
    assert (await api.token(form)).status_code == 200
    refused(await api.token(form), 401, "invalid_client")


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"aud": "https://other.example"},
        {"aud": ["https://other.example", 7]},
        {"aud": None},
        {"exp": None},
        {"exp": True},
        {"exp": "soon"},
        {"exp": 1e300},
        {"exp": 10**400},
        {"exp": 253402300799},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 1},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 257},
        {"jti": "\ud800"},
        {"sub": "\udfff"},
        {"iss": "\ud800"},
        {"iat": 4e9},
        {"nbf": 4e9},
        {"nbf": "x"},
        {"header": {"crit": ["b64"], "b64": False}},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"form": {"client_id": "another"}},
        {"form": {"client_assertion": "x.y"}},
        {"form": {"client_assertion": "x.y.z"}},
        {"form": {"client_assertion": "x" * (MAX_ASSERTION + 1)}},
    ],
    # A new key shows another address in each process, and workers must agree on names.
    ids=lambda wrong: "key" if "key" in wrong else str(wrong)[:60],
)
async def test_every_flaw_of_an_assertion_looks_the_same_from_outside(
    small_world, asking, caplog, wrong
):
    await keys_of(small_world, PUBLIC["ES256"])
    caplog.set_level(logging.INFO)
    answer = refused(await asking("ES256", **wrong), 401, "invalid_client")
    assert (
        answer.json()["error_description"]
        == "The client is unknown, or could not be authenticated."
    )
    assert "an OAuth client was refused: " in caplog.text


async def test_of_several_keys_the_one_that_fits_is_taken(small_world, asking):
    await keys_of(small_world, PUBLIC["RS256"], PUBLIC["ES256"], PUBLIC["EdDSA"])
    for alg in ("ES256", "RS256", "EdDSA"):
        assert (await asking(alg)).status_code == 200


async def test_an_assertion_may_not_live_for_an_hour(small_world, asking):
    await keys_of(small_world, PUBLIC["ES256"])
    now = int(small_world.clock.now().timestamp())
    assert (await asking("ES256", exp=now + 300, iat=None)).status_code == 200
    refused(await asking("ES256", exp=now + 3600), 401, "invalid_client")
    refused(await asking("ES256", exp=now - 30), 401, "invalid_client")
    assert (await asking("ES256", exp=now - 29, nbf=now + 29.5)).status_code == 200


async def test_an_algorithm_is_the_keys_and_not_the_assertions(small_world, asking):
    await keys_of(small_world, PUBLIC["RS256"] | {"alg": "PS256"})
    assert (await asking("PS256")).status_code == 200
    refused(await asking("RS256"), 401, "invalid_client")
    refused(await asking("ES256"), 401, "invalid_client")
    forged = assertion(small_world, "PS256").split(".")
    for alg in ("none", "HS256"):
        head = base64.urlsafe_b64encode(json.dumps({"alg": alg}).encode()).rstrip(b"=").decode()
        text = ".".join([head, *forged[1:]])
        refused(await asking(form={"client_assertion": text}), 401, "invalid_client")


async def test_another_type_of_assertion_is_said_to_be_one(asking):
    refused(await asking(form={"client_assertion_type": "saml"}), 400, "invalid_request")


async def test_payloads_that_are_no_claims(small_world):
    head = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()
    for payload in (b"[]", b"{", b'{"sub":"a","sub":"b"}', b"\xff"):
        middle = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
        with pytest.raises(AssertionRefused):
            PyJwtAssertions().unverified_subject(f"{head}.{middle}.AA")
    with pytest.raises(AssertionRefused):
        PyJwtAssertions().unverified_subject(f"{head}.*.AA")


async def test_secrets_in_either_place_and_encoded_or_not(world, api):
    for method in (AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST):
        client = await world.client(method)
        secret = world.secret
        form = {"token": "x"}
        assert (await api.revoke(form, headers=basic(client.client_id, secret))).status_code == 200
        quoted = "".join(f"%{ord(char):02X}" for char in secret)
        assert (await api.revoke(form, headers=basic(client.client_id, quoted))).status_code == 200
        post = {"client_id": client.client_id, "client_secret": secret}
        assert (await api.revoke(form | post)).status_code == 200
        refused(
            await api.revoke(form | post | {"client_secret": "cs_" + "x" * 43}),
            401,
            "invalid_client",
        )
        refused(await api.revoke(form | post | {"client_secret": "x"}), 401, "invalid_client")
        refused(await api.revoke(form | {"client_id": client.client_id}), 401, "invalid_client")


async def test_one_way_only_and_a_challenge_for_basic(small_world, small_api):
    world, api = small_world, small_api
    client = await world.client(AuthMethod.CLIENT_SECRET_BASIC)
    me = basic(client.client_id, world.secret)
    form = {"token": "x"}
    refused(await api.revoke(form | {"client_secret": "x"}, headers=me), 400, "invalid_request")
    refused(await api.revoke(form | {"client_id": "other"}, headers=me), 400, "invalid_request")
    twice = [("Authorization", me["Authorization"])] * 2
    refused(await api.revoke(form, headers=twice), 400, "invalid_request")
    assert (await api.revoke(form | {"client_id": client.client_id}, headers=me)).status_code == 200
    for header in (
        "Basic !",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Bearer " + base64.b64encode(b"a:b").decode(),
        "Basic " + base64.b64encode(b"a" * 2049 + b":b").decode(),
        basic("nobody", "x")["Authorization"],
    ):
        answer = refused(
            await api.revoke(form, headers={"Authorization": header}), 401, "invalid_client"
        )
        assert answer.headers["www-authenticate"].startswith("Basic ")
    answer = refused(await api.revoke(form), 401, "invalid_client")
    assert "www-authenticate" not in answer.headers
    refused(await api.revoke(form | {"client_id": "x" * 2049}), 401, "invalid_client")


async def test_a_client_proves_itself_in_the_way_that_was_agreed(small_world, small_api):
    world, api = small_world, small_api
    public = await world.client(AuthMethod.NONE)
    form = {"token": "x"}
    assert (await api.revoke(form | {"client_id": public.client_id})).status_code == 200
    refused(await api.revoke(form, headers=basic(public.client_id, "x")), 401, "invalid_client")
    keyed = await world.client(
        AuthMethod.PRIVATE_KEY_JWT, jwks=({"kty": "?"}, PyJwtKeys().clean(PUBLIC["EdDSA"]))
    )
    refused(await api.revoke(form | {"client_id": keyed.client_id}), 401, "invalid_client")
    text = assertion(world, "EdDSA", iss=keyed.client_id, sub=keyed.client_id)
    signed = form | {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
    assert (await api.revoke(signed)).status_code == 200


async def test_an_agent_is_a_confidential_client(small_world, small_api):
    world, api = small_world, small_api
    agent_id, form = world.agent.agent_id, {"token": "x"}
    good = world.agent_token.text
    assert (await api.revoke(form, headers=basic(agent_id, good))).status_code == 200
    refused(await api.revoke(form | {"client_id": agent_id}), 401, "invalid_client")
    for secret in ("x", world.stranger_token.text, world.site_token.text):
        refused(await api.revoke(form, headers=basic(agent_id, secret)), 401, "invalid_client")
    await world.allow(active=False)
    refused(await api.revoke(form, headers=basic(agent_id, good)), 403, "access_denied")


# The keys themselves.


def test_a_key_is_kept_with_its_public_members_and_a_name():
    jwk = PUBLIC["ES256"]
    kept = PyJwtKeys().clean(jwk | {"use": "sig", "alg": "ES256", "x5c": ["x"], "kid": "mine"})
    members = {name: jwk[name] for name in ("kty", "crv", "x", "y")}
    assert kept == members | {"kid": "mine", "use": "sig", "alg": "ES256"}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).digest()
    thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert PyJwtKeys().clean(jwk)["kid"] == thumbprint


@pytest.mark.parametrize(
    "unfit",
    [
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        PUBLIC["RS256"] | {"d": "AAAA"},
        PUBLIC["RS256"] | {"use": "enc"},
        PUBLIC["RS256"] | {"alg": "RS1"},
        PUBLIC["RS256"] | {"kid": ""},
        PUBLIC["RS256"] | {"kid": 7},
        json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key())),
        json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(3, 2048).public_key())),
        json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP521R1()).public_key())),
    ],
    ids=lambda jwk: f"{jwk.get('kty')}-{len(jwk)}",
)
def test_an_unfit_key_is_refused(unfit):
    with pytest.raises(InvalidInput, match="A key cannot be used"):
        PyJwtKeys().clean(unfit)


AS_ADA = {
    "Cookie": "__Host-lime_session=ada; lime_csrf=csrf-ada",
    "X-CSRF-Token": "csrf-ada",
    "Origin": "https://lime.example",
}


async def test_an_owner_gives_an_agent_keys_and_takes_them_away(world, api):
    path = f"/api/v1/core/agents/{world.agent.agent_id}/keys"
    assert (await api.http.get(path)).status_code == 401
    assert (await api.http.get(path, headers=AS_ADA)).json()["data"] == {"keys": []}
    keys = [PUBLIC["ES256"], PUBLIC["EdDSA"] | {"kid": "second"}]
    put = await api.http.put(path, headers=AS_ADA, json={"keys": keys})
    assert [key["kid"] for key in put.json()["data"]["keys"]][1] == "second"
    got = await api.http.get(path, headers=AS_ADA)
    assert got.json() == put.json()
    assert await world.actions(world.ada) == ["agent.keys.changed"]
    for wrong in (
        [PUBLIC["ES256"], PUBLIC["ES256"]],
        [PUBLIC["ES256"]] * 9,
        [{}],
    ):
        answer = await api.http.put(path, headers=AS_ADA, json={"keys": wrong})
        assert answer.json()["error"]["code"] == "INVALID_REQUEST"
    strange = f"/api/v1/core/agents/{world.stranger.agent_id}/keys"
    assert (await api.http.put(strange, headers=AS_ADA, json={"keys": []})).status_code == 404
    assert (await api.http.get(strange, headers=AS_ADA)).status_code == 404
    world.door.fresh = False
    again = await api.http.put(path, headers=AS_ADA, json={"keys": []})
    assert again.json()["error"]["code"] == "STEP_UP_REQUIRED"


async def test_more_keys_than_a_body_may_hold_are_refused_by_the_book_too(small_world):
    small_world.app()
    from lime_server.composition.mcp_oauth import token_parts

    book = token_parts(small_world.parts, small_world.oauth.clients).key_book
    with pytest.raises(InvalidInput, match="at most 8"):
        await book.replace(small_world.ada, small_world.agent.agent_id, [PUBLIC["ES256"]] * 9)


async def test_only_our_own_tokens_are_read(small_world, help_):
    reader = RingAccessTokens(SimpleNamespace(jwks=small_world.signer.jwks), help_.ISSUER)
    now = small_world.clock.now()
    for text in ("", "x", "a.b.c", "e30.e30.e30", "e30.W10.e30"):
        assert reader.read(text, now) is None
    for domain in (7, ["mcp.shop.com"], "\ud800", ""):
        payload = base64.urlsafe_b64encode(json.dumps({"domain": domain}).encode()).decode()
        assert reader.read(f"e30.{payload.rstrip('=')}.e30", now) is None


async def test_a_client_that_is_no_text_is_nobody(small_api):
    """Half a surrogate pair cannot be hashed, or looked up; nothing of it is proven yet."""
    payload = base64.urlsafe_b64encode(b'{"sub":"\\ud800"}').rstrip(b"=").decode()
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": f"eyJhbGciOiJFUzI1NiJ9.{payload}.AA",
    }
    refused(await small_api.token(form), 401, "invalid_client")


def test_a_key_deeper_than_the_stack_is_no_key():
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidInput):
        PyJwtKeys().clean(PUBLIC["ES256"] | {"x5c": deep})
