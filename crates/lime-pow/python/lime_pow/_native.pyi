"""The compiled module. `lime_pow` re-exports all of it."""

from typing import Final, final

__all__ = ["MAX_DIFFICULTY", "Solver", "check", "engines", "new_challenge"]

MAX_DIFFICULTY: Final = 32
"""Highest difficulty, in bits, that `check` and `Solver` accept.

A hostile server could otherwise make a client search for years.
"""

def new_challenge(random: bytes) -> str:
    """Make a challenge of 43 base64url characters.

    `random` is 32 bytes from a cryptographic source, drawn for this challenge alone: whoever can
    guess it can solve the puzzle before it is given out.

    Raises InvalidChallengeError if there are not exactly 32 bytes.
    """

def check(challenge: str, nonce: str, difficulty: int) -> None:
    """Return if `nonce` solves `challenge` at `difficulty` bits, and raise if not.

    It says nothing about whose challenge it is, or whether it was used before: that is for the
    caller to remember.

    Raises InvalidChallengeError (not 1 to 128 ASCII characters, or one of them is NUL),
    InvalidNonceError (not 1 to 64 printable ASCII characters, or no solution) or
    InvalidDifficultyError (not 0 to MAX_DIFFICULTY).
    """

def engines() -> tuple[str, ...]:
    """Name the engines of this machine, fastest first.

    They are those of "sha-ni", "avx512" and "avx2" (x86-64) or "arm-sha2" (64-bit ARM) that the
    processor has, and "portable".
    """

@final
class Solver:
    """A search for a nonce that can be stopped after any slice and taken up again.

    Nonces are decimal numbers of a fixed width. They are tried in a fixed order, in which `start`
    (0 to 10^16 - 1) says where to begin; after the last comes the first. Engines and threads make
    a difference in speed only: the same start leads all of them to the same nonce.

    `engine` is one of `engines()`, the fastest if left out. `threads` (1 to 256) is how many
    threads compute: if left out, one below difficulty 18, and from there on as many as there are
    processors for this process, but eight at most. None is left when a slice has ended.

    A solver may be used from several threads; slices then run one after the other.

    Raises InvalidChallengeError, InvalidDifficultyError, InvalidStartError, InvalidThreadsError or
    UnavailableEngineError.
    """

    def __new__(
        cls,
        challenge: str,
        difficulty: int,
        *,
        start: int = 0,
        engine: str | None = None,
        threads: int | None = None,
    ) -> Solver: ...
    def advance(self, attempts: int) -> str | None:
        """Make at most `attempts` attempts; return the nonce as soon as one was good, else None.

        The next call goes on where this one ended: after a success, towards the next solution.
        Other Python threads run meanwhile. The length of a slice bounds how late a deadline is
        seen: a million attempts take one thread some 8 ms with the SHA instructions, and some
        110 ms on "portable".

        Raises OverflowError if `attempts` is negative or above 2^64 - 1.
        """

    def stop(self) -> None:
        """End the running slice within a fraction of a millisecond, whatever its length.

        It returns None, like every later one at once. This can be called from any thread.
        """

    @property
    def attempts(self) -> int:
        """How many nonces have been tried, exactly, until the end of the last slice."""

    @property
    def difficulty(self) -> int:
        """The difficulty that is searched for, in bits."""

    @property
    def engine(self) -> str:
        """What computes the hashes."""

    @property
    def threads(self) -> int:
        """How many threads compute them, in a slice that is long enough for so many."""
