"""Thin adapters over the Rust crates: every cryptographic step of a request happens there.

One secret, the master key, is configured; a key for each purpose is derived from it.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import lime_jwt
import lime_pow
from lime_server.core.errors import InvalidPow
from lime_server.core.keyring import KeyRing
from lime_server.core.keys import Key, KeyState


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What is derived from the master key."""

    tokens: lime_jwt.TokenHasher
    """Hashes tokens before they are stored or looked up."""
    keys: lime_jwt.KeyEncryptionKey
    """Seals private signing keys; the context is their kid."""
    answers: lime_jwt.KeyEncryptionKey
    """Seals remembered answers, which may hold a token that was shown once."""
    accounts: lime_jwt.KeyEncryptionKey
    """Seals authenticators' secrets and mails; the context is the owner's or mail's id."""
    documents: lime_jwt.KeyEncryptionKey
    """Seals the documents that owners prove themselves with."""
    audit: lime_jwt.TokenHasher
    """Seals the heads of the audit log's chains."""

    domains: lime_jwt.TokenHasher
    """Makes what has to stand at a domain to prove it."""

    @classmethod
    def derived_from(cls, master: bytes) -> "Secrets":
        """The keys that belong to `master` (32 bytes).

        The purposes must never change: what is stored was made with them.
        """
        derive = lime_jwt.TokenHasher.derive
        return cls(
            domains=lime_jwt.TokenHasher(derive(master, "lime:domain-proof:v1")),
            tokens=lime_jwt.TokenHasher(derive(master, "lime:token-hash:v1")),
            keys=lime_jwt.KeyEncryptionKey(derive(master, "lime:signing-keys:v1")),
            answers=lime_jwt.KeyEncryptionKey(derive(master, "lime:idempotency:v1")),
            accounts=lime_jwt.KeyEncryptionKey(derive(master, "lime:accounts:v1")),
            documents=lime_jwt.KeyEncryptionKey(derive(master, "lime:kyc-documents:v1")),
            audit=lime_jwt.TokenHasher(derive(master, "lime:audit-log:v1")),
        )


class RsaKeyMaker:
    """Makes RSA signing keys."""

    def __init__(self, bits: int = 2048) -> None:
        """`bits` is the size of the modulus: 2048, 3072 or 4096."""
        self._bits = bits

    async def make(self, now: datetime) -> Key:
        """A fresh key in state standby, created at `now`."""
        # Finding primes takes tenths of a second: far too long for the event loop.
        key = await asyncio.to_thread(lime_jwt.SigningKey.generate, self._bits)
        return Key(
            kid=key.kid,
            state=KeyState.STANDBY,
            public_jwk=key.public_jwk(),
            private_key=key.to_pkcs8(),
            created_at=now,
        )


class RingSigner:
    """Signs passports with the key that is active now.

    On the event loop: a signature takes a quarter of a millisecond, and handing it to a thread
    costs another 50 to 150 µs of processor time, which only pays where a second core is idle.
    """

    def __init__(self, ring: KeyRing) -> None:
        """`ring` knows which key that is."""
        self._ring = ring

    async def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """A JWS over `claims`. Raises `Unavailable` when no key may sign."""
        key = await self._ring.signing_key()
        return key.sign(claims, typ=typ)


class Puzzles:
    """Makes and checks proofs of work.

    A check is one hash, so it costs less than leaving the event loop would.
    """

    def new_challenge(self) -> str:
        """A fresh puzzle: 43 base64url characters."""
        return lime_pow.new_challenge(secrets.token_bytes(32))

    def check(self, challenge: str, nonce: str, difficulty: int) -> None:
        """Return when `nonce` solves `challenge`; raises `InvalidPow` otherwise."""
        try:
            lime_pow.check(challenge, nonce, difficulty)
        except lime_pow.InvalidNonceError:
            raise InvalidPow from None
