"""The public vectors and ours: every token accepted or refused for the reason that stands there."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lime_jwt
from lime_jwt import Expectation, InvalidKeyError, JwkSet, SigningKey, thumbprint, verify

VECTORS = Path(__file__).parents[4] / "vectors"
CASES = json.loads((VECTORS / "jwt.json").read_text(encoding="utf-8"))
MAKERS = {
    "login": Expectation.login,
    "binding": Expectation.binding,
    "access": Expectation.access_token,
}


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def run(case: dict[str, Any]) -> dict[str, Any]:
    wanted = dict(case["expect"])
    expect = MAKERS[wanted.pop("kind")](**wanted)
    keys = JwkSet.parse(json.dumps(case.get("jwks", CASES["jwks"])), issuer=CASES["issuer"])
    return verify(case["token"], keys=keys, expect=expect, now=case.get("now", CASES["now"]))


@pytest.mark.parametrize("case", named([c for c in CASES["tokens"] if "claims" in c]))
def test_a_good_token_gives_exactly_its_claims(case: dict[str, Any]) -> None:
    assert run(case) == case["claims"]


@pytest.mark.parametrize("case", named([c for c in CASES["tokens"] if "reason" in c]))
def test_a_bad_token_is_refused_for_its_reason_without_being_quoted(case: dict[str, Any]) -> None:
    with pytest.raises(lime_jwt.InvalidTokenError) as refusal:
        run(case)
    assert type(refusal.value).__name__ == case["reason"]
    assert getattr(refusal.value, "claim", "") == case.get("claim", "")
    assert getattr(refusal.value, "kid", "") == case.get("kid", "")
    # The message is one of ours, and short: it holds nothing that the token said.
    assert str(refusal.value).isascii()
    assert len(str(refusal.value)) < 80
    assert "agent-7f3a" not in str(refusal.value)


@pytest.mark.parametrize("case", named([c for c in CASES["key_sets"] if "kids" in c]))
def test_a_key_set_has_only_its_usable_keys(case: dict[str, Any]) -> None:
    keys = JwkSet.parse(json.dumps(case["document"]), issuer="https://lime.example")
    assert list(keys.kids) == case["kids"]


@pytest.mark.parametrize("case", named([c for c in CASES["key_sets"] if "reason" in c]))
def test_what_is_no_key_set_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidKeyError):
        JwkSet.parse(case["text"], issuer="https://lime.example")


def test_signing_gives_the_bytes_that_others_give(key: SigningKey) -> None:
    for case in CASES["signing"]:
        assert key.sign(case["claims"], typ=case["typ"]) == case["token"]


def test_the_file_is_what_its_generator_makes() -> None:
    script = [sys.executable, str(VECTORS / "make_jwt.py"), "--check"]
    assert subprocess.run(script, check=False, timeout=100).returncode == 0


def test_rfc_7517_key_sets_are_read() -> None:
    rfc = json.loads((VECTORS / "jwk-rfc7517-rfc7638.json").read_text())
    for name in ("public", "private"):
        document = json.dumps(rfc[name]["document"])
        assert list(JwkSet.parse(document, issuer="rfc").kids) == rfc[name]["usable_kids"]


def test_rfc_7638_thumbprint_is_the_printed_one() -> None:
    rfc = json.loads((VECTORS / "jwk-rfc7517-rfc7638.json").read_text())
    expected = rfc["thumbprint"]["sha256"]
    assert thumbprint(rfc["thumbprint"]["jwk"]) == expected
    assert SigningKey.from_pkcs8(base64.b64decode(rfc["pkcs8_base64"])).kid == expected


def test_rfc_7515_a_2_has_no_key_id_and_is_therefore_refused() -> None:
    rfc = json.loads((VECTORS / "jwt-rfc7515-a2.json").read_text())
    keys = JwkSet.parse(json.dumps({"keys": [rfc["jwk"] | {"kid": "a2"}]}), issuer="joe")
    assert "a2" in keys
    with pytest.raises(lime_jwt.UnsupportedHeaderError):
        verify(rfc["jws"], keys=keys, expect=Expectation.login(site_id="s"), now=1_300_819_370)
