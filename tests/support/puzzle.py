"""Protocol section 4 in hashlib: an opinion on nonces that is independent of our Rust."""

import hashlib
from collections.abc import Iterator

_PREFIX = b"lime:pow:v1\x00"


def digest(challenge: str, nonce: str) -> int:
    """The number that protocol section 4 compares."""
    return int.from_bytes(
        hashlib.sha256(_PREFIX + challenge.encode() + b"\x00" + nonce.encode()).digest(), "big"
    )


def zero_bits(challenge: str, nonce: str) -> int:
    """How many leading zero bits the digest has: the highest difficulty that the nonce satisfies."""
    return 256 - digest(challenge, nonce).bit_length()


def nonces(challenge: str, *, template: str = "{}") -> Iterator[tuple[str, int]]:
    """Every candidate with its leading zero bits, for tests that need a particular one."""
    middle = hashlib.sha256(_PREFIX + challenge.encode() + b"\x00")
    number = 0
    while True:
        nonce = template.format(number)
        attempt = middle.copy()
        attempt.update(nonce.encode())
        yield nonce, 256 - int.from_bytes(attempt.digest(), "big").bit_length()
        number += 1


def solve(challenge: str, difficulty: int, *, template: str = "{}") -> str:
    """A nonce for the challenge, by hashlib alone. About 20 ms at difficulty 15."""
    return next(
        nonce for nonce, zeros in nonces(challenge, template=template) if zeros >= difficulty
    )
