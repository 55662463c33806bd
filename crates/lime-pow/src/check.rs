//! Whether a puzzle is solved.

use crate::message::Message;
use crate::{Challenge, Difficulty, Engine, Error, Nonce};

/// Checks that `nonce` solves `challenge` at `difficulty`.
///
/// This says nothing about whose challenge it is or whether it was used before: that is for the
/// caller to remember.
///
/// # Errors
///
/// [`Error::NotSolved`] if it does not.
pub fn check(challenge: &Challenge, nonce: &Nonce, difficulty: Difficulty) -> Result<(), Error> {
    check_on(Engine::fastest(), challenge, nonce, difficulty)
}

/// [`check`] on a chosen engine. All engines give the same answer.
///
/// # Errors
///
/// [`Error::NotSolved`] if the nonce does not solve the challenge.
pub fn check_on(
    engine: Engine,
    challenge: &Challenge,
    nonce: &Nonce,
    difficulty: Difficulty,
) -> Result<(), Error> {
    let digest = Message::new(challenge, nonce.as_str().as_bytes()).digest(engine);
    if digest[0] & difficulty.mask() == 0 { Ok(()) } else { Err(Error::NotSolved) }
}
