//! What a solver promises for any challenge, on any engine.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// The first `count` nonces of the series: at difficulty zero, each is a solution.
fn nonces(challenge: &Challenge, start: u64, count: usize) -> Vec<Nonce> {
    let solver = Solver::new(challenge, difficulty(0)).starting_at(start);
    let mut solver = solver.expect("valid").on(Engine::named("portable").expect("always there"));
    (0..count).map(|_| solve(&mut solver)).collect()
}

#[test]
fn all_engines_find_the_same_nonces_for_challenges_of_every_length() {
    let mut random = Random(0x4c49_4d45);
    for (length, _) in
        (1..=Challenge::MAX_BYTES).flat_map(|length| (0..16).map(move |i| (length, i)))
    {
        let challenge = random.challenge(length);
        let start = random.below(Solver::NONCES);
        let answers: Vec<_> = Engine::available()
            .iter()
            .map(|engine| {
                let mut solver = Solver::new(&challenge, difficulty(8))
                    .starting_at(start)
                    .expect("valid")
                    .on(*engine);
                let found = [solve(&mut solver), solve(&mut solver)];
                (found, solver.attempts())
            })
            .collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{length}: {answers:?}");
        for (engine, nonce) in Engine::available().iter().zip(answers[0].0.iter().cycle()) {
            assert_eq!(check_on(*engine, &challenge, nonce, difficulty(8)), Ok(()));
        }
    }
}

#[test]
fn no_solution_is_left_out_whatever_the_length_of_the_challenge() {
    let mut random = Random(0x0616_2026);
    for length in 1..=Challenge::MAX_BYTES {
        let challenge = random.challenge(length);
        // Over the ends of rows and, where tails are few, of tails.
        let start = random.below(Solver::NONCES);
        let nonces = nonces(&challenge, start, 700);
        let distinct: HashSet<_> = nonces.iter().map(Nonce::as_str).collect();
        assert_eq!(distinct.len(), nonces.len(), "{length}");
        let is_one = |nonce: &&Nonce| check(&challenge, nonce, difficulty(5)).is_ok();
        let expected: Vec<_> = nonces.iter().filter(is_one).collect();
        for engine in Engine::available() {
            let solver = Solver::new(&challenge, difficulty(5)).on(*engine);
            let mut solver = solver.starting_at(start).expect("valid");
            let found: Vec<_> =
                std::iter::from_fn(|| solver.advance(700 - solver.attempts())).collect();
            assert!(found.iter().eq(expected.iter().copied()), "{length} {engine:?}");
            assert_eq!(solver.attempts(), 700);
        }
    }
}

#[test]
fn slices_of_any_size_find_what_one_long_search_finds() {
    let mut random = Random(7);
    for length in [1, 22, 43, 50, 51, 52, 64, 128] {
        let challenge = random.challenge(length);
        for engine in Engine::available() {
            let mut whole = Solver::new(&challenge, difficulty(10)).on(*engine);
            let nonce = solve(&mut whole);
            for size in [1, 3, 33, 159, 160, 161, 997] {
                let mut solver = Solver::new(&challenge, difficulty(10)).on(*engine);
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
}

#[test]
fn any_number_of_threads_finds_what_one_finds() {
    let mut random = Random(0x7468_7264);
    for length in [1, 43, 43, 43, 51, 62, 128] {
        let challenge = random.challenge(length);
        let start = random.below(Solver::NONCES);
        let solver = Solver::new(&challenge, difficulty(16)).starting_at(start).expect("valid");
        let mut alone = solver.clone().on_threads(1).expect("valid");
        let expected: Vec<_> = (0..3).map(|_| (solve(&mut alone), alone.attempts())).collect();
        for threads in [2, 3, 8] {
            let mut together = solver.clone().on_threads(threads).expect("valid");
            assert_eq!(together.threads(), threads);
            for expected in &expected {
                // A slice long enough for all of them, and then the last nonces of all.
                let nonce = together.advance(1 << 18).unwrap_or_else(|| solve(&mut together));
                assert_eq!((nonce, together.attempts()), *expected, "{length} {threads}");
            }
        }
    }
}

#[test]
fn threads_go_over_the_last_nonce_to_the_first() {
    let challenge = Challenge::new([4; 32]);
    let solver = Solver::new(&challenge, difficulty(17));
    let solver = solver.starting_at(Solver::NONCES - 300_000).expect("valid");
    let [one, two] = [1, 2].map(|threads| {
        let mut solver = solver.clone().on_threads(threads).expect("valid");
        (0..20).map(|_| (solve(&mut solver), solver.attempts())).collect::<Vec<_>>()
    });
    assert!(one[19].1 > 300_000);
    assert_eq!(one, two);
}

#[test]
fn several_threads_are_usual_for_high_difficulties_only() {
    let challenge = Challenge::new([5; 32]);
    assert_eq!(Solver::new(&challenge, difficulty(17)).threads(), 1);
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    assert_eq!(Solver::new(&challenge, difficulty(18)).threads(), processors.min(8));
}

#[test]
fn a_number_of_threads_that_makes_no_sense_is_refused() {
    let solver = Solver::new(&Challenge::new([6; 32]), difficulty(1));
    for threads in [0, Solver::MAX_THREADS + 1] {
        let refused = solver.clone().on_threads(threads).err();
        assert_eq!(refused, Some(Error::ThreadCount(threads)));
    }
}

#[test]
fn nothing_is_tried_once_it_is_to_stop() {
    for threads in [1, 2] {
        let solver = Solver::new(&Challenge::new([1; 32]), difficulty(0));
        let mut solver = solver.on_threads(threads).expect("valid");
        assert_eq!(solver.advance_unless(&AtomicBool::new(true), 1_000_000), None);
        assert_eq!(solver.attempts(), 0);
    }
}

#[test]
fn a_search_that_was_stopped_anywhere_goes_on_as_if_it_had_not_been() {
    for threads in [1, 2, 3] {
        let solver = Solver::new(&Challenge::new([8; 32]), difficulty(20));
        let mut whole = solver.clone();
        let nonce = solve(&mut whole);
        let mut solver = solver.on_threads(threads).expect("valid");
        let (mut stops, mut found) = (0, None);
        while found.is_none() {
            let stop = AtomicBool::new(false);
            // Without the stop this would go on for as long as the search takes.
            found = std::thread::scope(|scope| {
                let searching = scope.spawn(|| solver.advance_unless(&stop, u64::MAX));
                for _ in 0..stops {
                    std::thread::yield_now();
                }
                stop.store(true, Ordering::Relaxed);
                searching.join().expect("no panic")
            });
            stops += 1;
        }
        assert_eq!((found, solver.attempts()), (Some(nonce), whole.attempts()), "{threads}");
    }
}

#[test]
fn no_attempts_change_nothing() {
    let challenge = Challenge::new([1; 32]);
    let mut solver = Solver::new(&challenge, difficulty(0));
    assert_eq!(solver.advance(0), None);
    assert_eq!(solver.attempts(), 0);
    assert_eq!(solve(&mut solver).as_str(), "0".repeat(63));
    assert_eq!(solver.attempts(), 1);
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
        (Some(Error::ThreadCount(0)), "a search runs on 1 to 256 threads, not 0"),
    ];
    for (error, message) in messages {
        assert_eq!(error.expect("refused").to_string(), message);
    }
}
