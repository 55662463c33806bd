"""Token hashes and sealed keys, compared with other implementations."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lime_jwt import (
    DecryptionError,
    InvalidKeyError,
    KeyEncryptionKey,
    LimeJwtError,
    TokenHasher,
)

KEY = bytes(range(32))


def test_a_hash_is_hmac_sha_256() -> None:
    for token in ("", "at_secret", "é" * 100):
        assert TokenHasher(KEY).hash(token) == hmac.digest(KEY, token.encode(), "sha256")


def test_only_the_whole_hash_matches() -> None:
    hasher = TokenHasher(KEY)
    digest = hasher.hash("st_secret")
    assert hasher.matches("st_secret", digest) is True
    for other in (b"", digest[:-1], digest + b"\0", bytes(32)):
        assert hasher.matches("st_secret", other) is False
    assert TokenHasher(KEY[::-1]).matches("st_secret", digest) is False


def test_a_derived_key_is_hkdf_sha_256() -> None:
    expected = HKDF(SHA256(), length=32, salt=b"lime:derive:v1", info=b"token-hash").derive(KEY)
    assert TokenHasher.derive(KEY, "token-hash") == expected
    assert TokenHasher.derive(KEY, "key-encryption") != expected


def test_short_keys_and_nameless_purposes_are_refused() -> None:
    for make in (
        lambda: TokenHasher(KEY[1:]),
        lambda: TokenHasher.derive(KEY[1:], "x"),
        lambda: KeyEncryptionKey(KEY[1:]),
        lambda: KeyEncryptionKey(KEY + b"\0"),
    ):
        with pytest.raises(InvalidKeyError):
            make()
    with pytest.raises(LimeJwtError):
        TokenHasher.derive(KEY, "")


def test_a_sealed_value_is_aes_256_gcm_with_its_version_and_context() -> None:
    sealed = KeyEncryptionKey(KEY).seal(b"private", context=b"kid-1")
    assert sealed[0] == 1
    assert AESGCM(KEY).decrypt(sealed[1:13], sealed[13:], b"\x01kid-1") == b"private"


def test_no_two_seals_are_alike() -> None:
    key = KeyEncryptionKey(KEY)
    assert len({key.seal(b"private", context=b"") for _ in range(100)}) == 100


def test_a_sealed_value_opens_only_untouched_with_its_key_and_in_its_context() -> None:
    key = KeyEncryptionKey(KEY)
    sealed = key.seal(b"private", context=b"kid-1")
    flipped = [
        sealed[:index] + bytes([sealed[index] ^ bit]) + sealed[index + 1 :]
        for index in range(len(sealed))
        for bit in (1, 128)
    ]
    cut = [sealed[:length] for length in range(len(sealed))]
    for other in [*flipped, *cut, sealed + b"\0"]:
        with pytest.raises(DecryptionError):
            key.open(other, context=b"kid-1")
    for context in (b"", b"kid-2", b"kid-1\0"):
        with pytest.raises(DecryptionError):
            key.open(sealed, context=context)
    with pytest.raises(DecryptionError):
        KeyEncryptionKey(KEY[::-1]).open(sealed, context=b"kid-1")
