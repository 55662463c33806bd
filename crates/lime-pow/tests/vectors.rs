//! The puzzles of `vectors/pow.json`, which `vectors/make_pow.py` made with hashlib.

use lime_pow::{Challenge, Difficulty, Engine, Error, Nonce, Solver, check, check_on};
use serde_json::Value;

fn cases(section: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../../vectors/pow.json"))
        .expect("the vectors are JSON");
    let cases = file[section].as_array().expect("the section is there").clone();
    assert!(!cases.is_empty(), "{section}");
    cases
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().expect("a string")
}

fn number(case: &Value, name: &str) -> u64 {
    case[name].as_u64().expect("a whole number")
}

fn challenge(case: &Value) -> Challenge {
    text(case, "challenge").parse().expect("valid")
}

fn difficulty(bits: u64) -> Difficulty {
    Difficulty::new(u32::try_from(bits).expect("small")).expect("valid")
}

#[test]
fn a_nonce_is_valid_up_to_its_bits_and_not_beyond_on_every_engine() {
    for case in cases("digests").iter().chain(&cases("boundaries")) {
        let nonce = text(case, "nonce").parse().expect("valid");
        for engine in Engine::available() {
            for bits in 0..=u64::from(Difficulty::MAX_BITS) {
                let answer = check_on(*engine, &challenge(case), &nonce, difficulty(bits));
                let expected =
                    if bits <= number(case, "bits") { Ok(()) } else { Err(Error::NotSolved) };
                assert_eq!(answer, expected, "{engine:?} {bits} {case}");
            }
        }
    }
}

#[test]
fn every_engine_finds_the_first_nonce_and_counts_the_attempts() {
    for case in cases("solutions") {
        for engine in Engine::available() {
            let mut solver =
                Solver::new(&challenge(&case), difficulty(number(&case, "difficulty")))
                    .starting_at(number(&case, "start"))
                    .expect("valid")
                    .on(*engine);
            assert_eq!(solver.engine(), *engine);
            let nonce = solver.advance(u64::MAX).expect("found before the attempts run out");
            assert_eq!(nonce.as_str(), text(&case, "nonce"), "{engine:?} {case}");
            assert_eq!(solver.attempts(), number(&case, "attempts"), "{engine:?} {case}");
            assert_eq!(check(&challenge(&case), &nonce, solver.difficulty()), Ok(()));
        }
    }
}

#[test]
fn the_one_thing_that_is_wrong_is_refused() {
    for case in cases("malformed") {
        let wrong = text(&case, "wrong");
        let challenge = text(&case, "challenge").parse::<Challenge>();
        assert_eq!(challenge.is_err(), wrong == "challenge", "{case}");
        let nonce = text(&case, "nonce").parse::<Nonce>();
        assert_eq!(nonce.is_err(), wrong == "nonce", "{case}");
        // A number that is no `u32` cannot even be asked for here; the Python module refuses it.
        if let Some(bits) = case["difficulty"].as_u64().and_then(|bits| u32::try_from(bits).ok()) {
            assert_eq!(Difficulty::new(bits).is_err(), wrong == "difficulty", "{case}");
        }
    }
}

#[test]
fn thirty_two_random_bytes_become_the_challenge_that_python_makes_of_them() {
    for case in cases("made") {
        let hex = text(&case, "random");
        let random: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let made = Challenge::new(random.try_into().expect("thirty-two bytes"));
        assert_eq!(made, challenge(&case));
    }
}
