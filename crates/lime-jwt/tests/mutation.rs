//! No token but the one that was signed: exhaustively, over every bit and every cut.

use lime_jwt::{
    Error, Expectation, JwkSet, KeySize, Kind, MAX_TOKEN_BYTES, Object, SigningKey, Value,
    encode_jwks, verify,
};

const ISSUER: &str = "https://lime.example";

struct Door {
    token: String,
    keys: JwkSet,
    expect: Expectation,
}

impl Door {
    fn new() -> Self {
        let key = SigningKey::generate(KeySize::Rsa2048).expect("generated");
        let claims: Object<'_> = [
            ("iss", ISSUER.into()),
            ("aud", "lime-site-login".into()),
            ("sub", "agent".into()),
            ("jti", "event".into()),
            ("iat", Value::Int(1_000)),
            ("exp", Value::Int(1_060)),
            ("site_id", "site".into()),
        ]
        .into_iter()
        .collect();
        let jwks = encode_jwks([key.public_jwk()]).expect("one id");
        Self {
            token: key.sign(&claims, Kind::Login.typ()).expect("signed"),
            keys: JwkSet::parse(&jwks, ISSUER).expect("a key set"),
            expect: Expectation::login(None, Some("site"), 30).expect("bound"),
        }
    }

    fn opens(&self, token: &str, now: i64) -> Result<(), Error> {
        verify(token, &self.keys, &self.expect, now, &mut Vec::new()).map(|_| ())
    }
}

#[test]
fn a_token_with_any_bit_flipped_is_refused() {
    let door = Door::new();
    assert_eq!(door.opens(&door.token, 1_000), Ok(()));
    for index in 0..door.token.len() {
        // The eighth bit would leave ASCII, and a `str` of one changed byte would not be UTF-8.
        for bit in 0..7 {
            let mut bytes = door.token.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(door.opens(&changed, 1_000).is_err(), "bit {bit} of byte {index}");
        }
    }
}

#[test]
fn a_token_that_is_cut_anywhere_is_refused() {
    let door = Door::new();
    for index in 0..door.token.len() {
        assert!(door.opens(&door.token[..index], 1_000).is_err(), "up to {index}");
        assert!(door.opens(&door.token[index + 1..], 1_000).is_err(), "from {index}");
    }
}

#[test]
fn a_token_is_not_looked_at_beyond_its_longest_length() {
    let door = Door::new();
    let refused = |length| door.opens(&"a".repeat(length), 1_000);
    assert_eq!(refused(MAX_TOKEN_BYTES), Err(Error::Malformed("not three segments")));
    assert_eq!(refused(MAX_TOKEN_BYTES + 1), Err(Error::Malformed("longer than 16 KiB")));
    let four_segments = format!("{}.{}", door.token, "a");
    assert_eq!(door.opens(&four_segments, 1_000), Err(Error::Malformed("not three segments")));
}

#[test]
fn no_time_makes_the_arithmetic_overflow() {
    let door = Door::new();
    for now in [i64::MIN, i64::MIN + 29, -1, 0, i64::MAX - 29, i64::MAX] {
        assert!(door.opens(&door.token, now).is_err(), "{now}");
    }
    // Leeway included: from 30 s before `iat` to the last second before 30 s after `exp`.
    for (now, open) in [(969, false), (970, true), (1_089, true), (1_090, false)] {
        assert_eq!(door.opens(&door.token, now).is_ok(), open, "{now}");
    }
}

#[test]
fn two_keys_of_one_id_are_not_published() {
    let key = SigningKey::generate(KeySize::Rsa2048).expect("generated");
    let twice = [key.public_jwk(), key.public_jwk()];
    assert!(matches!(encode_jwks(twice), Err(Error::Key(_))));
}

#[test]
fn objects_can_be_shared_between_threads_and_show_no_secret() {
    fn shared<T: Send + Sync>() {}
    shared::<SigningKey>();
    shared::<JwkSet>();
    shared::<Expectation>();
    shared::<lime_jwt::TokenHasher>();
    shared::<lime_jwt::KeyEncryptionKey>();
    let key = SigningKey::generate(KeySize::Rsa2048).expect("generated");
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, .. }}", key.kid()));
}
