"""The proof of work of LIME: make a challenge, solve it, check the solution.

A nonce solves a challenge when SHA-256("lime:pow:v1" || 0x00 || challenge || 0x00 || nonce), read
as a big-endian integer, is below 2^(256 - difficulty) (protocol section 4).

Nothing here reads a clock, a random source or the environment; what the processor can do, and how
many of them this process may use, is asked. The work is done by the Rust crate
of the same name.
"""

from lime_pow._native import MAX_DIFFICULTY, Solver, check, engines, new_challenge
from lime_pow.errors import (
    InvalidChallengeError,
    InvalidDifficultyError,
    InvalidNonceError,
    InvalidStartError,
    InvalidThreadsError,
    LimePowError,
    UnavailableEngineError,
)

__all__ = [
    "MAX_DIFFICULTY",
    "InvalidChallengeError",
    "InvalidDifficultyError",
    "InvalidNonceError",
    "InvalidStartError",
    "InvalidThreadsError",
    "LimePowError",
    "Solver",
    "UnavailableEngineError",
    "check",
    "engines",
    "new_challenge",
]
