//! The issuer's side: RSA private keys, and tokens signed with them.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use zeroize::Zeroizing;

use crate::encoding::encode_onto;
use crate::{Error, MAX_TOKEN_BYTES, Object, PublicJwk, Value};

/// The sizes in which keys are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySize {
    /// 2048 bits: what LIME signs with. A signature costs a quarter of a millisecond.
    Rsa2048,
    /// 3072 bits
    Rsa3072,
    /// 4096 bits
    Rsa4096,
}

impl KeySize {
    /// The size with this many bits.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is not 2048, 3072 or 4096.
    pub const fn from_bits(bits: u32) -> Result<Self, Error> {
        match bits {
            2048 => Ok(Self::Rsa2048),
            3072 => Ok(Self::Rsa3072),
            4096 => Ok(Self::Rsa4096),
            _ => Err(Error::Argument("an RSA key has 2048, 3072 or 4096 bits")),
        }
    }
}

/// An RSA private key that signs passports.
///
/// Parsing one costs as much as a signature: keep it.
pub struct SigningKey {
    pair: rsa::KeyPair,
    public: PublicJwk,
}

impl SigningKey {
    /// A new key from the system's randomness. Takes from 20 ms to some seconds.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library cannot.
    pub fn generate(size: KeySize) -> Result<Self, Error> {
        let size = match size {
            KeySize::Rsa2048 => rsa::KeySize::Rsa2048,
            KeySize::Rsa3072 => rsa::KeySize::Rsa3072,
            KeySize::Rsa4096 => rsa::KeySize::Rsa4096,
        };
        rsa::KeyPair::generate(size)
            .map_err(|_| Error::Crypto("RSA key generation failed"))
            .and_then(Self::new)
    }

    /// The key in an unencrypted PKCS#8 document (RFC 5208, DER).
    ///
    /// # Errors
    /// [`Error::Key`] if it is no RSA private key, or one that [`PublicJwk::parse`] would refuse to
    /// verify with.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        rsa::KeyPair::from_pkcs8(der)
            .map_err(|_| Error::Key("not an RSA private key in PKCS#8"))
            .and_then(Self::new)
    }

    fn new(pair: rsa::KeyPair) -> Result<Self, Error> {
        let public = pair.public_key();
        let n = public.modulus().big_endian_without_leading_zero().to_vec();
        let e = public.exponent().big_endian_without_leading_zero().to_vec();
        Ok(Self { public: PublicJwk::with_thumbprint(n, e)?, pair })
    }

    /// The key as an unencrypted PKCS#8 document, wiped when dropped. Seal it before it is stored.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library cannot.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let der = self.pair.as_der().map_err(|_| Error::Crypto("PKCS#8 encoding failed"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The RFC 7638 thumbprint of the key: its id in headers and key sets.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The half to publish.
    #[must_use]
    pub const fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// A compact JWS with the header `{alg, kid, typ}` over `claims`, which are not looked at.
    ///
    /// # Errors
    /// [`Error::Argument`] if `typ` is not made of the characters of a media type (RFC 6838 section
    /// 4.2), [`Error::Claims`] if the claims cannot be written or the token would be longer than
    /// any verifier accepts.
    pub fn sign(&self, claims: &Object<'_>, typ: &str) -> Result<String, Error> {
        if typ.is_empty() || typ.len() > 127 || !typ.bytes().all(is_media_type_byte) {
            return Err(Error::Argument("typ is not a media type"));
        }
        let header: Object<'_> =
            [("alg", "RS256".into()), ("kid", self.kid().into()), ("typ", Value::from(typ))]
                .into_iter()
                .collect();
        let mut token = String::with_capacity(1024);
        encode_onto(&mut token, header.to_json()?);
        token.push('.');
        encode_onto(&mut token, claims.to_json()?);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        encode_onto(&mut token, signature);
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::Claims("the token would be too long for any verifier"));
        }
        Ok(token)
    }

    /// The RS256 signature (RFC 8017 section 8.2, with SHA-256) of any bytes.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library cannot.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            // AWS-LC takes its own randomness for blinding and ignores what it is given.
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Error::Crypto("RSA signing failed"))?;
        Ok(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}

fn is_media_type_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{KeySize, SigningKey};
    use crate::{Error, MAX_TOKEN_BYTES, Object, Value};

    #[test]
    fn keys_have_one_of_three_sizes() {
        assert_eq!(KeySize::from_bits(2048), Ok(KeySize::Rsa2048));
        assert_eq!(KeySize::from_bits(3072), Ok(KeySize::Rsa3072));
        assert_eq!(KeySize::from_bits(4096), Ok(KeySize::Rsa4096));
        assert!(matches!(KeySize::from_bits(1024), Err(Error::Argument(_))));
    }

    #[test]
    fn a_key_that_was_written_down_is_the_same_key() {
        let key = SigningKey::generate(KeySize::Rsa2048).expect("generated");
        let again = SigningKey::from_pkcs8(&key.to_pkcs8().expect("written")).expect("read");
        assert_eq!(again.public_jwk(), key.public_jwk());
        let message = b"RSASSA-PKCS1-v1_5 is deterministic";
        assert_eq!(again.signature(message), key.signature(message));
    }

    #[test]
    fn a_typ_has_at_most_127_characters() {
        let key = SigningKey::generate(KeySize::Rsa2048).expect("generated");
        let sign = |typ: &str| key.sign(&Object::default(), typ);
        assert!(sign(&"x".repeat(127)).is_ok());
        for typ in ["", "a b", &"x".repeat(128)] {
            assert!(matches!(sign(typ), Err(Error::Argument(_))), "{typ}");
        }
    }

    #[test]
    fn a_token_is_as_long_as_a_verifier_takes_and_no_longer() {
        let key = SigningKey::generate(KeySize::Rsa2048).expect("generated");
        // Base64 has no text of every length, so that not every `typ` leaves room for one that fills
        // the token up.
        let longest = ["JWT", "at+jwt", "at+jwt2"].map(|typ| {
            let sized = |size: usize| {
                let text = "x".repeat(size);
                let claims: Object<'_> = [("a", Value::from(text.as_str()))].into_iter().collect();
                key.sign(&claims, typ)
            };
            let tokens = (MAX_TOKEN_BYTES / 4 * 3 - 400..).map(sized).map_while(Result::ok);
            tokens.map(|token| token.len()).max().expect("some fit")
        });
        assert_eq!(longest.into_iter().max(), Some(MAX_TOKEN_BYTES));
    }
}
