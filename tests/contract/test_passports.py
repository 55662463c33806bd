"""Protocol section 6, the issuer's side: what our server signs and publishes."""

import json
import re
import uuid

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWKSet

from tests.contract.promises import promise
from tests.support.server import ServeServer
from tests.support.tokens import parts, read, unb64
from tests.support.wire import Agent, Site, Wire, data


@promise("passports:header")
def test_a_passport_is_rs256_with_three_headers(wire: Wire, agent: Agent, site: Site) -> None:
    passport = wire.passport(agent, site)
    header, _ = parts(passport)
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", passport, re.ASCII)
    assert set(header) == {"alg", "kid", "typ"}
    assert header["alg"] == "RS256"
    assert header["typ"] == "lime-passport+jwt"
    assert header["kid"] in {key["kid"] for key in wire.jwks().json()["keys"]}


@promise("passports:rsa")
def test_published_keys_are_rsa_and_verify_what_was_signed(
    wire: Wire, agent: Agent, site: Site
) -> None:
    jwks = wire.jwks().json()
    read(wire.passport(agent, site), jwks)
    for key in PyJWKSet.from_dict(jwks).keys:
        assert isinstance(key.key, rsa.RSAPublicKey)
        assert key.key.key_size >= 2048


@promise("passports:jwks")
def test_the_key_set_says_what_rfc_7517_wants_and_nothing_private(wire: Wire) -> None:
    keys = wire.jwks().json()["keys"]
    assert keys
    for key in keys:
        assert set(key) == {"kty", "n", "e", "kid", "alg", "use"}
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        # RFC 7518 section 6.3.1: no padding, no leading zero octet.
        for number in (key["n"], key["e"]):
            assert re.fullmatch(r"[A-Za-z0-9_-]+", number)
            assert unb64(number)[0] != 0
    assert len({key["kid"] for key in keys}) == len(keys)


@promise("passports:jwks:cacheable")
def test_the_key_set_can_be_cached_and_asked_for_again(wire: Wire) -> None:
    first = wire.jwks()
    assert "max-age=300" in first.headers["cache-control"]
    assert first.headers["content-type"].split(";")[0] in {
        "application/json",
        "application/jwk-set+json",
    }
    etag = first.headers["etag"]
    again = wire.jwks(**{"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert wire.jwks(**{"If-None-Match": '"another"'}).json() == first.json()


@promise("passports:claims")
def test_a_passport_says_what_the_table_says(
    wire: Wire, server: ServeServer, agent: Agent, site: Site
) -> None:
    request_id = wire.login(agent, site)
    claims = parts(data(wire.view(site, request_id, wait=5))["agent_passport_jwt"])[1]
    profile = data(wire.http.get("/core/agents/me/profile", headers=agent.headers))
    assert claims["iss"] == server.public_url
    assert claims["aud"] == "lime-site-login"
    assert claims["sub"] == agent.agent_id
    assert claims["request_id"] == request_id
    assert claims["user_id"] == profile["user_id"]
    assert claims["passport_version"]
    assert type(claims["iat"]) is int
    assert type(claims["exp"]) is int
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert str(uuid.UUID(claims["jti"])) == claims["jti"]


@promise("passports:claims:ours")
def test_a_passport_names_its_site_and_nothing_unlisted(
    wire: Wire, agent: Agent, site: Site
) -> None:
    passport = wire.passport(agent, site)
    claims = parts(passport)[1]
    assert claims["site_id"] == claims["azp"] == site.site_id
    assert type(claims["kyc_level"]) is int
    listed = {
        "iss",
        "aud",
        "sub",
        "iat",
        "exp",
        "nbf",
        "jti",
        "request_id",
        "user_id",
        "passport_version",
        "site_id",
        "azp",
        "kyc_level",
    }
    assert set(claims) <= listed
    assert agent.token not in json.dumps(claims)
