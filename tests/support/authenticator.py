"""A passkey's authenticator, made of software."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "https://lime.example"
Options = dict[str, Any]


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    if value < 256:
        return bytes([major << 5 | 24, value])
    return bytes([major << 5 | 25]) + value.to_bytes(2, "big")


def cbor(value: object) -> bytes:
    """As much of CBOR (RFC 8949) as an authenticator speaks."""
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    assert isinstance(value, dict)
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


class Authenticator:
    """One device with one passkey (Web Authentication Level 3, sections 6.1 and 6.5)."""

    def __init__(
        self,
        credential_id: bytes = b"credential-one!!",
        *,
        origin: str = ORIGIN,
    ) -> None:
        self.credential_id = credential_id
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.count = 1
        self.flags = 0b101  # user present, user verified
        self.origin = origin
        self.host = str(urlsplit(origin).hostname)
        self.user_handle = b""

    def create(self, options: Options) -> Options:
        self.user_handle = unb64(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        x, y = (part.to_bytes(32, "big") for part in (numbers.x, numbers.y))
        public = cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        auth_data = self._auth_data(self.flags | 0b1000000) + attested + public
        statement = cbor({"fmt": "none", "attStmt": {}, "authData": auth_data})
        client = self._client("webauthn.create", options)
        return self._credential(
            {"attestationObject": b64(statement), "clientDataJSON": b64(client)}
        )

    def get(self, options: Options, **changes: str) -> Options:
        self.count += 1
        auth_data = self._auth_data(self.flags)
        client = self._client("webauthn.get", options)
        signed = auth_data + hashlib.sha256(client).digest()
        answer = {
            "authenticatorData": b64(auth_data),
            "clientDataJSON": b64(client),
            "signature": b64(self.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": b64(self.user_handle),
        }
        return self._credential({**answer, **changes})

    def _auth_data(self, flags: int) -> bytes:
        return (
            hashlib.sha256(self.host.encode()).digest()
            + bytes([flags])
            + self.count.to_bytes(4, "big")
        )

    def _client(self, kind: str, options: Options) -> bytes:
        facts = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(facts).encode()

    def _credential(self, response: Options) -> Options:
        ident = b64(self.credential_id)
        return {"id": ident, "rawId": ident, "type": "public-key", "response": response}
