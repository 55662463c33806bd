//! Key sets: only keys that the protocol allows are usable, each under an id of its own.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use lime_jwt::{Error, JwkSet, MAX_KEYS, MAX_KID_BYTES};
use serde_json::Value as Json;

fuzz_target!(|data: &[u8]| {
    let Ok(keys) = JwkSet::parse(data, "https://lime.example") else { return };
    let document: Json = serde_json::from_slice(data).expect("what we read is JSON");
    let members = document["keys"].as_array().expect("a list");
    assert!(members.len() <= MAX_KEYS);
    for kid in keys.kids() {
        assert!((1..=MAX_KID_BYTES).contains(&kid.len()));
        let usable: Vec<_> =
            members.iter().filter(|member| member["kid"] == kid && is_usable(member)).collect();
        assert_eq!(usable.len(), 1, "{kid}");
        // AWS-LC takes the key, and nobody signed this.
        let bytes = number(&usable[0]["n"]).len();
        for signature in [&vec![1; bytes][..], &[]] {
            assert_eq!(keys.check(kid, b"text", signature), Err(Error::Signature));
        }
    }
    let usable = members.iter().filter(|member| is_usable(member));
    let unique = usable.filter(|member| {
        let same = |other: &&Json| other["kid"] == member["kid"] && is_usable(other);
        members.iter().filter(same).count() == 1
    });
    assert_eq!(keys.kids().len(), unique.count());
});

fn is_usable(member: &Json) -> bool {
    let is = |name: &str, value: &str| member.get(name).is_none_or(|found| *found == value);
    let kid = member["kid"].as_str().unwrap_or_default();
    let secret = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let operations = member
        .get("key_ops")
        .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
    let (n, e) = (number(&member["n"]), number(&member["e"]));
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    let exponent = e.iter().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    member["kty"] == "RSA"
        && is("alg", "RS256")
        && is("use", "sig")
        && operations
        && (1..=256).contains(&kid.len())
        && secret.iter().all(|name| member.get(name).is_none())
        && (2048..=4096).contains(&bits)
        && n.last().is_some_and(|last| last % 2 == 1)
        && e.len() <= 4
        && exponent >= 65_537
        && exponent % 2 == 1
}

/// The bytes of a canonical `Base64urlUInt`, or none.
fn number(text: &Json) -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
    if bytes.first() == Some(&0) { Vec::new() } else { bytes }
}
