//! What a client found.

use std::str::FromStr;

use crate::Error;

/// A nonce: 1 to 64 printable ASCII characters (0x20 to 0x7e).
///
/// Solvers use decimal digits; any other nonce that solves the puzzle is as good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// Longest accepted nonce, in bytes (protocol section 4).
    pub const MAX_BYTES: usize = 64;

    /// The text as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nonce that consists of these decimal digits, of which there are 1 to 64.
    pub(crate) fn from_digits(digits: impl Iterator<Item = u8>) -> Self {
        Self(digits.map(char::from).collect())
    }
}

impl FromStr for Nonce {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::NonceLength`] or [`Error::NonceCharacter`].
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(Error::NonceLength(text.len()));
        }
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Error::NonceCharacter);
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_of_any_length_from_1_to_64_is_accepted_and_no_other() {
        for length in 1..=64 {
            assert!("7".repeat(length).parse::<Nonce>().is_ok());
        }
        for length in [0, 65, 10_000] {
            assert_eq!("7".repeat(length).parse::<Nonce>(), Err(Error::NonceLength(length)));
        }
    }

    #[test]
    fn a_nonce_may_hold_printable_ascii_and_nothing_else() {
        for code in 0..=0x7f_u8 {
            let text = char::from(code).to_string();
            assert_eq!(text.parse::<Nonce>().is_ok(), (0x20..=0x7e).contains(&code), "{code:#x}");
        }
        assert_eq!("é".parse::<Nonce>(), Err(Error::NonceCharacter));
    }
}
