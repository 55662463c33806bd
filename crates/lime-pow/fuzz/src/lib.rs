//! What the targets share.

use sha2::{Digest, Sha256};

/// How many leading zero bits the digest of protocol section 4 has, by somebody else's SHA-256.
#[must_use]
pub fn bits(challenge: &str, nonce: &str) -> u32 {
    let parts = [b"lime:pow:v1\0", challenge.as_bytes(), b"\0", nonce.as_bytes()];
    let digest = Sha256::digest(parts.concat());
    let zeros = digest.iter().take_while(|byte| **byte == 0).count();
    let rest = digest.get(zeros).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(8 * zeros).expect("at most 256") + rest
}
