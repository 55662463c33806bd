//! Secrets at rest: hashes of opaque tokens, and private keys sealed for storage.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::Error;

/// Least bytes of a secret key: as much as SHA-256 keeps.
const KEY_BYTES: usize = 32;

/// The first byte of a sealed value, so that another way of sealing can follow this one.
const SEALED_V1: u8 = 1;

/// The keyed hash under which an opaque token (`at_…`, `st_…`) is stored and looked up.
///
/// A stolen table of hashes is worth nothing without the key, and a hash cannot be made for a
/// chosen token.
pub struct TokenHasher(hmac::Key);

impl TokenHasher {
    /// # Errors
    /// [`Error::Key`] if the key has less than 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        if key.len() < KEY_BYTES {
            return Err(Error::Key("a token hash key has at least 32 bytes"));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// HMAC-SHA-256 of the token.
    #[must_use]
    pub fn hash(&self, token: &str) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.0, token.as_bytes()).as_ref());
        hash
    }

    /// Whether `expected` is the whole hash of `token`, in a time that does not depend on where
    /// they differ.
    #[must_use]
    pub fn matches(&self, token: &str, expected: &[u8]) -> bool {
        hmac::verify(&self.0, token.as_bytes(), expected).is_ok()
    }
}

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHasher").finish_non_exhaustive()
    }
}

/// A key of 32 bytes for one purpose from a master key (HKDF-SHA-256, RFC 5869), so that one secret
/// in the settings is enough and no key does two jobs.
///
/// # Errors
/// [`Error::Key`] if the master key has less than 32 bytes, [`Error::Argument`] if the purpose is
/// empty.
pub fn derive(master: &[u8], purpose: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    if master.len() < KEY_BYTES {
        return Err(Error::Key("a master key has at least 32 bytes"));
    }
    if purpose.is_empty() {
        return Err(Error::Argument("a derived key needs a purpose"));
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"lime:derive:v1")
        .extract(master)
        .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(key.as_mut()))
        .map_err(|_| Error::Crypto("key derivation failed"))?;
    Ok(key)
}

/// Seals private keys for storage, with AES-256-GCM under random nonces.
///
/// NIST SP 800-38D allows 2³² seals per key; a signing key a second would take a century.
pub struct KeyEncryptionKey(RandomizedNonceKey);

impl KeyEncryptionKey {
    /// # Errors
    /// [`Error::Key`] if the key has not exactly 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        RandomizedNonceKey::new(&AES_256_GCM, key)
            .map(Self)
            .map_err(|_| Error::Key("a key-encryption key has 32 bytes"))
    }

    /// `1 ‖ nonce ‖ ciphertext ‖ tag`: 29 bytes longer than the plaintext. It opens only in the same
    /// `context` (say, the id of the row it belongs to), so that sealed values cannot be swapped.
    ///
    /// # Errors
    /// [`Error::Crypto`] if there is no randomness.
    pub fn seal(&self, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, Error> {
        let mut text = plaintext.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(aad(context), &mut text)
            .map_err(|_| Error::Crypto("sealing failed"))?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len());
        sealed.push(SEALED_V1);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// What was sealed with this key in this context.
    ///
    /// # Errors
    /// [`Error::Decryption`] if anything is different from when it was sealed.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let [SEALED_V1, rest @ ..] = sealed else { return Err(Error::Decryption) };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(Error::Decryption)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Decryption)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(nonce, aad(context), &mut text)
            .map_err(|_| Error::Decryption)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEncryptionKey").finish_non_exhaustive()
    }
}

/// What is authenticated beside the ciphertext: the version and the context.
fn aad(context: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([&[SEALED_V1], context].concat())
}

#[cfg(test)]
mod tests {
    use super::{KeyEncryptionKey, TokenHasher, derive};
    use crate::Error;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn a_token_matches_its_whole_hash_and_no_other() {
        let hasher = TokenHasher::new(&KEY).expect("long enough");
        let hash = hasher.hash("at_secret");
        assert!(hasher.matches("at_secret", &hash));
        assert!(!hasher.matches("at_secreT", &hash));
        assert!(!hasher.matches("at_secret", &hash[..31]));
        assert!(!hasher.matches("at_secret", &[]));
        for index in 0..32 {
            let mut other = hash;
            other[index] ^= 1;
            assert!(!hasher.matches("at_secret", &other));
        }
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        let one = derive(&KEY, "token-hash").expect("valid");
        assert_eq!(one, derive(&KEY, "token-hash").expect("valid"));
        assert_ne!(one, derive(&KEY, "key-encryption").expect("valid"));
        assert_ne!(one, derive(&[8; 32], "token-hash").expect("valid"));
        assert_eq!(derive(&KEY, ""), Err(Error::Argument("a derived key needs a purpose")));
    }

    #[test]
    fn short_keys_are_refused() {
        assert!(matches!(TokenHasher::new(&KEY[1..]), Err(Error::Key(_))));
        assert!(matches!(derive(&KEY[1..], "x"), Err(Error::Key(_))));
        assert!(matches!(KeyEncryptionKey::new(&KEY[1..]), Err(Error::Key(_))));
        assert!(matches!(KeyEncryptionKey::new(&[0; 33]), Err(Error::Key(_))));
    }

    #[test]
    fn a_sealed_value_opens_only_untouched_and_in_its_context() {
        let key = KeyEncryptionKey::new(&KEY).expect("32 bytes");
        let sealed = key.seal(b"private", b"kid-1").expect("sealed");
        assert_eq!(sealed.len(), 7 + 29);
        assert_eq!(key.open(&sealed, b"kid-1").expect("opened").as_slice(), b"private");
        assert_ne!(sealed, key.seal(b"private", b"kid-1").expect("sealed"), "nonces are random");
        assert!(matches!(key.open(&sealed, b"kid-2"), Err(Error::Decryption)));
        let other = KeyEncryptionKey::new(&[8; 32]).expect("32 bytes");
        assert!(matches!(other.open(&sealed, b"kid-1"), Err(Error::Decryption)));
        for length in 0..sealed.len() {
            assert!(key.open(&sealed[..length], b"kid-1").is_err());
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.open(&changed, b"kid-1").is_err(), "byte {index}");
        }
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let shown = format!("{:?} {:?}", TokenHasher::new(&KEY), KeyEncryptionKey::new(&KEY));
        assert_eq!(shown, "Ok(TokenHasher { .. }) Ok(KeyEncryptionKey { .. })");
    }
}
