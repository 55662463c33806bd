//! LIME passports: RS256 tokens, signed and verified with every check in one call.
//!
//! * [`verify`] takes a token that nobody trusts yet and gives back its claims, or says which check
//!   it failed: everything that section 6 of the protocol asks for, in that order.
//! * [`JwkSet`] holds the keys of **one** issuer, so that a key can never speak for another.
//! * [`SigningKey`] is parsed or generated once and signs ever after.
//! * [`TokenHasher`] and [`KeyEncryptionKey`] keep opaque tokens and private keys at rest.
//!
//! Nothing here reads a clock, a file or the network: the time is an argument. The cryptography
//! is AWS-LC's.
//!
//! ```
//! use lime_jwt::{Expectation, JwkSet, KeySize, Kind, Object, SigningKey, Value, verify};
//!
//! let key = SigningKey::generate(KeySize::Rsa2048)?;
//! let claims: Object<'_> = [
//!     ("iss", Value::from("https://lime.example")),
//!     ("aud", Value::from("lime-site-login")),
//!     ("sub", Value::from("agent-1")),
//!     ("jti", Value::from("event-1")),
//!     ("iat", Value::Int(1_000)),
//!     ("exp", Value::Int(1_060)),
//!     ("site_id", Value::from("site-1")),
//! ]
//! .into_iter()
//! .collect();
//! let token = key.sign(&claims, Kind::Login.typ())?;
//!
//! let jwks = lime_jwt::encode_jwks([key.public_jwk()])?;
//! let keys = JwkSet::parse(&jwks, "https://lime.example")?;
//! let expect = Expectation::login(None, Some("site-1"), 30)?;
//! let mut payload = Vec::new();
//! let proven = verify(&token, &keys, &expect, 1_010, &mut payload)?;
//! assert_eq!(proven.text("sub"), Some("agent-1"));
//! # Ok::<(), lime_jwt::Error>(())
//! ```

mod encoding;
mod error;
mod expect;
mod json;
mod jwk;
mod secret;
mod signing;
mod verify;

pub use error::Error;
pub use expect::{Expectation, Kind, MAX_LEEWAY};
pub use json::{MAX_DEPTH, MAX_MEMBERS, Object, Value};
pub use jwk::{JwkSet, MAX_JWKS_BYTES, MAX_KEYS, MAX_KID_BYTES, PublicJwk, encode_jwks};
pub use secret::{KeyEncryptionKey, TokenHasher, derive};
pub use signing::{KeySize, SigningKey};
pub use verify::{MAX_HEADER_BYTES, MAX_TOKEN_BYTES, verify};

/// The example of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
