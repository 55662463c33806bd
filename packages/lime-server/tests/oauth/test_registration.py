"""Dynamic registration (RFC 7591), and clients that nobody uses."""

import base64
import json
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from lime_server.core.origin import Origin, coming_from
from lime_server.modules.mcp_oauth import registration as module
from lime_server.modules.mcp_oauth.model import AuthMethod, ClientKind

APP = "https://app.example/callback"
DAY = 86400
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = json.loads(ECAlgorithm.to_jwk(PRIVATE.public_key()))
SECRET = json.loads(ECAlgorithm.to_jwk(PRIVATE))
for _jwk in (PUBLIC, SECRET):
    _jwk.pop("key_ops", None)


@pytest.fixture
def register(small_api, help_):
    async def ask(body=None, *, content=None, headers=None, api=small_api, **metadata):
        if content is None:
            content = json.dumps({"redirect_uris": [APP]} | metadata if body is None else body)
        sent = {"Content-Type": "application/json"} | (headers or {})
        return await api.http.post(f"{help_.ISSUER}/register", content=content, headers=sent)

    return ask


def refused(response, error="invalid_client_metadata"):
    assert response.status_code == 400, response.text
    assert response.json()["error"] == error
    assert response.json()["error_description"]
    assert response.headers["access-control-allow-origin"] == "*"


async def test_a_public_client_gets_an_id_and_no_secret(register, small_world):
    response = await register(
        token_endpoint_auth_method="none",
        client_name="  Tool ",
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        logo_uri="https://app.example/logo.png",
        application_type="native",
        anything={"else": []},
    )
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "*"
    facts = response.json()
    client_id = str(UUID(facts.pop("client_id")))
    assert facts == {
        "client_id_issued_at": int(small_world.clock.now().timestamp()),
        "client_name": "Tool",
        "redirect_uris": [APP],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "mcp",
    }
    client = await small_world.oauth.clients.find(client_id)
    assert client.kind is ClientKind.REGISTERED
    assert client.secret_hash is None


@pytest.mark.parametrize("method", [None, "client_secret_basic", "client_secret_post"])
async def test_a_confidential_client_gets_a_secret_that_works(
    register, small_api, small_world, method
):
    asked = {} if method is None else {"token_endpoint_auth_method": method}
    facts = (await register(**asked)).json()
    # RFC 7591, section 2: the default.
    assert facts["token_endpoint_auth_method"] == (method or "client_secret_basic")
    assert facts["client_secret_expires_at"] == 0
    assert facts["client_name"] == "app.example"
    assert facts["grant_types"] == ["authorization_code"]
    secret = facts["client_secret"]
    assert secret.startswith("cs_")
    client = await small_world.oauth.clients.find(facts["client_id"])
    assert secret not in repr(client)
    form = {"grant_type": "authorization_code", "code": "x"}
    pair = base64.b64encode(f"{facts['client_id']}:{secret}".encode()).decode()
    response = await small_api.token(form, headers={"Authorization": f"Basic {pair}"})
    # Authenticated: what is wrong is the code.
    assert response.json()["error"] == "invalid_grant"
    form |= {"client_id": facts["client_id"], "client_secret": secret[:-1] + "!"}
    assert (await small_api.token(form)).json()["error"] == "invalid_client"


async def test_a_client_with_keys_gets_them_back(register, small_world):
    keys = {"keys": [PUBLIC | {"kid": "one"}]}
    facts = (await register(token_endpoint_auth_method="private_key_jwt", jwks=keys)).json()
    assert "client_secret" not in facts
    assert [key["kid"] for key in facts["jwks"]["keys"]] == ["one"]
    client = await small_world.oauth.clients.find(facts["client_id"])
    assert client.auth_method is AuthMethod.PRIVATE_KEY_JWT
    assert len(client.jwks) == 1


async def test_keys_of_a_client_that_does_not_use_them_are_ignored(register):
    facts = (await register(token_endpoint_auth_method="none", jwks={"keys": [SECRET]})).json()
    assert "jwks" not in facts


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"jwks": {"keys": [PUBLIC]}, "jwks_uri": "https://app.example/jwks"},
        {"jwks_uri": "https://app.example/jwks"},
        {"jwks_uri": 5},
        {"jwks": []},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [PUBLIC] * 9}},
        {"jwks": {"keys": ["key"]}},
        {"jwks": {"keys": [SECRET]}},
        {"jwks": {"keys": [PUBLIC, PUBLIC]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
    ],
)
async def test_unfit_keys_are_refused(register, metadata):
    refused(await register(token_endpoint_auth_method="private_key_jwt", **metadata))


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": ["none"]},
        {"grant_types": ["client_credentials"]},
        {"grant_types": []},
        {"grant_types": "authorization_code"},
        {"grant_types": ["x"] * 33},
        {"response_types": ["token"]},
        {"response_types": []},
        {"client_name": "  "},
        {"client_name": 5},
        {"client_name": "a" * 101},
        {"client_name": "two\nlines"},
        {"client_name": "back\u202ewards"},
    ],
)
async def test_metadata_that_does_not_fit_is_refused(register, metadata):
    refused(await register(**metadata))


async def test_what_we_do_not_have_is_taken_out(register):
    asked = {
        "grant_types": ["authorization_code", "implicit", "client_credentials", ["x"]],
        "response_types": ["code", "token"],
        "scope": "everything offline_access",
    }
    facts = (await register(**asked)).json()
    assert facts["grant_types"] == ["authorization_code"]
    assert facts["response_types"] == ["code"]
    assert facts["scope"] == "mcp"


@pytest.mark.parametrize(
    "uris", [None, [], "https://app.example/", [5], ["javascript:x"], [APP, "http://a.example/"]]
)
async def test_redirect_uris_have_an_error_of_their_own(register, uris):
    refused(await register({"redirect_uris": uris}), "invalid_redirect_uri")
    refused(
        await register({"redirect_uris": [f"{APP}/{n}" for n in range(21)]}), "invalid_redirect_uri"
    )


async def test_an_apps_scheme_is_registered_where_the_operator_says_so(
    register, small_world, help_
):
    refused(await register(redirect_uris=["com.example.app:/cb"]), "invalid_redirect_uri")
    async with help_.serving(small_world, mcp_private_schemes=True) as api:
        response = await register(redirect_uris=["com.example.app:/cb"], api=api)
        assert response.status_code == 201


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "5", b"\xff", '{"redirect_uris": [], "redirect_uris": []}', "[" * 60000],
)
async def test_what_is_no_json_object_is_refused(register, content):
    response = await register(content=content)
    # What is not JSON at all ends at the edge, which cannot know what it was meant to be.
    refused(response, response.json()["error"])
    assert response.json()["error"] in {"invalid_client_metadata", "invalid_request"}


async def test_a_form_is_refused(register):
    refused(await register(headers={"Content-Type": "application/x-www-form-urlencoded"}))


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        (None, None, True),
    ],
)
async def test_an_address_registers_now_and_then(register, one, other, shared):
    with coming_from(Origin("request", one, None)):
        for _ in range(10):
            assert (await register()).status_code == 201
            # What is refused does not count.
            refused(await register(client_name=""))
        late = await register()
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) > 0
    with coming_from(Origin("request", other, None)):
        assert (await register()).status_code == (429 if shared else 201)


async def test_the_limit_can_be_switched_off(register, small_world, help_):
    async with help_.serving(small_world, mcp_registration_rate="off") as api:
        for _ in range(12):
            assert (await register(api=api)).status_code == 201


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_client_that_nobody_uses_is_forgotten(world, api, register, monkeypatch, batch):
    monkeypatch.setattr(module, "_PRUNED_AT_ONCE", batch)

    async def new():
        return (await register(api=api)).json()["client_id"]

    unused, granted, revoked = await new(), await new(), await new()
    find = world.oauth.clients.find
    await world.granted(await find(granted))
    grant = await world.granted(await find(revoked))
    await world.oauth.grants.revoke(grant.grant_id, world.clock.now())
    world.clock.advance(29 * DAY)
    young = await new()
    await world.client_parts.registration.prune()
    assert await find(unused) is not None
    world.clock.advance(2 * DAY)
    await world.client_parts.registration.prune()
    assert [await find(one) is None for one in (unused, granted, revoked, young)] == [
        True,
        False,
        True,
        False,
    ]
    form = {"grant_type": "refresh_token", "client_id": unused, "refresh_token": "rt_x"}
    gone = await api.token(form)
    assert (gone.status_code, gone.json()["error"]) == (401, "invalid_client")
