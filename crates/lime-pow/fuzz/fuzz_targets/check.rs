//! A challenge and a nonce, separated by a line feed, of which the challenge has no other: whatever
//! they are, parsing and checking do not panic, and every engine says what another SHA-256 says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lime_pow::{Challenge, Difficulty, Engine, Nonce, check_on};
use lime_pow_fuzz::bits;

fuzz_target!(|input: &str| {
    let Some((challenge, nonce)) = input.split_once('\n') else { return };
    // 1. What is refused is what the protocol does not allow.
    let (parsed_challenge, parsed_nonce) = (challenge.parse::<Challenge>(), nonce.parse::<Nonce>());
    let is_challenge = (1..=128).contains(&challenge.len())
        && challenge.bytes().all(|byte| byte.is_ascii() && byte != 0);
    let is_nonce =
        (1..=64).contains(&nonce.len()) && nonce.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    assert_eq!((parsed_challenge.is_ok(), parsed_nonce.is_ok()), (is_challenge, is_nonce));
    let (Ok(parsed_challenge), Ok(parsed_nonce)) = (parsed_challenge, parsed_nonce) else { return };
    // 2. What is accepted is kept as it was.
    assert_eq!((parsed_challenge.as_str(), parsed_nonce.as_str()), (challenge, nonce));
    // 3. The verdict is that of the digest, at any difficulty.
    let found = bits(challenge, nonce);
    for engine in Engine::available() {
        for asked in [0, 1, found.min(32), (found + 1).min(32), 32] {
            let difficulty = Difficulty::new(asked).expect("at most 32");
            let verdict = check_on(*engine, &parsed_challenge, &parsed_nonce, difficulty);
            assert_eq!(verdict.is_ok(), asked <= found, "{engine:?} {asked}");
        }
    }
});
