//! The proof of work of LIME: making, checking and solving a puzzle.
//!
//! A puzzle is a [`Challenge`] with a [`Difficulty`]. A [`Nonce`] solves it when
//!
//! ```text
//! SHA-256( "lime:pow:v1" || 0x00 || challenge || 0x00 || nonce )
//! ```
//!
//! read as a big-endian integer, is below `2^(256 - difficulty)` (protocol section 4). The three
//! types can only hold values that the protocol allows, so nothing behind them is checked twice.
//!
//! ```
//! use lime_pow::{Challenge, Difficulty, Solver, check};
//!
//! // The server: thirty-two bytes from its random source.
//! let challenge = Challenge::new([7; 32]);
//! let difficulty = Difficulty::new(12)?;
//!
//! // The client: in slices, so that it can stop at a deadline.
//! let mut solver = Solver::new(&challenge, difficulty);
//! let nonce = loop {
//!     if let Some(nonce) = solver.advance(10_000) {
//!         break nonce;
//!     }
//! };
//!
//! // The server again.
//! check(&challenge, &nonce, difficulty)?;
//! # Ok::<(), lime_pow::Error>(())
//! ```
//!
//! Nothing here reads a clock, a random source or the environment. What the processor can do is
//! looked at once, see [`Engine`].

mod challenge;
mod check;
mod difficulty;
mod engine;
mod error;
mod message;
mod nonce;
mod series;
mod solver;

pub use challenge::Challenge;
pub use check::{check, check_on};
pub use difficulty::Difficulty;
pub use engine::Engine;
pub use error::Error;
pub use nonce::Nonce;
pub use solver::Solver;
