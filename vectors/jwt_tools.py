"""How the tokens of `jwt.json` are made: by peers where they can, by hand where they refuse.

Nothing of `lime-jwt` is used, so that the file is a second opinion. RSA with the odd keys is done
with Python's integers, because no library would sign with them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import RSAKey

HERE = Path(__file__).parent

# RFC 8017 section 9.2, note 1: the DER prefix of a SHA-256 digest in PKCS#1 v1.5.
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")

Json = dict[str, Any]


def b64(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def uint(number: int) -> str:
    """Base64urlUInt (RFC 7518 section 2)."""
    return b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class TestKey:
    """A published RSA key. Never a secret."""

    pkcs8: str

    @cached_property
    def private(self) -> RSAPrivateKey:
        key = serialization.load_der_private_key(base64.b64decode(self.pkcs8), password=None)
        assert isinstance(key, RSAPrivateKey)
        return key

    @cached_property
    def numbers(self) -> RSAPrivateNumbers:
        return self.private.private_numbers()

    @property
    def n(self) -> int:
        return self.numbers.public_numbers.n

    @property
    def e(self) -> int:
        return self.numbers.public_numbers.e

    @cached_property
    def kid(self) -> str:
        """RFC 7638 section 3."""
        members = {"e": uint(self.e), "kty": "RSA", "n": uint(self.n)}
        return b64(hashlib.sha256(compact(members)).digest())

    def jwk(self, **changes: object) -> Json:
        """The public key as LIME publishes it, with members changed or, with None, left out."""
        members: Json = {
            "kty": "RSA",
            "n": uint(self.n),
            "e": uint(self.e),
            "kid": self.kid,
            "alg": "RS256",
            "use": "sig",
        }
        members |= changes
        return {name: value for name, value in members.items() if value is not None}

    def signature(self, message: bytes) -> bytes:
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def integer_signature(self, message: bytes) -> bytes:
        """PKCS#1 v1.5 by arithmetic alone, for keys that libraries refuse to sign with."""
        return rsa(encoded_message(message, (self.n.bit_length() + 7) // 8), self.numbers.d, self.n)


def rsa(encoded: bytes, exponent: int, modulus: int) -> bytes:
    """RSA without any rule of PKCS#1 (RFC 8017 section 5)."""
    return pow(int.from_bytes(encoded, "big"), exponent, modulus).to_bytes(len(encoded), "big")


def encoded_message(message: bytes, size: int) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017 section 9.2) of a SHA-256 digest."""
    return padded(SHA256_PREFIX + hashlib.sha256(message).digest(), size)


def padded(digest_info: bytes, size: int) -> bytes:
    """The padding of EMSA-PKCS1-v1_5 before any bytes."""
    return b"\x00\x01" + b"\xff" * (size - len(digest_info) - 3) + b"\x00" + digest_info


def test_keys() -> dict[str, TestKey]:
    document = json.loads((HERE / "jwt-test-keys.json").read_text())
    return {name: TestKey(pkcs8) for name, pkcs8 in document["keys"].items()}


def by_pyjwt(key: TestKey, claims: Json, header: Json) -> str:
    return pyjwt.encode(claims, key.private, algorithm="RS256", headers=header)


def by_joserfc(key: TestKey, claims: Json, header: Json) -> str:
    jwk = RSAKey.import_key(base64.b64decode(key.pkcs8))
    return joserfc_jwt.encode({"alg": "RS256"} | header, claims, jwk)


def by_hand(key: TestKey, header: bytes, claims: bytes) -> str:
    """Sign exactly these bytes, whatever they are."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(key.signature(signed.encode()))}"


def by_hmac(secret: bytes, header: bytes, claims: bytes) -> str:
    """HS256 with a secret that is none."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def public_bytes(key: TestKey, encoding: Encoding, form: PublicFormat) -> bytes:
    return key.private.public_key().public_bytes(encoding, form)


def last_character_changed(segment: str) -> str:
    """The same bytes for a careless decoder: bits that belong to no byte are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(segment) % 4 in (2, 3), "a whole number of groups has no spare bits"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) | 1]


def pss_signature(key: TestKey, message: bytes) -> bytes:
    """PS256 without salt, because a salt would make the file another one each time.

    A salt length is not part of PSS's form; what matters is that it is not PKCS#1 v1.5.
    """
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 0)
    return key.private.sign(message, pss, hashes.SHA256())
