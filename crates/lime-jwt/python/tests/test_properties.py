"""What holds for every input, looked for with hypothesis."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from lime_jwt import (
    TYP_LOGIN,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyError,
    InvalidTokenError,
    JwkSet,
    KeyEncryptionKey,
    SigningKey,
    TokenHasher,
    encode_jwks,
)

Verifier = Callable[[str], dict[str, Any]]

INTEGERS = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.none() | st.booleans() | INTEGERS | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture(scope="session")
def sign_bytes(test_keys: dict[str, bytes]) -> Callable[[bytes, bytes], str]:
    """Sign any header and claims, with a library that does not look at them."""
    private: Any = serialization.load_der_private_key(test_keys["main"], password=None)

    def sign(header: bytes, claims: bytes) -> str:
        text = f"{b64(header)}.{b64(claims)}"
        return f"{text}.{b64(private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    return sign


def refused(at_site: Verifier, token: str) -> None:
    with pytest.raises(InvalidTokenError):
        at_site(token)


@given(data=st.data())
def test_a_token_with_any_character_changed_is_refused(
    good: str, at_site: Verifier, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.characters().filter(lambda character: character != good[index]))
    refused(at_site, good[:index] + other + good[index + 1 :])


@given(data=st.data())
def test_a_token_with_a_piece_removed_doubled_or_moved_is_refused(
    good: str, at_site: Verifier, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(good) - 1))
    end = data.draw(st.integers(start + 1, len(good)))
    piece = good[start:end]
    refused(at_site, good[:start] + good[end:])
    refused(at_site, good[:end] + piece + good[end:])


@given(token=st.text(max_size=200) | st.from_regex(r"\A[\w-]{1,60}\.[\w-]{1,60}\.[\w-]{1,60}\Z"))
def test_whatever_is_no_token_is_refused_with_a_typed_error(at_site: Verifier, token: str) -> None:
    refused(at_site, token)


@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]) | st.text(), JSON)
)
def test_no_header_but_ours_is_accepted_however_well_signed(
    vectors: dict[str, Any],
    sign_bytes: Callable[[bytes, bytes], str],
    at_site: Verifier,
    header: dict[str, Any],
) -> None:
    claims = json.dumps(vectors["signing"][0]["claims"]).encode()
    refused(at_site, sign_bytes(json.dumps(header).encode(), claims))


@given(claim=st.sampled_from(["iss", "aud", "sub", "jti", "site_id"]), value=JSON)
def test_a_checked_claim_takes_no_other_value_than_a_right_one(
    key: SigningKey, vectors: dict[str, Any], at_site: Verifier, claim: str, value: Any
) -> None:
    claims = vectors["signing"][0]["claims"] | {claim: value}
    token = key.sign(claims, typ=TYP_LOGIN)
    free = claim in {"sub", "jti"} and isinstance(value, str) and value != ""
    if free:
        assert at_site(token) == claims
        return
    with pytest.raises(InvalidClaimError) as refusal:
        at_site(token)
    assert refusal.value.claim == claim


@given(
    exp=INTEGERS | st.integers(-200, 200).map(lambda s: 1_800_000_000 + s),
    iat=INTEGERS | st.integers(-200, 200).map(lambda s: 1_800_000_000 + s),
    nbf=st.none() | INTEGERS | st.integers(-200, 200).map(lambda s: 1_800_000_000 + s),
)
def test_times_are_judged_as_the_protocol_says(
    key: SigningKey,
    vectors: dict[str, Any],
    at_site: Verifier,
    exp: int,
    iat: int,
    nbf: int | None,
) -> None:
    claims = vectors["signing"][0]["claims"] | {"exp": exp, "iat": iat}
    if nbf is not None:
        claims["nbf"] = nbf
    now, leeway = vectors["now"], 30
    timely = iat <= now + leeway and (nbf is None or nbf <= now + leeway)
    alive = exp > now - leeway
    token = key.sign(claims, typ=TYP_LOGIN)
    if timely and alive and 1 <= exp - iat <= 120:
        assert at_site(token) == claims
    else:
        with pytest.raises(InvalidClaimError) as refusal:
            at_site(token)
        assert not (alive and isinstance(refusal.value, ExpiredTokenError))


@given(extra=st.dictionaries(st.text(max_size=12).map(lambda name: f"x-{name}"), JSON, max_size=6))
def test_claims_come_back_as_they_were_signed(
    key: SigningKey, vectors: dict[str, Any], at_site: Verifier, extra: dict[str, Any]
) -> None:
    claims = vectors["signing"][0]["claims"] | extra
    assert at_site(key.sign(claims, typ=TYP_LOGIN)) == claims


@given(
    document=st.binary(max_size=100) | JSON.map(lambda value: json.dumps({"keys": value}).encode())
)
def test_a_key_set_without_keys_is_empty_or_refused(document: bytes) -> None:
    try:
        keys = JwkSet.parse(document, issuer="https://lime.example")
    except InvalidKeyError:
        return
    assert len(keys) == 0


@given(member=st.sampled_from(["kty", "n", "e", "kid", "alg", "use"]), value=JSON)
def test_a_published_member_takes_no_other_value(key: SigningKey, member: str, value: Any) -> None:
    changed = key.public_jwk() | {member: value}
    keys = JwkSet.parse(json.dumps({"keys": [changed]}), issuer="https://lime.example")
    expected = (value,) if member == "kid" and isinstance(value, str) and value else ()
    assert keys.kids == expected


@given(tokens=st.lists(st.text(max_size=80), min_size=2, max_size=2, unique=True))
def test_a_token_matches_its_own_hash_only(tokens: list[str]) -> None:
    hasher = TokenHasher(bytes(32))
    assert hasher.matches(tokens[0], hasher.hash(tokens[0]))
    assert not hasher.matches(tokens[1], hasher.hash(tokens[0]))


@given(plaintext=st.binary(max_size=300), context=st.binary(max_size=40))
def test_a_sealed_value_comes_back(plaintext: bytes, context: bytes) -> None:
    key = KeyEncryptionKey(bytes(32))
    sealed = key.seal(plaintext, context=context)
    assert len(sealed) == len(plaintext) + 29
    assert key.open(sealed, context=context) == plaintext


def test_what_is_published_is_what_verifies(key: SigningKey) -> None:
    keys = JwkSet.parse(encode_jwks([key]), issuer="https://lime.example")
    assert keys.kids == (key.kid,)
