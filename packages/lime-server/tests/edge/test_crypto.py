"""The adapters over the Rust crates."""

import hashlib

import pytest

import lime_jwt
from lime_server.core.errors import InvalidPow
from lime_server.core.keyring import KeyRing, Keys
from lime_server.core.keys import KeyState, Rules
from lime_server.infrastructure.crypto import Puzzles, RingSigner, RsaKeyMaker, Secrets
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.keys import MemoryKeys


def test_each_purpose_has_its_own_key(derived):
    sealed = derived.keys.seal(b"private", context=b"kid")
    assert derived.keys.open(sealed, context=b"kid") == b"private"
    with pytest.raises(lime_jwt.DecryptionError):
        derived.answers.open(sealed, context=b"kid")
    with pytest.raises(lime_jwt.DecryptionError):
        derived.keys.open(sealed, context=b"another kid")


def test_the_same_master_key_gives_the_same_hashes_everywhere(derived):
    again = Secrets.derived_from(bytes(range(32)))
    other = Secrets.derived_from(bytes(32))
    assert again.tokens.hash("at_x") == derived.tokens.hash("at_x")
    assert other.tokens.hash("at_x") != derived.tokens.hash("at_x")


def test_secrets_do_not_show(derived):
    assert repr(derived).startswith("<")


async def test_passports_are_signed_by_the_active_key_and_verify_with_the_jwks(clock):
    store = MemoryKeys()
    keys = Keys(store, RsaKeyMaker(), clock=clock, rules=Rules(), bell=MemoryBell())
    ring = KeyRing(store, keys, parse=lime_jwt.SigningKey.from_pkcs8, clock=clock, rules=Rules())
    await ring.open()
    (key,) = await store.published()
    assert key.state is KeyState.ACTIVE
    now = int(clock.now().timestamp())
    claims = {
        "iss": "https://lime.example",
        "aud": "lime-site-login",
        "sub": "agent",
        "jti": "event",
        "iat": now,
        "exp": now + 60,
        "request_id": "request",
        "site_id": "site",
    }
    token = await RingSigner(ring).sign(claims, typ=lime_jwt.TYP_LOGIN)
    published = lime_jwt.JwkSet.parse(ring.jwks.body, issuer="https://lime.example")
    expect = lime_jwt.Expectation.login(request_id="request", site_id="site")
    assert lime_jwt.verify(token, keys=published, expect=expect, now=now) == claims


def test_a_puzzle_is_fresh_and_its_answer_checked():
    puzzles = Puzzles()
    challenge = puzzles.new_challenge()
    assert len(challenge) == 43
    assert challenge != puzzles.new_challenge()
    nonce = next(
        str(n)
        for n in range(100_000)
        if hashlib.sha256(b"lime:pow:v1\0" + challenge.encode() + b"\0%d" % n).digest()[0] == 0
    )
    puzzles.check(challenge, nonce, 8)
    for wrong in ("", "x" * 65, "é", nonce + " "):
        with pytest.raises(InvalidPow):
            puzzles.check(challenge, wrong, 32)
