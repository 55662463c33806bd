//! What a client is asked to work on.

use std::str::FromStr;

use crate::Error;

/// The alphabet of RFC 4648 section 5.
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A challenge: 1 to 128 ASCII characters, none of them NUL.
///
/// A parsed one is opaque: only the server that made it knows what it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Challenge(Box<str>);

impl Challenge {
    /// Longest accepted challenge, in bytes (protocol section 4).
    pub const MAX_BYTES: usize = 128;

    /// Makes a challenge of 256 bits, as 43 base64url characters.
    ///
    /// The caller draws `random` from a cryptographic source, once for each challenge: whoever can
    /// guess it can solve the puzzle before it is given out.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(base64url(&random).into_boxed_str())
    }

    /// The text as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Challenge {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::ChallengeLength`] or [`Error::ChallengeCharacter`].
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(Error::ChallengeLength(text.len()));
        }
        // NUL separates challenge and nonce in the hashed message. No honest challenge has one.
        if !text.is_ascii() || text.contains('\0') {
            return Err(Error::ChallengeCharacter);
        }
        Ok(Self(text.into()))
    }
}

/// Base64url without padding (RFC 4648 sections 3.2 and 5).
fn base64url(bytes: &[u8]) -> String {
    let sextets = (bytes.len() * 8).div_ceil(6);
    (0..sextets).map(|sextet| char::from(BASE64URL[sextet_at(bytes, sextet * 6)])).collect()
}

/// The six bits that start at bit `at`; those past the end are zero.
fn sextet_at(bytes: &[u8], at: usize) -> usize {
    let byte = |index: usize| usize::from(bytes.get(index).copied().unwrap_or(0));
    let pair = byte(at / 8) << 8 | byte(at / 8 + 1);
    pair >> (10 - at % 8) & 0x3f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_agrees_with_the_test_vectors_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64url(plain.as_bytes()), encoded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_made_challenge_has_43_characters_and_parses() {
        let made = Challenge::new([0xff; 32]);
        assert_eq!(made.as_str(), "__________________________________________8");
        assert_eq!(made.as_str().parse(), Ok(made));
    }

    #[test]
    fn a_challenge_of_any_length_from_1_to_128_is_accepted_and_no_other() {
        for length in 1..=128 {
            assert!("~".repeat(length).parse::<Challenge>().is_ok());
        }
        for length in [0, 129, 10_000] {
            let refused = "~".repeat(length).parse::<Challenge>();
            assert_eq!(refused, Err(Error::ChallengeLength(length)));
        }
    }

    #[test]
    fn a_challenge_may_hold_any_ascii_character_but_nul() {
        for code in 0..=0x7f_u8 {
            let text = format!("a{}b", char::from(code));
            assert_eq!(text.parse::<Challenge>().is_ok(), code != 0, "{code:#x}");
        }
        assert_eq!("é".parse::<Challenge>(), Err(Error::ChallengeCharacter));
    }
}
