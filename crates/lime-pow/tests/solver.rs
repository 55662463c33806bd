//! What a solver promises for any challenge, on any engine.

use lime_pow::{Challenge, Difficulty, Engine, Error, Nonce, Solver, check, check_on};

/// Numbers that look random and are the same in every run (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A challenge of `length` characters, from any that are allowed.
    fn challenge(&mut self, length: usize) -> Challenge {
        let text: String = (0..length)
            .map(|_| char::from(u8::try_from(1 + self.below(0x7f)).expect("ASCII")))
            .collect();
        text.parse().expect("valid")
    }
}

fn difficulty(bits: u32) -> Difficulty {
    Difficulty::new(bits).expect("valid")
}

fn solve(solver: &mut Solver) -> Nonce {
    solver.advance(u64::MAX).expect("found before the attempts run out")
}

#[test]
fn all_engines_find_the_same_nonce_for_challenges_of_every_length() {
    let mut random = Random(0x4c49_4d45);
    for length in 1..=Challenge::MAX_BYTES {
        let challenge = random.challenge(length);
        let start = random.below(Solver::NONCES);
        let answers: Vec<_> = Engine::available()
            .iter()
            .map(|engine| {
                let mut solver = Solver::new(&challenge, difficulty(8))
                    .starting_at(start)
                    .expect("valid")
                    .on(*engine);
                (solve(&mut solver), solver.attempts())
            })
            .collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{length}: {answers:?}");
        for engine in Engine::available() {
            assert_eq!(check_on(*engine, &challenge, &answers[0].0, difficulty(8)), Ok(()));
        }
    }
}

#[test]
fn slices_of_any_size_find_what_one_long_search_finds() {
    let mut random = Random(7);
    for length in [1, 22, 43, 50, 64, 128] {
        let challenge = random.challenge(length);
        let mut whole = Solver::new(&challenge, difficulty(10));
        let nonce = solve(&mut whole);
        for size in [1, 3, 9, 10, 11, 97] {
            let mut solver = Solver::new(&challenge, difficulty(10));
            let mut slices = 0;
            let found = loop {
                slices += 1;
                if let Some(nonce) = solver.advance(size) {
                    break nonce;
                }
                assert_eq!(solver.attempts(), slices * size);
            };
            assert_eq!(found, nonce);
            assert_eq!(solver.attempts(), whole.attempts());
        }
    }
}

#[test]
fn no_attempts_change_nothing() {
    let challenge = Challenge::new([1; 32]);
    let mut solver = Solver::new(&challenge, difficulty(0));
    assert_eq!(solver.advance(0), None);
    assert_eq!(solver.attempts(), 0);
    assert_eq!(solve(&mut solver).as_str(), "0000000000000000");
    assert_eq!(solver.attempts(), 1);
}

#[test]
fn after_a_success_the_search_goes_on_to_the_next_nonce() {
    let challenge = Challenge::new([2; 32]);
    let mut solver = Solver::new(&challenge, difficulty(4));
    let found: Vec<_> = (0..50).map(|_| solve(&mut solver)).collect();
    assert!(found.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    let last: u64 = found[49].as_str().parse().expect("decimal");
    assert_eq!(solver.attempts(), last + 1);
    // None was left out: exactly these fifty among all nonces so far are valid.
    let valid = (0..=last)
        .map(|number| format!("{number:016}").parse().expect("valid"))
        .filter(|nonce| check(&challenge, nonce, difficulty(4)).is_ok());
    assert_eq!(valid.collect::<Vec<_>>(), found);
}

#[test]
fn a_start_beyond_the_highest_nonce_is_refused() {
    let solver = Solver::new(&Challenge::new([3; 32]), difficulty(1));
    assert!(solver.clone().starting_at(Solver::NONCES - 1).is_ok());
    let refused = solver.starting_at(Solver::NONCES).err();
    assert_eq!(refused, Some(Error::StartTooHigh(Solver::NONCES)));
}

#[test]
fn a_refusal_names_limits_and_never_the_refused_text() {
    let long = "secret".repeat(30);
    let messages = [
        (long.parse::<Challenge>().err(), "a challenge has 1 to 128 bytes, not 180"),
        ("sécret".parse::<Challenge>().err(), "a challenge is ASCII text without NUL"),
        (long.parse::<Nonce>().err(), "a nonce has 1 to 64 bytes, not 180"),
        ("sécret".parse::<Nonce>().err(), "a nonce is printable ASCII text"),
        (Difficulty::new(33).err(), "a difficulty is at most 32 bits, not 33"),
        (Some(Error::NotSolved), "the nonce does not solve the puzzle"),
        (
            Some(Error::StartTooHigh(Solver::NONCES)),
            "the first nonce to try is below 10000000000000000, not 10000000000000000",
        ),
        (Engine::named("secret").err(), "this machine has no engine of that name"),
    ];
    for (error, message) in messages {
        assert_eq!(error.expect("refused").to_string(), message);
    }
}
