"""How fast `lime_jwt` signs and verifies passports, side by side with PyJWT, joserfc and oxyjwt.

    python benchmarks/jwt.py [--quick] [--rounds N] [--operations N] [--json FILE]

RSA with 2048 bits, keys parsed before the clock runs. The contenders take turns within
each round, so that whatever else the machine does meets all of them; figures are medians over
rounds, and ratios are to lime_jwt in the same round. Everybody verifies the same passport and
checks at least signature, issuer, audience and times; lime_jwt does all of protocol section 6.

The floor is RSA alone, over the same bytes: no JSON, no base64, no claims, no Python. It comes from
`crates/lime-jwt/examples/aws_lc.rs`, a program of its own that waits for its turns on the same
core, and once more from cryptography, whose OpenSSL is a second opinion.

Every ratio in the file says how many times as fast as the other lime_jwt is, so more is better:
against RSA alone it stays below 1. Two threads are measured where there are two cores. Figures are
for comparing; nothing is asserted.
"""

import argparse
import base64
import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oxyjwt
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

OURS, REFUSAL, AWS_LC = "lime_jwt", "lime_jwt, refused", "RSA alone (AWS-LC)"

Work = Callable[[], object]
Clock = Callable[[int], float]
"""Takes a number of operations, does them, and returns the seconds that they took."""

Rounds = dict[str, list[float]]
"""Seconds for one operation, by contender, once for each round."""


@dataclass(frozen=True)
class Contender:
    """Something that signs and verifies."""

    name: str
    sign: Clock
    verify: Clock


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    key = lime_jwt.SigningKey.generate()
    private = serialization.load_der_private_key(key.to_pkcs8(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("lime_jwt makes RSA keys")
    ours, refusal = lime(key)
    peers = [ours, with_pyjwt(key, private), with_joserfc(key), with_oxyjwt(key, private)]
    contenders = [*peers, bare_openssl(key, private), bare_aws_lc(key)]
    rounds, operations = options.rounds, options.operations
    signing = measured({each.name: each.sign for each in contenders}, rounds, operations)
    console.print(compared("Sign", signing))
    clocks = {each.name: each.verify for each in contenders} | {REFUSAL: refusal}
    verifying = measured(clocks, rounds, operations * 5)
    console.print(compared("Verify", verifying))
    scaling: dict[str, float] = {}
    if cores() > 1:
        # Longer turns: a second thread takes milliseconds to come in.
        scaling = scaled(peers, rounds, operations * 20)
        console.print(scales(scaling))
    else:
        console.print("Two threads are not measured: there is one core.")
    if options.json:
        text = json.dumps(figures(signing, verifying, scaling), indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each contender")
    parser.add_argument("--operations", type=int, default=100, help="signatures in each turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.operations = 2, 2
    return options


def passport(key: lime_jwt.SigningKey) -> str:
    """The token that everybody verifies."""
    return key.sign(CLAIMS, typ=lime_jwt.TYP_LOGIN)


def lime(key: lime_jwt.SigningKey) -> tuple[Contender, Clock]:
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

    return contender(OURS, sign, verify), clocked(refuse)


def installed_pyjwt() -> Any:
    """PyJWT, whose name this file has: Python looks beside a script before anywhere else."""
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    return importlib.import_module("jwt")


def in_the_words_of_pyjwt(
    name: str, module: Any, key: lime_jwt.SigningKey, signing: Any, public: Any
) -> Contender:
    """A library with the calls of PyJWT, and its own key objects."""
    header, token = {"kid": key.kid, "typ": lime_jwt.TYP_LOGIN}, passport(key)

    def sign() -> object:
        return module.encode(CLAIMS, signing, algorithm="RS256", headers=header)

    def verify() -> object:
        return module.decode(
            token,
            public,
            algorithms=["RS256"],
            audience="lime-site-login",
            issuer=ISSUER,
            leeway=30,
            options={"require": ["exp", "iat", "sub", "jti"]},
        )

    return contender(name, sign, verify)


def with_pyjwt(key: lime_jwt.SigningKey, private: rsa.RSAPrivateKey) -> Contender:
    """PyJWT, with its key objects made beforehand."""
    return in_the_words_of_pyjwt("PyJWT", installed_pyjwt(), key, private, private.public_key())


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

    return contender("joserfc", sign, verify)


def with_oxyjwt(key: lime_jwt.SigningKey, private: rsa.RSAPrivateKey) -> Contender:
    """oxyjwt, the other one in Rust on AWS-LC, with its key objects made beforehand."""
    pem, traditional = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    plain = serialization.NoEncryption()
    signing = oxyjwt.EncodingKey.from_rsa_pem(private.private_bytes(pem, traditional, plain))
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public = oxyjwt.DecodingKey.from_rsa_pem(private.public_key().public_bytes(pem, spki))
    return in_the_words_of_pyjwt("oxyjwt", oxyjwt, key, signing, public)


def bare_openssl(key: lime_jwt.SigningKey, private: rsa.RSAPrivateKey) -> Contender:
    """OpenSSL's RSA by way of cryptography, over the bytes of the same passport."""
    message = signed_text(key)
    public, scheme, digest = private.public_key(), padding.PKCS1v15(), hashes.SHA256()
    signature = private.sign(message, scheme, digest)

    def sign() -> object:
        return private.sign(message, scheme, digest)

    def verify() -> object:
        public.verify(signature, message, scheme, digest)
        return None

    return contender("RSA alone (OpenSSL)", sign, verify)


def bare_aws_lc(key: lime_jwt.SigningKey) -> Contender:
    """The floor: AWS-LC's RSA, timed by a Rust program over the bytes of the same passport."""
    cargo = ["cargo", "build", "--release", "--locked", "--quiet", "--message-format=json"]
    built = subprocess.run(
        [*cargo, "--package", "lime-jwt", "--example", "aws_lc"],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parent,
    ).stdout
    artifacts = [json.loads(line) for line in built.splitlines()]
    (program,) = [each["executable"] for each in artifacts if each.get("executable")]
    # It ends when its standard input does, with this process at the latest.
    running = subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    question, answer = running.stdin, running.stdout
    if question is None or answer is None:
        raise TypeError("both are pipes")
    question.write(f"{base64.b64encode(key.to_pkcs8()).decode()}\n{signed_text(key).decode()}\n")

    def ask(operation: str, operations: int) -> float:
        question.write(f"{operation} {operations}\n")
        return int(answer.readline()) / 1e9

    return Contender(AWS_LC, lambda n: ask("sign", n), lambda n: ask("verify", n))


def signed_text(key: lime_jwt.SigningKey) -> bytes:
    """What a signature of the passport covers."""
    return passport(key).rpartition(".")[0].encode()


def contender(name: str, sign: Work, verify: Work) -> Contender:
    """One that works in this process."""
    return Contender(name, clocked(sign), clocked(verify))


def clocked(work: Work) -> Clock:
    """Time `work` by this process's clock."""

    def clock(operations: int) -> float:
        start = time.perf_counter()
        for _ in range(operations):
            work()
        return time.perf_counter() - start

    return clock


def measured(clocks: dict[str, Clock], rounds: int, operations: int) -> Rounds:
    """Let all of them take turns."""
    times: Rounds = {name: [] for name in clocks}
    for _ in range(rounds):
        for name, clock in clocks.items():
            times[name].append(clock(operations) / operations)
    return times


def ratio(times: Rounds, other: str, ours: str = OURS) -> float:
    """How many times as fast as `other` is `ours`: the median of the rounds."""
    pairs = zip(times[other], times[ours], strict=True)
    return statistics.median(theirs / own for theirs, own in pairs)


def compared(title: str, times: Rounds) -> Table:
    """Microseconds per operation, and how often lime_jwt's time that is."""
    table = Table("", "µs", "times lime_jwt", title=f"{title}, RS256 with 2048 bits")
    for name, taken in times.items():
        table.add_row(name, f"{statistics.median(taken) * 1e6:.1f}", f"{ratio(times, name):.2f}")
    return table


def scaled(contenders: list[Contender], rounds: int, operations: int) -> dict[str, float]:
    """How much more two threads verify than one; 2 needs two idle cores."""
    gains: dict[str, list[float]] = {each.name: [] for each in contenders}
    for _ in range(rounds):
        for each in contenders:
            alone = each.verify(operations)
            gains[each.name].append(2 * alone / timed_twice(each.verify, operations))
    return {name: statistics.median(gained) for name, gained in gains.items()}


def scales(gains: dict[str, float]) -> Table:
    """What `scaled` found."""
    table = Table("", "times one thread", title="Verify, two threads")
    for name, gained in gains.items():
        table.add_row(name, f"{gained:.2f}")
    return table


def figures(signing: Rounds, verifying: Rounds, scaling: dict[str, float]) -> dict[str, Any]:
    """What the tables say, for programs."""

    def micros(times: Rounds) -> dict[str, Any]:
        return {"value": round(statistics.median(times[OURS]) * 1e6, 2), "unit": "µs"}

    def times_as_fast(value: float) -> dict[str, Any]:
        return {"value": round(value, 3), "unit": "times", "ratio": round(value, 3)}

    found = {
        "jwt.sign_us": micros(signing) | {"ratio": None},
        "jwt.sign_vs_raw": times_as_fast(ratio(signing, AWS_LC)),
        "jwt.verify_us": micros(verifying) | {"ratio": None},
        "jwt.verify_vs_raw": times_as_fast(ratio(verifying, AWS_LC)),
        "jwt.verify_vs_pyjwt": times_as_fast(ratio(verifying, "PyJWT")),
        "jwt.verify_vs_oxyjwt": times_as_fast(ratio(verifying, "oxyjwt")),
        "jwt.refusal_vs_acceptance": times_as_fast(ratio(verifying, OURS, REFUSAL)),
    }
    if OURS in scaling:
        found["jwt.two_threads"] = times_as_fast(scaling[OURS])
    return found


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def timed_twice(clock: Clock, operations: int) -> float:
    """Seconds for so many operations in each of two threads at once."""
    threads = [threading.Thread(target=clock, args=(operations,)) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
