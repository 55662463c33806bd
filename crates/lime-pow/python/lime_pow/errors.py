"""What can go wrong with a puzzle.

::

    ValueError
    └── LimePowError
        ├── InvalidChallengeError    not 1 to 128 ASCII characters, or not made from 32 bytes
        ├── InvalidDifficultyError   not 0 to MAX_DIFFICULTY bits
        ├── InvalidNonceError        not 1 to 64 printable characters, or no solution
        ├── InvalidStartError        not a number from 0 to 10^16 - 1
        ├── InvalidThreadsError      not 1 to 256 threads
        └── UnavailableEngineError   this machine has no engine of that name

Messages name limits, never the text that was refused: it comes from the other side of the wire.
"""


class LimePowError(ValueError):
    """The base of every error that this package raises on its own."""


class InvalidChallengeError(LimePowError):
    """The challenge is none that the protocol allows."""


class InvalidDifficultyError(LimePowError):
    """The difficulty is below 0 or above `MAX_DIFFICULTY` bits."""


class InvalidNonceError(LimePowError):
    """The nonce is none that the protocol allows, or it does not solve the puzzle."""


class InvalidStartError(LimePowError):
    """The first nonce to try is below 0 or has more than 16 decimal digits."""


class InvalidThreadsError(LimePowError):
    """A search runs on 1 to 256 threads."""


class UnavailableEngineError(LimePowError):
    """This machine has no engine of that name; `engines()` tells which it has."""
