"""Protocol section 6, the verifier's side: everything that a site must refuse, given to our SDK."""

import inspect
import json
import time
from collections.abc import Iterator

import pytest

import lime_sites
from tests.contract.issuer import JWKS, Issuer
from tests.contract.promises import promise
from tests.support.stub import Says
from tests.support.tokens import ForgingKey, b64, unb64

SITE, REQUEST = Issuer.SITE, Issuer.REQUEST
OTHER_SITE = "9a0e5c0b-1f54-4b32-92fd-7c5f4b8f9e02"


@pytest.fixture(scope="module")
def keys() -> list[ForgingKey]:
    """Made once: RSA keys take a while."""
    return [ForgingKey("key-one"), ForgingKey("key-one")]


@pytest.fixture
def issuer(keys: list[ForgingKey]) -> Iterator[Issuer]:
    with Issuer(keys[0]) as issuer:
        yield issuer


@pytest.fixture
def verifier(issuer: Issuer) -> Iterator[lime_sites.LimeSiteSync]:
    with lime_sites.LimeSiteSync(site_token=f"st_{'A' * 43}", base_url=issuer.api_base) as site:
        yield site


def _refused(verifier: lime_sites.LimeSiteSync, token: str) -> None:
    """By both ways of binding it."""
    for expected in (REQUEST, None):
        with pytest.raises(lime_sites.InvalidPassportError):
            verifier.verify_passport(token, expected_request_id=expected)


def _accepted(verifier: lime_sites.LimeSiteSync, token: str) -> None:
    for expected in (REQUEST, None):
        passport = verifier.verify_passport(token, expected_request_id=expected)
        assert passport.claims["sub"] == passport.agent_id


@promise("verifier:returns-or-raises")
def test_a_verifier_returns_the_proven_passport(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    passport = verifier.verify_passport(issuer.passport(), expected_request_id=REQUEST)
    assert type(passport) is lime_sites.Passport
    assert passport.claims["request_id"] == REQUEST
    for nonsense in ("", ".", "..", "a.b.c", "\x00", "é", "null", "{}"):
        _refused(verifier, nonsense)


@promise("verifier:size")
def test_sixteen_kibibytes_are_the_limit(verifier: lime_sites.LimeSiteSync, issuer: Issuer) -> None:
    _accepted(verifier, issuer.passport(padding="x" * 11_000))
    _refused(verifier, issuer.passport(padding="x" * 12_000))


@promise("verifier:segments")
def test_segments_are_three_and_canonical(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    token = issuer.passport()
    header, claims, signature = token.split(".")
    _refused(verifier, f"{header}.{claims}")
    _refused(verifier, f"{token}.")
    _refused(verifier, f"{token}.{signature}")
    _refused(verifier, f"{token}==")
    _refused(verifier, f" {token}")
    _refused(verifier, f"{token}\n")
    # 256 bytes leave four unused bits in the last character: setting one names the same bytes in another way.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(signature[-1]) | 1]
    assert unb64(signature[:-1] + last) == unb64(signature)
    _refused(verifier, token[:-1] + last)
    _refused(
        verifier,
        token.replace("_", "/").replace("-", "+") if set("_-") & set(token) else f"{token}+",
    )


@promise("verifier:algorithm")
@pytest.mark.parametrize(
    "alg", [..., None, "none", "None", "HS256", "RS512", "PS256", "ES256", "rs256", ["RS256"], ""]
)
def test_no_other_algorithm(verifier: lime_sites.LimeSiteSync, issuer: Issuer, alg: object) -> None:
    _refused(verifier, issuer.passport({"alg": alg}))


@promise("verifier:kid")
@pytest.mark.parametrize("kid", [..., None, "", 1, ["key-one"]])
def test_a_kid_must_be_there(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer, kid: object
) -> None:
    _refused(verifier, issuer.passport({"kid": kid}))


@promise("verifier:crit")
@pytest.mark.parametrize("crit", [["exp"], [], None, "exp"])
def test_crit_is_refused(verifier: lime_sites.LimeSiteSync, issuer: Issuer, crit: object) -> None:
    _refused(verifier, issuer.passport({"crit": crit}))


@promise("verifier:embedded-key")
@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"])
def test_a_token_does_not_bring_its_own_key(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer, keys: list[ForgingKey], name: str
) -> None:
    value = {"jwk": keys[1].jwk(), "jku": f"{issuer.api_base}/evil.json", "x5c": ["MIIB"]}.get(
        name, f"{issuer.api_base}/evil"
    )
    header = {"alg": "RS256", "kid": keys[1].kid, "typ": "lime-passport+jwt", name: value}
    _refused(verifier, keys[1].sign(issuer.claims(), header))
    assert issuer.count("/evil.json") == issuer.count("/evil") == 0


@promise("verifier:typ")
def test_a_passport_of_another_kind_is_refused(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    for good in (..., "JWT", "lime-passport+jwt"):
        _accepted(verifier, issuer.passport({"typ": good}))
    for typ in ("lime-binding+jwt", "at+jwt", "", None, 1, "application/x"):
        _refused(verifier, issuer.passport({"typ": typ}))


@promise("verifier:signature")
def test_a_flipped_bit_is_refused(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer, keys: list[ForgingKey]
) -> None:
    token = issuer.passport()
    _accepted(verifier, token)
    header, claims, signature = (bytearray(unb64(each)) for each in token.split("."))
    for segment in (header, claims, signature):
        for at in range(0, len(segment), max(1, len(segment) // 12)):
            segment[at] ^= 1
            _refused(verifier, ".".join(b64(bytes(each)) for each in (header, claims, signature)))
            segment[at] ^= 1
    _refused(verifier, keys[1].sign(issuer.claims()))
    _refused(verifier, token.rpartition(".")[0] + ".")


@promise("verifier:issuer-key")
def test_one_issuer_cannot_speak_for_another(keys: list[ForgingKey]) -> None:
    # Both call their key by the same name. One process talks to both, and asks the dishonest one first.
    with Issuer(keys[0]) as honest, Issuer(keys[1]) as evil:
        token = f"st_{'A' * 43}"
        with (
            lime_sites.LimeSiteSync(site_token=token, base_url=evil.api_base) as at_evil,
            lime_sites.LimeSiteSync(site_token=token, base_url=honest.api_base) as at_honest,
        ):
            _accepted(at_evil, evil.passport())
            _accepted(at_honest, honest.passport())
            _refused(at_honest, evil.key.sign(honest.claims()))
            _refused(at_honest, evil.passport())
            _refused(at_evil, honest.passport())


@promise("verifier:weak-key")
@pytest.mark.parametrize(
    ("options", "members"),
    [({"bits": 1024}, {}), ({"exponent": 3}, {}), ({}, {"d": "AQAB"})],
    ids=["1024 bits", "exponent 3", "published private half"],
)
def test_a_weak_key_proves_nothing(options: dict[str, int], members: dict[str, str]) -> None:
    with Issuer(ForgingKey("weak", **options)) as issuer:
        issuer.keys = [issuer.key.jwk() | members]
        token = f"st_{'A' * 43}"
        with lime_sites.LimeSiteSync(site_token=token, base_url=issuer.api_base) as site:
            _refused(site, issuer.passport())
        assert issuer.count(JWKS) == 1


@promise("verifier:issuer")
def test_the_issuer_is_compared_as_a_whole(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    url = issuer.public_url
    _accepted(verifier, issuer.passport(iss=url.upper()))
    for wrong in (
        f"{url}/",
        f"{url}0",
        url[:-1],
        f"{url}/api/v1",
        f"{url}.evil.example",
        url.replace("http", "https"),
        "",
        ...,
        [url],
        1,
    ):
        _refused(verifier, issuer.passport(iss=wrong))


@promise("verifier:audience")
@pytest.mark.parametrize(
    "aud",
    [
        ...,
        None,
        "",
        "mcp",
        "lime-binding",
        "lime-site-login ",
        "Lime-Site-Login",
        ["lime-site-login"],
        ["lime-site-login", "mcp"],
        1,
    ],
)
def test_the_audience_is_the_plain_string(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer, aud: object
) -> None:
    _refused(verifier, issuer.passport(aud=aud))


@promise("verifier:times")
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_times_are_integers(verifier: lime_sites.LimeSiteSync, issuer: Issuer, name: str) -> None:
    now = int(time.time())
    wrong: object
    for wrong in (
        True,
        False,
        str(now),
        float(now) + 0.5,
        None,
        [now],
        {},
        1 << 80,
        -1 if name != "nbf" else "x",
    ):
        _refused(verifier, issuer.passport(**{name: wrong}))
    # NaN and Infinity are no JSON, though Python's own parser takes them.
    for wrong in ("NaN", "Infinity", "1e400"):
        body = json.dumps(issuer.claims(**{name: 424242})).replace("424242", wrong)
        _refused(verifier, issuer.key.sign(body.encode()))
    if name != "nbf":
        _refused(verifier, issuer.passport(**{name: ...}))


@promise("verifier:leeway", "times:verifier")
def test_thirty_seconds_of_leeway_and_no_more(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    now = int(time.time())
    # Five seconds off the edges, so that a slow machine does not walk over them.
    _accepted(verifier, issuer.passport(iat=now - 80, exp=now - 20))
    _refused(verifier, issuer.passport(iat=now - 95, exp=now - 35))
    _accepted(verifier, issuer.passport(iat=now + 25, exp=now + 85))
    _refused(verifier, issuer.passport(iat=now + 60, exp=now + 120))
    _accepted(verifier, issuer.passport(nbf=now + 25))
    _refused(verifier, issuer.passport(nbf=now + 60))


@promise("verifier:life", "times:verifier")
def test_a_life_of_more_than_two_minutes_is_refused(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    now = int(time.time())
    _accepted(verifier, issuer.passport(iat=now, exp=now + 120))
    for life in (121, 3600, 0, -60):
        _refused(verifier, issuer.passport(iat=now, exp=now + life))


@promise("verifier:names")
@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", [..., None, "", 1, ["x"]])
def test_sub_and_jti_are_there(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer, name: str, value: object
) -> None:
    _refused(verifier, issuer.passport(**{name: value}))
    _refused(verifier, issuer.passport(**{name: value, "agent_id": "someone"}))


@promise("verifier:bound")
def test_a_passport_given_to_one_site_opens_no_other(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    def refused(token: str, expected: str | None) -> None:
        with pytest.raises(lime_sites.InvalidPassportError):
            verifier.verify_passport(token, expected_request_id=expected)

    refused(issuer.passport(request_id="another"), REQUEST)
    for request_id in (..., None, "", [REQUEST]):
        refused(issuer.passport(request_id=request_id), REQUEST)
    # Without an expectation, the site's own name decides.
    for site_id in (OTHER_SITE, ..., None, "", [SITE]):
        refused(issuer.passport(site_id=site_id, azp=OTHER_SITE), None)


@promise("verifier:always-bound")
def test_there_is_no_way_to_verify_without_a_binding(
    verifier: lime_sites.LimeSiteSync, issuer: Issuer
) -> None:
    # No switch turns it off, and a server that cannot say which site this is leaves nothing to compare with.
    for kind in (lime_sites.LimeSite, lime_sites.LimeSiteSync):
        assert set(inspect.signature(kind.verify_passport).parameters) - {"self"} <= {
            "jwt",
            "expected_request_id",
        }
    issuer.routes[("GET", "/foundation/sites/me")] = lambda _: Says(
        {"ok": False, "error": {"code": "X", "message": "x"}}, 404
    )
    with pytest.raises(lime_sites.LimeError):
        verifier.verify_passport(issuer.passport())
    with pytest.raises(lime_sites.InvalidPassportError):
        verifier.verify_passport(issuer.passport(request_id=""), expected_request_id="")
