"""Try the installed wheels of lime-pow and lime-jwt out, with nothing but the standard library.

For platforms on which the test suite cannot run: whatever is compiled there is called at least
once, and must say what protocol sections 4 and 6 say.
"""

from __future__ import annotations

import hashlib
import sys
import time

import lime_jwt
import lime_pow

ISSUER = "https://lime.example"
BITS = 15


def main() -> int:
    """Call everything once. Raises AssertionError when an answer is wrong."""
    proof_of_work()
    passport()
    print(f"lime-pow and lime-jwt work on {sys.platform}")
    return 0


def proof_of_work() -> None:
    """A nonce is found, and hashlib agrees that it is one."""
    challenge = lime_pow.new_challenge(bytes(range(32)))
    nonce = None
    solver = lime_pow.Solver(challenge, BITS)
    while nonce is None:
        nonce = solver.advance(1_000_000)
    digest = hashlib.sha256(f"lime:pow:v1\0{challenge}\0{nonce}".encode()).digest()
    assert int.from_bytes(digest, "big") < 1 << (256 - BITS), "hashlib finds another digest"
    lime_pow.check(challenge, nonce, BITS)


def passport() -> None:
    """What one key signs verifies with it, and not when a character is another."""
    key = lime_jwt.SigningKey.generate()
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": "lime-site-login", "sub": "agent", "iat": now, "exp": now + 60,
        "jti": "one", "request_id": "request", "site_id": "site",
    }  # fmt: skip
    token = key.sign(claims, typ=lime_jwt.TYP_LOGIN)
    keys = lime_jwt.JwkSet.parse(lime_jwt.encode_jwks([key]), issuer=ISSUER)
    expect = lime_jwt.Expectation.login(request_id="request", site_id="site")
    assert lime_jwt.verify(token, keys=keys, expect=expect, now=now) == claims, "other claims"
    at = token.rindex(".") + 10
    forged = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    try:
        lime_jwt.verify(forged, keys=keys, expect=expect, now=now)
    except lime_jwt.InvalidTokenError:
        return
    raise AssertionError("a forged passport was believed")


if __name__ == "__main__":
    sys.exit(main())
