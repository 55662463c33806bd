"""Passwords: which are good enough, and what keeps them."""

import unicodedata
from typing import Protocol

from lime_server.core.errors import WeakPassword

SHORTEST = 12
"""Bytes: long enough that argon2id at OWASP's parameters outlasts a leaked table."""
LONGEST = 1024
"""Bytes: a passphrase of a hundred words. To hash more would be a way to keep us busy."""

_FEWEST_DIFFERENT = 5
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1q2w3e4r5t6z7u8i9o0p",
    "1q2w3e4r5t6y7u8i9o0p",
)
_STEMS = frozenset(
    """
    password passwort passw pass word pwd secret login admin administrator root user welcome hello
    letmein trustno monkey dragon sunshine princess iloveyou football baseball superman batman
    starwars master shadow qwerty qwertz azerty asdf changeme default test guest summer winter
    spring autumn lime limeserver passport my the is for you me and one two three
    """.split()  # noqa: SIM905 - a list of fifty quoted words is harder to read
)
_LONGEST_STEM = max(map(len, _STEMS))
_LEET = str.maketrans("013457@$!", "oleastasi")


class PasswordHasher(Protocol):
    """Makes hashes that are slow to guess from."""

    async def hash(self, password: str) -> str:
        """A new hash, with its salt and parameters in it."""
        ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether they belong together. With None the same work is done in vain."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than new ones are."""
        ...


def new_password(text: str, *, email: str) -> str:
    """`text` as it is hashed. Raises WeakPassword if it is too short, too long or too obvious.

    There is no rule about kinds of characters: length is what counts (NIST SP 800-63B, 3.1.1.2).
    What everybody tries first is refused by a rule, not by a list.
    """
    password = normal(text)
    if not SHORTEST <= _size(password) <= LONGEST:
        raise WeakPassword(f"A password has {SHORTEST} to {LONGEST} bytes.")
    if _is_obvious(password.lower(), email):
        raise WeakPassword("This password is among the first that somebody would try.")
    return password


def normal(text: str) -> str:
    """One spelling for what looks alike: keyboards differ in how they write an umlaut."""
    return unicodedata.normalize("NFKC", text)


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate, which no keyboard makes
        return 0


def _is_obvious(password: str, email: str) -> bool:
    if len(set(password)) < _FEWEST_DIFFERENT:
        return True
    local, _, domain = email.partition("@")
    own = {local, domain, domain.partition(".")[0]}
    left = password
    for word in sorted(own, key=len, reverse=True):
        if len(word) >= 3:
            left = left.replace(word, "")
    return _is_made_of_stems(left) or _is_made_of_stems(left.translate(_LEET)) or _runs(password)


def _is_made_of_stems(text: str) -> bool:
    """Whether nothing but common words, digits and signs is left."""
    letters = "".join(char if char.isalpha() else " " for char in text).split()
    return all(_splits(word) for word in letters) and len(letters) <= 4


def _splits(word: str) -> bool:
    """Whether `word` is a chain of stems, or a single letter."""
    good = [True] + [False] * len(word)
    for end in range(1, len(word) + 1):
        first = max(0, end - _LONGEST_STEM)
        good[end] = any(good[start] and word[start:end] in _STEMS for start in range(first, end))
    return len(word) == 1 or good[-1]


def _runs(password: str) -> bool:
    """Whether it goes along the alphabet or a keyboard, or repeats a short piece."""
    doubled = [row * 2 for row in _ROWS]
    pieces = [password[i : i + 4] for i in range(0, len(password), 4)]
    if all(any(piece in row or piece[::-1] in row for row in doubled) for piece in pieces):
        return True
    return any(
        password == (password[:size] * len(password))[: len(password)] for size in range(1, 5)
    )
