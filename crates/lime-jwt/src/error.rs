//! Everything that can be wrong, as data.

use std::fmt;

/// Why something was refused.
///
/// The messages are for a log: they name the check that failed and never repeat what the token,
/// the key or the secret said. A caller that answers strangers makes all of them look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The token has not the form of a compact JWS with JSON inside.
    Malformed(&'static str),
    /// The header asks for something that a LIME passport never has.
    Header(&'static str),
    /// The issuer's key set has no usable key of this id. It may have a newer one.
    UnknownKey {
        /// The key id as the (unproven) header gave it, at most [`crate::MAX_KID_BYTES`] long.
        kid: String,
    },
    /// The signature is not the key's.
    Signature,
    /// The token is genuine, but does not say what it must.
    Claim {
        /// The claim that was wrong or missing.
        claim: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The token is genuine, but its time has passed.
    Expired,
    /// This is no key or no key set, or one that must not be used.
    Key(&'static str),
    /// An expectation that would let a passport in which was made for somebody else.
    Unbound(&'static str),
    /// An argument outside its range.
    Argument(&'static str),
    /// Claims that cannot become a token.
    Claims(&'static str),
    /// A sealed value that this key, in this context, did not seal.
    Decryption,
    /// The cryptographic library failed where it never should.
    Crypto(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "malformed token: {problem}"),
            Self::Header(problem) => write!(f, "unsupported token header: {problem}"),
            Self::UnknownKey { .. } => f.write_str("no usable key of this id"),
            Self::Signature => f.write_str("the signature does not match"),
            Self::Claim { claim, problem } => write!(f, "claim {claim}: {problem}"),
            Self::Expired => f.write_str("claim exp: the token has expired"),
            Self::Key(problem)
            | Self::Unbound(problem)
            | Self::Argument(problem)
            | Self::Claims(problem)
            | Self::Crypto(problem) => f.write_str(problem),
            Self::Decryption => f.write_str("not sealed by this key in this context"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn messages_name_the_check_and_repeat_nothing_that_came_from_outside() {
        let said = |error: Error| error.to_string();
        assert_eq!(said(Error::Malformed("not UTF-8")), "malformed token: not UTF-8");
        assert_eq!(said(Error::Header("alg")), "unsupported token header: alg");
        assert_eq!(said(Error::UnknownKey { kid: "secret".into() }), "no usable key of this id");
        assert_eq!(said(Error::Signature), "the signature does not match");
        assert_eq!(said(Error::Claim { claim: "aud", problem: "wrong" }), "claim aud: wrong");
        assert_eq!(said(Error::Expired), "claim exp: the token has expired");
        assert_eq!(said(Error::Decryption), "not sealed by this key in this context");
        let plain = [Error::Key, Error::Unbound, Error::Argument, Error::Claims, Error::Crypto];
        for plain in plain {
            assert_eq!(said(plain("what is wrong")), "what is wrong");
        }
    }
}
