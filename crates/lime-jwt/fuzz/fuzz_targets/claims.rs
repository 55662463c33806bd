//! Headers and claims under a good signature: accepted exactly if a second opinion agrees.
//!
//! The first byte chooses the kind of token; header and claims follow, with a NUL between them,
//! which no JSON text has. An empty header stands for the usual one.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use lime_jwt::{Error, MAX_HEADER_BYTES, MAX_TOKEN_BYTES, Object, verify};
use lime_jwt_fuzz::{Case, KEYS, MAIN, NOW};

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let Some(nul) = data.iter().position(|byte| *byte == 0) else { return };
    let case = Case::new(*choice);
    let usual = format!(r#"{{"alg":"RS256","kid":"{}","typ":"JWT"}}"#, MAIN.kid());
    let header = if nul == 0 { usual.as_bytes() } else { &data[..nul] };
    let claims = &data[nul + 1..];
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");

    // A signature costs more than all the rest, so it is made only if it decides.
    let mut payload = Vec::new();
    let unsigned = format!("{signed}.AAAA");
    let refusal = verify(&unsigned, &KEYS, &case.expect, NOW, &mut payload).map(|_| ());
    let mut accepted = false;
    if refusal == Err(Error::Signature) {
        let signature = MAIN.signature(signed.as_bytes()).expect("signed");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        accepted = verify(&token, &KEYS, &case.expect, NOW, &mut payload).is_ok();
        if token.len() > MAX_TOKEN_BYTES {
            assert!(!accepted);
            return;
        }
    } else {
        assert!(refusal.is_err(), "accepted without a signature");
    }
    let has_one_meaning = header.len() <= MAX_HEADER_BYTES
        && Object::parse(header).is_ok()
        && Object::parse(claims).is_ok();
    let allowed = has_one_meaning && case.allows_header(header) && case.allows_claims(claims);
    assert_eq!(accepted, allowed, "{:?}: {refusal:?}", case.expect.kind());
});
