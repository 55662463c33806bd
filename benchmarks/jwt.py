"""How fast `lime_jwt` signs and verifies passports, side by side with PyJWT and joserfc.

    python benchmarks/jwt.py [--quick] [--rounds N] [--operations N]

One core, RSA with 2048 bits, keys parsed before the clock runs. The contenders take turns within
each round, so that whatever else the machine does meets all of them; figures are medians over
rounds, and ratios are to lime_jwt in the same round. Everybody verifies the same passport and
checks at least signature, issuer, audience and times; lime_jwt does all of protocol section 6.
"RSA alone" is cryptography's bare signature over the same bytes: no JSON, no base64, no claims.
Figures are for comparing; nothing is asserted.
"""

import argparse
import importlib
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import RSAKey
from rich.console import Console
from rich.table import Table

import lime_jwt

ISSUER = "https://lime.example"
NOW = int(time.time())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "lime-site-login",
    "sub": "5d1c7a52-4c0e-4b44-9d33-5f4c8c8f4a10",
    "iat": NOW,
    # The peers read the clock themselves: live long enough for a slow machine.
    "exp": NOW + 120,
    "jti": "0b8fd5c2-86a8-4a53-8c4b-0c4f6a1f6f0e",
    "request_id": "6a6f6bde-2a39-4f5b-a2b4-8b0a8c9ddc11",
    "user_id": "a3a0a7de-7d1b-4d30-9f7e-3f0c3a3d9b52",
    "passport_version": 1,
    "site_id": "f5a3f1c8-1f1e-4a44-8f0b-9b8f3ad7a2f4",
    "azp": "f5a3f1c8-1f1e-4a44-8f0b-9b8f3ad7a2f4",
    "kyc_level": 2,
}

Work = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """Something that signs and verifies."""

    name: str
    sign: Work
    verify: Work


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    key = lime_jwt.SigningKey.generate()
    private = serialization.load_der_private_key(key.to_pkcs8(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("lime_jwt makes RSA keys")
    ours, refusal = lime(key)
    contenders = [ours, with_pyjwt(key, private), with_joserfc(key), bare_rsa(key, private)]
    operations = options.operations
    signing = {each.name: each.sign for each in contenders}
    console.print(compared("Sign", signing, options.rounds, operations))
    verifying = {each.name: each.verify for each in contenders} | {"lime_jwt, refused": refusal}
    console.print(compared("Verify", verifying, options.rounds, operations * 5))
    console.print(scaled(contenders[:3], options.rounds, operations * 5))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each contender")
    parser.add_argument("--operations", type=int, default=100, help="signatures in each turn")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.operations = 2, 2
    return options


def passport(key: lime_jwt.SigningKey) -> str:
    """The token that everybody verifies."""
    return key.sign(CLAIMS, typ=lime_jwt.TYP_LOGIN)


def lime(key: lime_jwt.SigningKey) -> tuple[Contender, Work]:
    """`lime_jwt`, and its refusal of a passport for another site: the last of all checks."""
    keys = lime_jwt.JwkSet.parse(lime_jwt.encode_jwks([key]), issuer=ISSUER)
    token = passport(key)

    def sign() -> object:
        return key.sign(CLAIMS, typ=lime_jwt.TYP_LOGIN)

    def verify() -> object:
        expect = lime_jwt.Expectation.login(site_id=CLAIMS["site_id"])
        return lime_jwt.verify(token, keys=keys, expect=expect, now=NOW)

    def refuse() -> object:
        expect = lime_jwt.Expectation.login(site_id="another")
        try:
            return lime_jwt.verify(token, keys=keys, expect=expect, now=NOW)
        except lime_jwt.InvalidClaimError as refusal:
            return refusal

    return Contender("lime_jwt", sign, verify), refuse


def installed_pyjwt() -> Any:
    """PyJWT, whose name this file has: Python looks beside a script before anywhere else."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    return importlib.import_module("jwt")


def with_pyjwt(key: lime_jwt.SigningKey, private: rsa.RSAPrivateKey) -> Contender:
    """PyJWT, with its key objects made beforehand."""
    pyjwt = installed_pyjwt()
    header = {"kid": key.kid, "typ": lime_jwt.TYP_LOGIN}
    public, token = private.public_key(), passport(key)

    def sign() -> object:
        return pyjwt.encode(CLAIMS, private, algorithm="RS256", headers=header)

    def verify() -> object:
        return pyjwt.decode(
            token,
            public,
            algorithms=["RS256"],
            audience="lime-site-login",
            issuer=ISSUER,
            leeway=30,
            options={"require": ["exp", "iat", "sub", "jti"]},
        )

    return Contender("PyJWT", sign, verify)


def with_joserfc(key: lime_jwt.SigningKey) -> Contender:
    """joserfc, with its key objects and its registry of claims made beforehand."""
    private = RSAKey.import_key(key.to_pkcs8())
    public, token = RSAKey.import_key({**key.public_jwk()}), passport(key)
    header = {"alg": "RS256", "kid": key.kid, "typ": lime_jwt.TYP_LOGIN}
    registry = joserfc_jwt.JWTClaimsRegistry(
        leeway=30,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": "lime-site-login"},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )

    def sign() -> object:
        return joserfc_jwt.encode(header, CLAIMS, private, algorithms=["RS256"])

    def verify() -> object:
        decoded = joserfc_jwt.decode(token, public, algorithms=["RS256"])
        registry.validate(decoded.claims)
        return decoded.claims

    return Contender("joserfc", sign, verify)


def bare_rsa(key: lime_jwt.SigningKey, private: rsa.RSAPrivateKey) -> Contender:
    """The floor: OpenSSL's RSA by way of cryptography, over the bytes of the same passport."""
    message = passport(key).rpartition(".")[0].encode()
    public, scheme, digest = private.public_key(), padding.PKCS1v15(), hashes.SHA256()
    signature = private.sign(message, scheme, digest)

    def sign() -> object:
        return private.sign(message, scheme, digest)

    def verify() -> object:
        public.verify(signature, message, scheme, digest)
        return None

    return Contender("RSA alone (cryptography)", sign, verify)


def compared(title: str, works: dict[str, Work], rounds: int, operations: int) -> Table:
    """Microseconds per operation, and how often lime_jwt's time that is."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(timed(work, operations) / operations)
    table = Table("", "µs", "times lime_jwt", title=f"{title}, RS256 with 2048 bits")
    for name, taken in times.items():
        ratios = [other / ours for other, ours in zip(taken, times["lime_jwt"], strict=True)]
        micros = statistics.median(taken) * 1e6
        table.add_row(name, f"{micros:.1f}", f"{statistics.median(ratios):.2f}")
    return table


def scaled(contenders: list[Contender], rounds: int, operations: int) -> Table:
    """How much more two threads verify than one; 2 needs two idle cores."""
    gains: dict[str, list[float]] = {each.name: [] for each in contenders}
    for _ in range(rounds):
        for each in contenders:
            alone = timed(each.verify, operations)
            gains[each.name].append(2 * alone / timed_twice(each.verify, operations))
    table = Table("", "times one thread", title="Verify, two threads")
    for name, gained in gains.items():
        table.add_row(name, f"{statistics.median(gained):.2f}")
    return table


def timed(work: Work, operations: int) -> float:
    """Seconds for so many operations."""
    start = time.perf_counter()
    for _ in range(operations):
        work()
    return time.perf_counter() - start


def timed_twice(work: Work, operations: int) -> float:
    """Seconds for so many operations in each of two threads at once."""
    threads = [threading.Thread(target=timed, args=(work, operations)) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
