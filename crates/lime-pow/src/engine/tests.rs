//! Every engine against NIST's answers, and against our own digests.

use serde_json::Value;

use super::{Block, Engine, Heads, INITIAL, Neck, State};
use crate::message::Message;
use crate::{Challenge, Difficulty, Nonce};

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).expect("vectors are JSON")
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().expect("a string")
}

/// The numbers written as `digits` hexadecimal digits each.
fn unhex(text: &str, digits: usize) -> impl Iterator<Item = u32> {
    let numbers = (0..text.len()).step_by(digits);
    numbers.map(move |at| u32::from_str_radix(&text[at..at + digits], 16).expect("hexadecimal"))
}

/// The digest of a vector.
fn digest(vector: &Value) -> State {
    let words: Vec<u32> = unhex(text(vector, "digest"), 8).collect();
    words.try_into().expect("eight words")
}

/// SHA-256 of any message, built on the engine's compression function.
fn sha256(engine: Engine, message: &[u8]) -> State {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).div_ceil(64) * 64 - 8, 0);
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    let mut state = INITIAL;
    for bytes in padded.chunks(64) {
        let words =
            bytes.chunks(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        let mut block: Block = [0; 16];
        block.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        engine.compress(&mut state, &block);
    }
    state
}

#[test]
fn the_portable_engine_is_always_there_and_comes_last() {
    let engines = Engine::available();
    assert_eq!(engines.last().map(|engine| engine.name()), Some("portable"));
    assert_eq!(Engine::fastest(), engines[0]);
    for (index, engine) in engines.iter().enumerate() {
        assert_eq!(engines.iter().position(|other| other == engine), Some(index));
    }
    for engine in engines {
        assert_eq!(Engine::named(engine.name()), Ok(*engine));
    }
    assert_eq!(Engine::named("abacus"), Err(crate::Error::EngineUnavailable));
    assert_eq!(format!("{:?}", engines[engines.len() - 1]), "Engine(\"portable\")");
}

#[test]
fn every_engine_computes_the_digests_that_nist_published() {
    let file = vectors(include_str!("../../../../vectors/sha256-nist.json"));
    let cases = file["cases"].as_array().expect("a list");
    assert!(cases.len() > 20);
    for case in cases {
        let repeat = case["repeat"].as_u64().expect("a number");
        let once: Vec<u8> =
            unhex(text(case, "message"), 2).map(|byte| byte.to_be_bytes()[3]).collect();
        let message = once.repeat(usize::try_from(repeat).expect("small"));
        for engine in Engine::available() {
            assert_eq!(sha256(*engine, &message), digest(case), "{engine:?} {}", case["name"]);
        }
    }
}

#[test]
fn every_engine_computes_the_digests_that_the_generator_computed() {
    let file = vectors(include_str!("../../../../vectors/pow.json"));
    let cases = file["digests"].as_array().expect("a list");
    assert!(cases.len() > 500);
    for case in cases {
        let challenge: Challenge = text(case, "challenge").parse().expect("valid");
        let nonce: Nonce = text(case, "nonce").parse().expect("valid");
        let message = Message::new(&challenge, nonce.as_str().as_bytes());
        for engine in Engine::available() {
            assert_eq!(message.digest(*engine), digest(case), "{engine:?} {case}");
        }
    }
}

/// Numbers that look random and are the same in every run (`SplitMix64`, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below")
    }

    fn words<const N: usize>(&mut self) -> [u32; N] {
        std::array::from_fn(|_| (self.next() >> 32) as u32)
    }
}

#[test]
fn every_engine_finds_in_any_blocks_what_their_compression_says() {
    let mut random = Random(0x0070_6f77);
    // Miri is some thousand times slower.
    for round in 0..if cfg!(miri) { 10 } else { 2_000 } {
        let (mut block, last, tail): (Block, Block, _) =
            (random.words(), random.words(), random.words());
        let (state, rounds) = (random.words(), 4 * random.below(4));
        let endings: Vec<u32> = (0..=random.below(160)).map(|_| random.words::<1>()[0]).collect();
        let start = random.below(endings.len());
        let range = start..start + random.below(endings.len() - start) + 1;
        let difficulty = Difficulty::new(u32::try_from(random.below(9)).expect("small"));
        let difficulty = difficulty.expect("valid");
        // What the portable compression function says, which the tests above have checked.
        let mut whole = last;
        whole[rounds] = whole[rounds].wrapping_add(tail[0]);
        whole[rounds + 1] = whole[rounds + 1].wrapping_add(tail[1]);
        let portable = Engine::named("portable").expect("always there");
        let expected = range.clone().find(|head| {
            block[15] = endings[*head];
            let mut digest = state;
            portable.compress(&mut digest, &block);
            portable.compress(&mut digest, &whole);
            digest[0] & difficulty.mask() == 0
        });
        for engine in Engine::available() {
            let neck = Neck { state, block: &block, endings: endings.clone(), last, rounds };
            let found = Heads::new(*engine, neck).find(tail, range.clone(), difficulty);
            assert_eq!(found, expected, "{engine:?} {round}");
        }
    }
}
