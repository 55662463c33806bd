//! Base64url as RFC 7515 section 2 defines it, and nothing looser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn encode_onto(text: &mut String, bytes: impl AsRef<[u8]>) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// `None` for padding, white space, the other alphabet, an impossible length, or bits left over in
/// the last character: each would give one signed token several spellings.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// As [`decode`], into `bytes`, whose former content is gone either way.
pub(crate) fn decode_into(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    bytes.clear();
    URL_SAFE_NO_PAD.decode_vec(text, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn only_the_canonical_spelling_is_decoded() {
        assert_eq!(decode("AQ").as_deref(), Some(&[1][..]));
        for other in ["AR", "AQ==", "AQ=", "A", "A Q", "AQ\n", "+_", "é"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }
}
