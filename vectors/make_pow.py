"""Makes `pow.json`: puzzles, digests and solutions for every implementation of protocol section 4.

Only `hashlib` computes here, so that the file is a second opinion and not an echo of our own
crate. All choices come from a fixed seed: a second run writes the same bytes.

    python vectors/make_pow.py
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("pow.json")
DOMAIN = b"lime:pow:v1\x00"
SEED = b"vectors of lime:pow:v1"

# What an opaque ASCII challenge may hold, and what a printable nonce may hold.
CHALLENGE_ALPHABET = bytes(range(0x01, 0x80))
NONCE_ALPHABET = bytes(range(0x20, 0x7F))
BASE64URL_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Too rare to look for on every run: found once by a search, and proved below like all others.
RARE = {
    24: ("LIME-vectors-challenge-with-43-characters--", "0000000036810493"),
    34: ("LIME-vectors-challenge-with-43-characters--", "0000005015790176"),
}


class Choices:
    """A stream of choices: SHA-256 of the seed and a counter, the same in every Python version."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0

    def number(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        self._counter += 1
        drawn = hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
        return low + int.from_bytes(drawn, "big") % (high - low + 1)

    def text(self, alphabet: bytes, length: int) -> str:
        return bytes(alphabet[self.number(0, len(alphabet) - 1)] for _ in range(length)).decode()

    def base64url(self, length: int) -> str:
        return self.text(BASE64URL_ALPHABET, length)


def digest(challenge: str, nonce: str) -> bytes:
    """The digest of protocol section 4."""
    return hashlib.sha256(DOMAIN + challenge.encode() + b"\x00" + nonce.encode()).digest()


def bits_of(digest: bytes) -> int:
    """The highest difficulty that this digest meets: digest < 2^(256 - bits)."""
    return 256 - int.from_bytes(digest, "big").bit_length()


class Series:
    """The nonces that our solver tries for a challenge, in its order.

    They begin in one block of SHA-256 and end in the next, the last one. The digits that end the
    first of them, the head, count fastest; then those of the tail, which lie as late in the last
    block as there is room; then the slow ones. All others are zero.
    """

    def __init__(self, challenge: str) -> None:
        used = (len(DOMAIN) + len(challenge) + 1) % 64
        first = 64 - used
        # In the last block: what 64 characters leave, and 9 bytes of padding.
        room = min(64 - first, 55)
        # Tails begin with every fourth word, and have seven digits at least where they can.
        common = next((4 * word for word in (12, 8, 4) if 4 * word + 7 <= room), 0)
        self.width = first + min(room, common + 8)
        self.head = slice(max(first - 3, 0), first)
        self.tail = slice(first + common, self.width)
        self.slow = slice(first, self.tail.start) if common else slice(0, self.head.start)
        self.heads = min(160, 10 ** (self.head.stop - self.head.start))
        self.tails = 10 ** (self.tail.stop - self.tail.start)

    def nonce(self, index: int) -> str:
        row, head = divmod(index, self.heads)
        slow, tail = divmod(row, self.tails)
        digits = ["0"] * self.width
        for where, number in ((self.head, head), (self.tail, tail), (self.slow, slow)):
            room = where.stop - where.start
            digits[where] = f"{number:0{room}d}" if room else ""
        return "".join(digits)


def search(challenge: str, start: int) -> Iterator[tuple[str, int]]:
    """Each nonce of our solver's order, with its bits."""
    before = hashlib.sha256(DOMAIN + challenge.encode() + b"\x00")
    series = Series(challenge)
    index = start
    while True:
        nonce = series.nonce(index)
        tried = before.copy()
        tried.update(nonce.encode())
        yield nonce, bits_of(tried.digest())
        index = (index + 1) % 10**16


def digests(choices: Choices) -> Iterator[dict[str, Any]]:
    """Digests for every length of challenge and of nonce, of any character that they may hold."""
    lengths = [
        (challenge, nonce)
        for challenge in range(1, 129)
        for nonce in (1, 16, choices.number(2, 63), 64)
    ]
    lengths += [(43, nonce) for nonce in range(1, 65)]
    for challenge_length, nonce_length in lengths:
        challenge = choices.text(CHALLENGE_ALPHABET, challenge_length)
        nonce = choices.text(NONCE_ALPHABET, nonce_length)
        yield {
            "challenge": challenge,
            "nonce": nonce,
            "digest": digest(challenge, nonce).hex(),
            "bits": bits_of(digest(challenge, nonce)),
        }


def boundaries(choices: Choices) -> Iterator[dict[str, Any]]:
    """Nonces that are just good enough: valid at `bits`, and not at one bit more."""
    challenge = choices.base64url(43)
    for bits in range(17):
        nonce = next(nonce for nonce, found in search(challenge, 0) if found == bits)
        yield {"challenge": challenge, "nonce": nonce, "bits": bits}
    for bits, (challenge, nonce) in RARE.items():
        if bits_of(digest(challenge, nonce)) != bits:
            message = f"the recorded nonce does not have {bits} bits"
            raise AssertionError(message)
        yield {"challenge": challenge, "nonce": nonce, "bits": bits}


def solutions(choices: Choices) -> Iterator[dict[str, Any]]:
    """What our solver finds first, and in how many attempts, from a given start."""
    puzzles = [(length, choices.number(0, 10**16 - 1), 7) for length in range(1, 129)]
    # Each group of digits turns over, and so does the last nonce, for every kind of layout.
    for length in (1, 10, 26, 27, 42, 43, 49, 50, 51, 52, 55, 64, 128):
        series = Series("x" * length)
        turns = (series.heads, series.heads * series.tails, 10**16)
        puzzles += [(length, turn - choices.number(1, 99), 8) for turn in turns if turn > 99]
    # No work at all, and as much as real puzzles ask for.
    puzzles += [(43, 0, difficulty) for difficulty in (0, 1, 5, 10, 15, 16)]
    for length, start, difficulty in puzzles:
        challenge = choices.base64url(length)
        attempts, nonce = next(
            (attempts, nonce)
            for attempts, (nonce, bits) in enumerate(search(challenge, start), 1)
            if bits >= difficulty
        )
        yield {
            "challenge": challenge,
            "difficulty": difficulty,
            "start": start,
            "nonce": nonce,
            "attempts": attempts,
        }


def malformed(choices: Choices) -> Iterator[dict[str, Any]]:
    """Puzzles with one thing wrong, which `wrong` names. At difficulty 0 any nonce is good."""
    good = {"challenge": choices.base64url(43), "nonce": "0", "difficulty": 0}
    bad: dict[str, list[Any]] = {
        "challenge": ["", "x" * 129, "x" * 10_000, "a\x00b", "\x00", "\xe9", "x" * 127 + "\xe9"],
        # The last one is a digit, and even a decimal one, but not of ASCII.
        "nonce": [
            "",
            "0" * 65,
            "0" * 10_000,
            "\x00",
            "\n",
            "1\t",
            "0\x1f",
            "0\x7f",
            "\xe9",
            "\uff11",
        ],
        "difficulty": [-1, 33, 64, 256, 257, 2**32, 2**32 + 1, 2**64, -(2**63)],
    }
    for wrong, values in bad.items():
        for value in values:
            yield {"wrong": wrong, **good, wrong: value}


def made(choices: Choices) -> Iterator[dict[str, Any]]:
    """Challenges as our server makes them: 256 random bits in base64url."""
    randoms = [bytes(32), b"\xff" * 32, bytes(range(32))]
    randoms += [choices.number(0, 2**256 - 1).to_bytes(32, "big") for _ in range(13)]
    for random in randoms:
        text = base64.urlsafe_b64encode(random).rstrip(b"=").decode()
        yield {"random": random.hex(), "challenge": text}


def render() -> str:
    """The whole file: one case a line, so that a change of one is one line in a diff."""
    head = {
        "source": "vectors/make_pow.py, with hashlib",
        "format": "protocol section 4; bits is the highest difficulty at which the nonce is valid",
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    for section in (digests, boundaries, solutions, malformed, made):
        choices = Choices(SEED + section.__name__.encode())
        cases = ",\n".join(f"    {json.dumps(case)}" for case in section(choices))
        lines.append(f'  "{section.__name__}": [\n{cases}\n  ]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="ascii")
