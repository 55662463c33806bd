"""Signing keys and key sets."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lime_jwt import (
    MAX_JWKS_BYTES,
    MAX_TOKEN_BYTES,
    TYP_LOGIN,
    Expectation,
    InvalidKeyError,
    JwkSet,
    LimeJwtError,
    SigningKey,
    UnboundError,
    UnencodableClaimsError,
    UnknownKeyError,
    encode_jwks,
    thumbprint,
    verify,
)

ISSUER = "https://lime.example"


@pytest.fixture(scope="module")
def new_key() -> SigningKey:
    return SigningKey.generate()


def test_a_new_key_signs_what_its_published_half_verifies(new_key: SigningKey) -> None:
    claims = {
        "iss": ISSUER, "aud": "lime-site-login", "sub": "a", "jti": "j", "iat": 5, "exp": 65, "site_id": "s",
    }  # fmt: skip
    keys = JwkSet.parse(encode_jwks([new_key]), issuer=ISSUER)
    token = new_key.sign(claims, typ=TYP_LOGIN)
    assert verify(token, keys=keys, expect=Expectation.login(site_id="s"), now=6) == claims


@pytest.mark.parametrize("bits", [3072, 4096])
def test_a_key_is_as_long_as_asked_for(bits: int) -> None:
    private = serialization.load_der_private_key(SigningKey.generate(bits).to_pkcs8(), None)
    assert private.key_size == bits


@pytest.mark.parametrize("bits", [0, 1024, 2047, 8192])
def test_a_key_of_another_size_is_not_made(bits: int) -> None:
    with pytest.raises(LimeJwtError):
        SigningKey.generate(bits)


def test_a_key_survives_its_pkcs8(new_key: SigningKey) -> None:
    again = SigningKey.from_pkcs8(new_key.to_pkcs8())
    assert again.kid == new_key.kid
    assert again.to_pkcs8() == new_key.to_pkcs8()
    assert again.sign({}, typ="JWT") == new_key.sign({}, typ="JWT")


def test_what_no_verifier_would_trust_is_no_signing_key(test_keys: dict[str, bytes]) -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    weak = [test_keys["bits1024"], test_keys["exponent3"]]
    for der in [b"", b"PKCS#8", curve, test_keys["main"][:-1], *weak]:
        with pytest.raises(InvalidKeyError):
            SigningKey.from_pkcs8(der)


def test_a_public_jwk_has_no_private_member(key: SigningKey) -> None:
    jwk = key.public_jwk()
    assert set(jwk) == {"kty", "n", "e", "kid", "alg", "use"}
    assert jwk["kid"] == key.kid == thumbprint(jwk)


def test_a_published_set_takes_keys_and_stored_public_halves_alike(
    key: SigningKey, new_key: SigningKey
) -> None:
    stored = new_key.public_jwk() | {"created": "yesterday"}
    document = json.loads(encode_jwks(iter([key, MappingProxyType(stored)])))
    assert document == {"keys": [key.public_jwk(), new_key.public_jwk()]}
    assert json.loads(encode_jwks([])) == {"keys": []}


def test_a_set_that_verifiers_could_not_use_is_not_published(key: SigningKey) -> None:
    for keys in (
        [key, key],
        [key.public_jwk() | {"d": "AQAB"}],
        [key.public_jwk() | {"use": "enc"}],
        [{}],
    ):
        with pytest.raises(InvalidKeyError):
            encode_jwks(keys)
    for wrong in (1, [1], ["key"]):
        with pytest.raises(TypeError):
            encode_jwks(wrong)  # type: ignore[arg-type]  # the subject of the test


def test_a_key_set_knows_its_issuer_and_its_ids(key: SigningKey, keys: JwkSet) -> None:
    assert keys.issuer == "https://lime.example/office"
    assert len(keys) == len(keys.kids) == 4
    assert key.kid in keys
    assert "other" not in keys
    assert 1 not in keys
    assert "\ud800" not in keys


def test_a_key_set_is_read_from_text_and_from_bytes(key: SigningKey) -> None:
    document = encode_jwks([key])
    assert JwkSet.parse(document.decode(), issuer=ISSUER).kids == (key.kid,)
    with pytest.raises(InvalidKeyError):
        JwkSet.parse("\ud800", issuer=ISSUER)
    with pytest.raises(TypeError):
        JwkSet.parse({"keys": []}, issuer=ISSUER)  # type: ignore[arg-type]  # the subject


def test_a_key_set_needs_an_issuer(key: SigningKey) -> None:
    with pytest.raises(InvalidKeyError):
        JwkSet.parse(encode_jwks([key]), issuer="")


def test_a_document_without_end_is_not_read() -> None:
    JwkSet.parse(b'{"keys":[]}'.ljust(MAX_JWKS_BYTES), issuer=ISSUER)
    with pytest.raises(InvalidKeyError):
        JwkSet.parse(b'{"keys":[]}'.ljust(MAX_JWKS_BYTES + 1), issuer=ISSUER)


def test_one_issuer_cannot_forge_the_passports_of_another(
    key: SigningKey, new_key: SigningKey, good: str
) -> None:
    # The stranger publishes a key under the id of the other issuer's key.
    document = json.dumps({"keys": [new_key.public_jwk() | {"kid": key.kid}]})
    theirs = JwkSet.parse(document, issuer="https://stranger.example")
    expect = Expectation.login(site_id="site-51c2")
    with pytest.raises(LimeJwtError):
        verify(good, keys=theirs, expect=expect, now=1_800_000_000)


def test_an_unknown_key_is_told_before_anything_that_needs_it(good: str) -> None:
    header, _, _ = good.split(".")
    nobody = JwkSet.parse(b'{"keys":[]}', issuer="https://other.example")
    expect = Expectation.login(site_id="another")
    for token in (good, f"{header}.e30.AAAA"):
        with pytest.raises(UnknownKeyError):
            verify(token, keys=nobody, expect=expect, now=0)


class Headers(Mapping[str, object]):
    """A mapping that is no dict."""

    def __init__(self, **items: object) -> None:
        self.inner = items

    def __getitem__(self, name: str) -> object:
        return self.inner[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


def test_claims_may_be_any_mapping_of_json(key: SigningKey) -> None:
    plain = key.sign({"a": [1, [True, None]], "b": {"c": "é"}}, typ="JWT")
    for claims in (
        OrderedDict(a=(1, [True, None]), b={"c": "é"}),
        Headers(a=[1, (True, None)], b=Headers(c="é")),
    ):
        assert key.sign(claims, typ="JWT") == plain


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    "claims",
    [
        {"x": 1.0},
        {"x": float("nan")},
        {"x": 2**63},
        {"x": -(2**63) - 1},
        {"x": b"bytes"},
        {"x": {1, 2}},
        {"x": Ellipsis},
        {"x": "\ud800"},
        {"\ud800": 1},
        {1: "x"},
        {"x": {"y": [1.5]}},
        {"x": nested(8)},
        {f"x{n}": n for n in range(129)},
        {"x": {f"x{n}": n for n in range(129)}},
        {"x": "x" * MAX_TOKEN_BYTES},
    ],
    ids=lambda claims: repr(claims)[:30],
)
def test_claims_that_no_verifier_would_read_alike_are_not_signed(
    key: SigningKey, claims: dict[str, object]
) -> None:
    with pytest.raises(UnencodableClaimsError):
        key.sign(claims, typ=TYP_LOGIN)


def test_claims_as_deep_and_as_wide_as_allowed_are_signed(key: SigningKey) -> None:
    assert key.sign({"x": nested(7)}, typ=TYP_LOGIN)
    assert key.sign({f"x{n}": n for n in range(128)}, typ=TYP_LOGIN)


def test_claims_that_are_no_mapping_are_not_signed(key: SigningKey) -> None:
    for wrong in (None, "claims", [("a", 1)]):
        with pytest.raises(TypeError):
            key.sign(wrong, typ=TYP_LOGIN)  # type: ignore[arg-type]  # the subject of the test


def test_an_error_of_the_callers_own_mapping_is_passed_on(key: SigningKey) -> None:
    class Broken(Headers):
        def __iter__(self) -> Iterator[str]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        key.sign(Broken(a=1), typ=TYP_LOGIN)


@pytest.mark.parametrize("typ", ["", 'a"b', "a b", "é", "a\n", "x" * 128])
def test_a_typ_that_is_no_media_type_is_not_signed(key: SigningKey, typ: str) -> None:
    with pytest.raises(LimeJwtError):
        key.sign({}, typ=typ)


def test_an_expectation_that_binds_to_nothing_cannot_be_made() -> None:
    for make in (
        lambda: Expectation.login(),
        lambda: Expectation.login(request_id="", site_id="s"),
        lambda: Expectation.binding(site_id=""),
        lambda: Expectation.access_token(),
        lambda: Expectation.access_token(domain="d", resource=""),
    ):
        with pytest.raises(UnboundError):
            make()


@pytest.mark.parametrize("leeway", [-1, 301])
def test_leeway_has_a_range(leeway: int) -> None:
    with pytest.raises(LimeJwtError):
        Expectation.login(site_id="s", leeway=leeway)
