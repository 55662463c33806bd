//! Everything that can be wrong with a puzzle or its solution.

use std::fmt;

use crate::{Challenge, Difficulty, Nonce, Solver};

/// Why a value was refused.
///
/// Messages name limits and counts, never the refused text: that text comes from the other side of
/// the wire, and may be long or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The challenge is empty or longer than [`Challenge::MAX_BYTES`]; it has this many bytes.
    ChallengeLength(usize),
    /// The challenge holds a byte that is not ASCII, or the separator 0x00.
    ChallengeCharacter,
    /// The difficulty, in bits, is above [`Difficulty::MAX_BITS`].
    DifficultyTooHigh(u32),
    /// The nonce is empty or longer than [`Nonce::MAX_BYTES`]; it has this many bytes.
    NonceLength(usize),
    /// The nonce holds something else than printable ASCII.
    NonceCharacter,
    /// The nonce is well-formed but does not solve the puzzle.
    NotSolved,
    /// The first nonce to try is not below [`Solver::NONCES`].
    StartTooHigh(u64),
    /// This machine has no engine of that name.
    EngineUnavailable,
    /// A search was to run on so many threads: none, or more than [`Solver::MAX_THREADS`].
    ThreadCount(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChallengeLength(found) => {
                write!(f, "a challenge has 1 to {} bytes, not {found}", Challenge::MAX_BYTES)
            }
            Self::ChallengeCharacter => f.write_str("a challenge is ASCII text without NUL"),
            Self::DifficultyTooHigh(found) => {
                write!(f, "a difficulty is at most {} bits, not {found}", Difficulty::MAX_BITS)
            }
            Self::NonceLength(found) => {
                write!(f, "a nonce has 1 to {} bytes, not {found}", Nonce::MAX_BYTES)
            }
            Self::NonceCharacter => f.write_str("a nonce is printable ASCII text"),
            Self::NotSolved => f.write_str("the nonce does not solve the puzzle"),
            Self::StartTooHigh(found) => {
                write!(f, "the first nonce to try is below {}, not {found}", Solver::NONCES)
            }
            Self::EngineUnavailable => f.write_str("this machine has no engine of that name"),
            Self::ThreadCount(found) => {
                write!(f, "a search runs on 1 to {} threads, not {found}", Solver::MAX_THREADS)
            }
        }
    }
}

impl std::error::Error for Error {}
