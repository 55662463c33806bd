"""Protocol section 8: access tokens for MCP servers."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from tests.contract.promises import promise
from tests.support.deployment import Deployment
from tests.support.oauth_client import (
    CALLBACK,
    RESOURCE,
    STATE,
    Desk,
    Program,
    basic,
    oauth_error,
    query_of,
)
from tests.support.tokens import parts
from tests.support.wire import Agent, Site, Wire, data, refusal

API = "/api/v1/modules/oauth"
PLACES = (
    f"{API}/.well-known/oauth-authorization-server",
    f"/.well-known/oauth-authorization-server{API}",
    f"/.well-known/openid-configuration{API}",
    f"{API}/.well-known/openid-configuration",
)
COMMON = {"iss", "aud", "sub", "domain", "client_id", "scope", "iat", "exp", "jti"}


@pytest.fixture
def desk(deployment: Deployment, wire: Wire) -> Iterator[Desk]:
    """The endpoints, and the owner of all agents."""
    with Desk(wire.api_base, deployment.browser()) as desk:
        yield desk


@pytest.fixture
def caller(desk: Desk, agent: Agent) -> Agent:
    """An agent that may use MCP servers."""
    return desk.let(agent)


@pytest.fixture
def program(desk: Desk) -> Program:
    """A public client."""
    return desk.program()


def proven(wire: Wire, token: str, audience: str = "mcp") -> dict[str, object]:
    """The claims of an access token, checked by PyJWT."""
    keys = jwt.PyJWKSet.from_dict(wire.jwks().json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(
        token, key.key, algorithms=["RS256"], audience=audience, leeway=30
    )
    return claims


# Metadata


@promise("mcp:metadata:places", "conventions:spec-documents")
def test_the_metadata_is_one_document_at_four_places(wire: Wire) -> None:
    root = wire.api_base.removesuffix("/api/v1")
    found = [httpx.get(root + place, trust_env=False) for place in PLACES]
    assert [answer.status_code for answer in found] == [200] * 4
    assert len({answer.content for answer in found}) == 1
    assert {answer.headers["content-type"] for answer in found} == {"application/json"}
    document = found[0].json()
    assert "ok" not in document
    assert document["issuer"] == f"{wire.api_base}/modules/oauth"


@promise("mcp:metadata:issuer")
def test_the_issuer_does_not_follow_the_host_header(wire: Wire, desk: Desk) -> None:
    root = wire.api_base.removesuffix("/api/v1")
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    for place in PLACES:
        honest = httpx.get(root + place, trust_env=False)
        for headers in (forged, {"Host": "evil.example"}):
            answer = httpx.get(root + place, headers=headers, trust_env=False)
            # Another host than ours may be refused; it is never repeated.
            assert "evil.example" not in answer.text
            if answer.status_code == 200:
                assert answer.content == honest.content


@promise("mcp:metadata:content")
def test_the_metadata_lists_what_clients_look_for(wire: Wire) -> None:
    document = wire.http.get("/modules/oauth/.well-known/oauth-authorization-server").json()
    issuer = f"{wire.api_base}/modules/oauth"
    for name in ("authorization", "token", "revocation", "introspection"):
        assert document[f"{name}_endpoint"].startswith(f"{issuer}/")
    assert document["registration_endpoint"] == f"{issuer}/register"
    assert urlsplit(document["jwks_uri"]).netloc == urlsplit(issuer).netloc
    assert httpx.get(document["jwks_uri"], trust_env=False).json() == wire.jwks().json()
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["response_types_supported"] == ["code"]
    methods = {"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}
    assert set(document["token_endpoint_auth_methods_supported"]) == methods
    assert document["token_endpoint_auth_signing_alg_values_supported"]
    grants = {"authorization_code", "refresh_token", "client_credentials"}
    assert set(document["grant_types_supported"]) == grants
    assert document["scopes_supported"] == ["mcp"]
    assert document["client_id_metadata_document_supported"] is True
    assert document["authorization_response_iss_parameter_supported"] is True


# The short form


@promise("mcp:short-form")
def test_the_short_form_has_three_members_to_the_byte(desk: Desk, caller: Agent) -> None:
    answer = desk.short(caller, "mcp.shop.com")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    token = answer.json()["access_token"]
    written = {"access_token": token, "token_type": "Bearer", "expires_in": 300}
    assert answer.content == json.dumps(written, separators=(",", ":")).encode()


@promise("mcp:claims", "times:mcp-token")
def test_a_token_says_what_the_table_says(wire: Wire, desk: Desk, caller: Agent) -> None:
    token = desk.short(caller, "MCP.Shop.com").json()["access_token"]
    assert parts(token)[0]["typ"] == "at+jwt"
    claims = proven(wire, token)
    assert claims.keys() == COMMON
    assert (claims["iss"], claims["aud"], claims["sub"]) == (desk.issuer, "mcp", caller.agent_id)
    assert claims["domain"] == "mcp.shop.com"
    assert claims["client_id"] == caller.agent_id
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 300


_NO_HOST = [
    "https://mcp.shop.com",
    "mcp.shop.com:443",
    "mcp.shop.com/mcp",
    "user@mcp.shop.com",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "[::1]",
    "mcp.shop.com.",
    "",
    " ",
    "m\u00fcnchen.shop.com",
    "a" * 300 + ".com",
    None,
    5,
    ["mcp.shop.com"],
]


@promise("mcp:short-form:domain")
@pytest.mark.parametrize("domain", _NO_HOST, ids=repr)
def test_a_domain_is_a_host_name(desk: Desk, caller: Agent, domain: object) -> None:
    assert oauth_error(desk.short(caller, domain)) == (400, "invalid_request")


@promise("mcp:short-form:refusals")
def test_the_short_form_refuses_as_rfc_6749_says(
    deployment: Deployment, desk: Desk, agent: Agent, site: Site
) -> None:
    body = {"domain": "mcp.shop.com"}
    post = desk.http.post
    assert oauth_error(post("/token", json=body)) == (401, "invalid_client")
    for wrong in ("at_" + "A" * 43, site.token, "x"):
        answer = post("/token", json=body, headers={"X-Agent-Token": wrong})
        assert oauth_error(answer) == (401, "invalid_client")
    # Without the capability.
    assert oauth_error(desk.short(agent, "mcp.shop.com")) == (403, "access_denied")
    for bad in ({}, body | {"more": 1}, [], "mcp.shop.com"):
        answer = post("/token", json=bad, headers=agent.headers)
        assert oauth_error(answer) == (400, "invalid_request")
    deployment.switch_off(agent)
    (answer,) = deployment.once_noticed(lambda: [desk.short(agent, "mcp.shop.com")])
    assert oauth_error(answer) == (403, "access_denied")


# Forms


@promise("mcp:client-credentials")
def test_an_agent_is_a_confidential_client(wire: Wire, desk: Desk, caller: Agent) -> None:
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    proofs: list[tuple[dict[str, str], dict[str, str]]] = [
        (basic(caller.agent_id, caller.token), {}),
        ({}, {"client_id": caller.agent_id, "client_secret": caller.token}),
    ]
    for headers, credentials in proofs:
        answer = desk.token(form | credentials, headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
        claims = proven(wire, body["access_token"])
        assert claims.keys() == COMMON
        assert (claims["aud"], claims["domain"]) == (["mcp", RESOURCE], "mcp.shop.com")
        assert (claims["sub"], claims["client_id"]) == (caller.agent_id, caller.agent_id)
    by_name = form | {"domain": "mcp.shop.com"}
    del by_name["resource"]
    answer = desk.token(by_name, basic(caller.agent_id, caller.token))
    assert proven(wire, answer.json()["access_token"])["aud"] == "mcp"


@promise("mcp:code")
def test_a_client_acts_for_an_owners_agent(
    wire: Wire, desk: Desk, program: Program, caller: Agent
) -> None:
    # 1. Asking leads to the consent page, with the same query.
    asked = program.opens()
    assert asked.status_code == 303
    page, _, query = asked.headers["location"].partition("?")
    assert page == f"{wire.api_base.removesuffix('/api/v1')}/consent/"
    assert query_of(f"?{query}") == program.request()
    # 2. The owner's answer leads back, with a code, the state, and whose answer it is.
    redirect_to = data(program.allowed(caller))["redirect_to"]
    assert redirect_to.partition("?")[0] == CALLBACK
    brought = query_of(redirect_to)
    assert brought.keys() == {"code", "state", "iss"}
    assert (brought["state"], brought["iss"]) == (STATE, desk.issuer)
    # 3. The code gives tokens for that server and that agent.
    answer = desk.token(program.exchange(brought["code"])).json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    claims = proven(wire, answer["access_token"])
    assert claims.keys() == COMMON | {"sid"}
    assert (claims["aud"], claims["sub"]) == (["mcp", RESOURCE], caller.agent_id)
    assert claims["client_id"] == program.client_id
    # 4. And so does its refresh token.
    again = desk.token(program.refresh(answer["refresh_token"])).json()
    assert proven(wire, again["access_token"])["sid"] == claims["sid"]
    assert again["refresh_token"] != answer["refresh_token"]


@promise("mcp:refusal")
def test_a_client_hears_that_an_owner_refused(desk: Desk, program: Program) -> None:
    body = {"request": program.request()}
    answer = desk.http.post("/consent/refuse", json=body, headers=desk.browser.headers)
    brought = query_of(data(answer)["redirect_to"])
    assert brought.pop("error_description")
    assert brought == {"error": "access_denied", "state": STATE, "iss": desk.issuer}


@promise("mcp:authorize:errors")
def test_what_is_wrong_is_told_to_the_client_or_shown(desk: Desk, program: Program) -> None:
    told = program.opens(code_challenge=None)
    assert told.status_code == 303
    brought = query_of(told.headers["location"])
    assert (brought["error"], brought["iss"]) == ("invalid_request", desk.issuer)
    # One digit away, whichever digit that is.
    stranger = program.client_id[:-1] + ("0" if program.client_id[-1] != "0" else "1")
    for unknown in ({"client_id": stranger}, {"redirect_uri": CALLBACK + "/"}):
        shown = program.opens(**unknown)
        assert shown.status_code == 400
        assert "location" not in shown.headers
        assert shown.headers["content-type"].startswith("text/html")


@promise("mcp:registration")
def test_whoever_registers_is_told_what_was_accepted(desk: Desk) -> None:
    answer = desk.register(application_type="native", logo_uri="https://a.example/x.png")
    assert answer.status_code == 201
    facts = answer.json()
    assert facts["redirect_uris"] == [CALLBACK]
    assert facts["token_endpoint_auth_method"] == "none"
    assert set(facts["grant_types"]) == {"authorization_code", "refresh_token"}
    assert {"client_secret", "application_type", "logo_uri", "ok"}.isdisjoint(facts)
    secret = desk.register(token_endpoint_auth_method="client_secret_basic").json()
    assert secret["client_secret"]
    assert secret["client_secret_expires_at"] == 0


@promise("mcp:revocation", "mcp:introspection")
def test_a_token_that_was_given_back_is_inactive(
    desk: Desk, caller: Agent, other_agent: Agent
) -> None:
    program = desk.program(token_endpoint_auth_method="client_secret_basic")
    proof = basic(program.client_id, program.facts["client_secret"])
    form = program.exchange(program.code(caller), client_id=None)
    tokens = desk.token(form, proof).json()
    known = desk.introspected(tokens["access_token"], proof)
    assert known["active"] is True
    assert (known["sub"], known["aud"]) == (caller.agent_id, ["mcp", RESOURCE])
    # Nobody else learns anything, or ends anything.
    stranger = basic(other_agent.agent_id, other_agent.token)
    assert desk.introspected(tokens["access_token"], stranger) == {"active": False}
    given_back = {"token": tokens["refresh_token"]}
    assert desk.http.post("/revoke", data=given_back, headers=stranger).status_code == 200
    assert desk.introspected(tokens["access_token"], proof)["active"] is True
    for _ in range(2):
        answer = desk.http.post("/revoke", data=given_back, headers=proof)
        assert (answer.status_code, answer.json()) == (200, {})
    assert desk.introspected(tokens["access_token"], proof) == {"active": False}


@promise("mcp:grants")
def test_an_owner_lists_and_takes_back(desk: Desk, program: Program, caller: Agent) -> None:
    tokens = program.tokens(caller)
    (grant,) = [one for one in desk.grants() if one["client"]["client_id"] == program.client_id]
    assert (grant["agent"]["agent_id"], grant["resource"]) == (caller.agent_id, RESOURCE)
    path = f"/grants/{grant['grant_id']}"
    assert refusal(desk.http.delete(path)) == (401, "NOT_SIGNED_IN")
    data(desk.http.delete(path, headers=desk.browser.headers))
    answer = desk.token(program.refresh(tokens["refresh_token"]))
    assert oauth_error(answer) == (400, "invalid_grant")


@promise("mcp:errors")
def test_every_refusal_of_an_endpoint_has_two_members(desk: Desk, caller: Agent) -> None:
    http, mine = desk.http, basic(caller.agent_id, caller.token)
    for endpoint in ("/token", "/revoke", "/introspect"):
        for content in ("{", "a=%ff", "a=1&a=2", "x" * 200_000, ""):
            for kind in ("application/x-www-form-urlencoded", "text/plain"):
                headers = {**mine, "Content-Type": kind}
                status, code = oauth_error(http.post(endpoint, content=content, headers=headers))
                assert (status, code) in {(400, "invalid_request"), (413, "invalid_request")}
    unknown = oauth_error(desk.token({"grant_type": "password"}, mine))
    assert unknown == (400, "unsupported_grant_type")
    answer = desk.token({"grant_type": "client_credentials"}, basic(caller.agent_id, "x"))
    assert oauth_error(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert oauth_error(http.get("/token"))[0] == 405
    assert oauth_error(http.post("/register", json=[])) == (400, "invalid_client_metadata")


@promise("mcp:cors")
def test_pages_anywhere_may_call_what_needs_no_cookie(desk: Desk) -> None:
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    for path in ("/token", "/register", "/revoke"):
        answer = desk.http.options(path, headers=ask)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    for path in ("/authorize", "/consent", "/grants"):
        answer = desk.http.options(path, headers=ask)
        assert "access-control-allow-origin" not in answer.headers


@promise("mcp:keys")
def test_an_owner_keeps_an_agents_public_keys(desk: Desk, caller: Agent) -> None:
    path = f"{desk.api_base}/core/agents/{caller.agent_id}/keys"
    # RFC 8037, appendix A.
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    put, session = desk.http.put, desk.browser.headers
    (kept,) = data(put(path, json={"keys": [key]}, headers=session))["keys"]
    assert kept["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert data(desk.http.get(path, headers=session))["keys"] == [kept]
    private = key | {"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
    assert refusal(put(path, json={"keys": [private]}, headers=session))[0] == 400
    assert refusal(put(path, json={"keys": [key] * 9}, headers=session))[0] == 400
    assert data(desk.http.get(path, headers=session))["keys"] == [kept]
    assert data(put(path, json={"keys": []}, headers=session))["keys"] == []
