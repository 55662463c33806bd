//! Whole tokens: whatever the bytes, no panic, and only what the vectors' key signed is accepted.
//!
//! The first byte chooses the kind of token that is expected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lime_jwt::{Error, MAX_KID_BYTES, verify};
use lime_jwt_fuzz::{Case, KEYS, NOW, SIGNED};

fuzz_target!(|data: (u8, &str)| {
    let (choice, token) = data;
    let mut payload = Vec::new();
    match verify(token, &KEYS, &Case::new(choice).expect, NOW, &mut payload) {
        Ok(_) => assert!(SIGNED.contains(token), "forged: {token}"),
        Err(Error::UnknownKey { kid }) => assert!((1..=MAX_KID_BYTES).contains(&kid.len())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
