"""The vectors, a verifier that trusts them, and one key to sign with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lime_jwt import Expectation, JwkSet, SigningKey, verify

VECTORS = Path(__file__).parents[4] / "vectors"


def load(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """`vectors/jwt.json`."""
    return load("jwt.json")


@pytest.fixture(scope="session")
def test_keys() -> dict[str, bytes]:
    """The published test keys as PKCS#8, by name."""
    keys = load("jwt-test-keys.json")["keys"]
    return {name: base64.b64decode(pkcs8) for name, pkcs8 in keys.items()}


@pytest.fixture(scope="session")
def key(test_keys: dict[str, bytes]) -> SigningKey:
    return SigningKey.from_pkcs8(test_keys["main"])


@pytest.fixture(scope="session")
def keys(vectors: dict[str, Any]) -> JwkSet:
    """What the issuer of the vectors publishes."""
    return JwkSet.parse(json.dumps(vectors["jwks"]), issuer=vectors["issuer"])


@pytest.fixture(scope="session")
def good(vectors: dict[str, Any]) -> str:
    """A login passport for the site `site-51c2`, good at `vectors["now"]`."""
    return vectors["signing"][0]["token"]


@pytest.fixture(scope="session")
def at_site(vectors: dict[str, Any], keys: JwkSet) -> Callable[[str], dict[str, Any]]:
    """Verify a token as the site does that the vectors' passports are for."""
    expect = Expectation.login(site_id="site-51c2")
    return lambda token: verify(token, keys=keys, expect=expect, now=vectors["now"])
