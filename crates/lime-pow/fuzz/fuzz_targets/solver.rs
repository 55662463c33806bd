//! A search over any challenge, from any start, in any slices, on each engine: it finds exactly the
//! nonces that another SHA-256 calls solutions, and counts its attempts. Several threads find what one
//! finds.
//!
//! The input is the start (eight bytes), the difficulty (one), four lengths of slices (one each) and
//! then the challenge.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lime_pow::{Challenge, Difficulty, Engine, Nonce, Solver};
use lime_pow_fuzz::bits;

/// How many nonces are tried: over the ends of some rows, or of many where the heads are few.
const ATTEMPTS: u64 = 500;
/// A slice in which three threads take shares.
const LONG: u64 = 100_000;

fuzz_target!(|input: &[u8]| {
    let Some((start, rest)) = input.split_first_chunk::<8>() else { return };
    let Some((knobs, text)) = rest.split_first_chunk::<5>() else { return };
    let Ok(Ok(challenge)) = str::from_utf8(text).map(str::parse::<Challenge>) else { return };
    let start = u64::from_le_bytes(*start) % Solver::NONCES;
    let difficulty = Difficulty::new(u32::from(knobs[0] % 10)).expect("at most 32");
    let slices = knobs[1..].iter().map(|slice| u64::from(*slice) + 1).cycle();

    // At difficulty zero each nonce is a solution: these are the nonces in their order.
    let mut all = solver(&challenge, Difficulty::new(0).expect("zero"), start);
    let all = (0..ATTEMPTS).map(|_| all.advance(1).expect("any nonce will do"));
    let is_one = |nonce: &Nonce| bits(challenge.as_str(), nonce.as_str()) >= difficulty.bits();
    let expected: Vec<_> = (1..).zip(all).filter(|(_, nonce)| is_one(nonce)).collect();

    for engine in Engine::available() {
        let mut solver = solver(&challenge, difficulty, start).on(*engine);
        let mut found = Vec::new();
        for slice in slices.clone() {
            let before = solver.attempts();
            let slice = slice.min(ATTEMPTS - before);
            if slice == 0 {
                break;
            }
            match solver.advance(slice) {
                Some(nonce) => found.push((solver.attempts(), nonce)),
                None => assert_eq!(solver.attempts(), before + slice, "{engine:?}"),
            }
        }
        assert_eq!(found, expected, "{engine:?}");
    }

    // Threads take shares of long slices only, and find there what one would.
    let difficulty = Difficulty::new(13 + u32::from(knobs[0] / 64)).expect("at most 32");
    let [alone, together] = [1, 3].map(|threads| {
        let solver = solver(&challenge, difficulty, start).on_threads(threads);
        let mut solver = solver.expect("a few");
        (solver.advance(LONG), solver.attempts())
    });
    assert_eq!(alone, together);
});

fn solver(challenge: &Challenge, difficulty: Difficulty, start: u64) -> Solver {
    Solver::new(challenge, difficulty).starting_at(start).expect("below the number of nonces")
}
