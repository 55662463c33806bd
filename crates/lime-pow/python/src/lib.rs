//! The Python module of `lime-pow`: it translates values and errors, and releases the interpreter.
//!
//! All rules are in the crate; the exceptions and the documentation for users are in Python.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lime_pow::{Challenge, Difficulty, Engine, Error, Nonce};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyInt, PyString, PyTuple};

mod errors;

use errors::{
    InvalidChallengeError, InvalidDifficultyError, InvalidStartError, InvalidThreadsError,
    exception,
};

/// Slices of fewer attempts keep the interpreter: even the slowest engine needs only some 100 µs
/// for this many, and under contention it may take milliseconds to get the interpreter back.
const WORTH_RELEASING: u64 = 256;

/// Makes, checks and solves LIME's proof of work. Import `lime_pow` instead of this module.
#[pymodule]
mod _native {
    #[pymodule_export]
    const MAX_DIFFICULTY: u32 = lime_pow::Difficulty::MAX_BITS;
    #[pymodule_export]
    use super::{Solver, check, engines, new_challenge};
}

/// Make a challenge of 43 base64url characters from 32 random bytes.
#[pyfunction]
fn new_challenge(random: &[u8]) -> PyResult<String> {
    let random = <[u8; 32]>::try_from(random).map_err(|_| {
        InvalidChallengeError::new_err(format!(
            "a challenge is made from 32 random bytes, not {}",
            random.len()
        ))
    })?;
    Ok(Challenge::new(random).as_str().to_owned())
}

/// Return if the nonce solves the challenge at this difficulty, and raise if not.
#[pyfunction]
fn check(
    challenge: &Bound<'_, PyString>,
    nonce: &Bound<'_, PyString>,
    difficulty: &Bound<'_, PyInt>,
) -> PyResult<()> {
    // 1. A value that is malformed has its own error, in the order of the arguments.
    let challenge = parse_challenge(challenge)?;
    let nonce = parse_nonce(nonce)?;
    let difficulty = parse_difficulty(difficulty)?;
    // 2. Well under a microsecond: not worth releasing the interpreter.
    lime_pow::check(&challenge, &nonce, difficulty).map_err(exception)
}

/// Name the engines of this machine, fastest first.
#[pyfunction]
fn engines(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, Engine::available().iter().map(|engine| engine.name()))
}

/// A search for a nonce that can be stopped after any slice and taken up again.
#[pyclass(frozen, module = "lime_pow")]
struct Solver {
    search: Mutex<lime_pow::Solver>,
    /// A copy of the search's count after its last slice, which can be read during the next one.
    attempts: AtomicU64,
    /// Set once, and then for good.
    stopped: AtomicBool,
    #[pyo3(get)]
    difficulty: u32,
    #[pyo3(get)]
    engine: &'static str,
    #[pyo3(get)]
    threads: usize,
}

#[pymethods]
impl Solver {
    #[new]
    #[pyo3(
        signature = (challenge, difficulty, *, start = None, engine = None, threads = None),
        text_signature = "(challenge, difficulty, *, start=0, engine=None, threads=None)",
    )]
    fn new(
        challenge: &Bound<'_, PyString>,
        difficulty: &Bound<'_, PyInt>,
        start: Option<&Bound<'_, PyInt>>,
        engine: Option<&str>,
        threads: Option<&Bound<'_, PyInt>>,
    ) -> PyResult<Self> {
        let challenge = parse_challenge(challenge)?;
        let difficulty = parse_difficulty(difficulty)?;
        let start = start.map_or(Ok(0), parse_start)?;
        let engine = engine.map_or(Ok(Engine::fastest()), Engine::named).map_err(exception)?;
        let search = lime_pow::Solver::new(&challenge, difficulty).on(engine);
        let mut search = search.starting_at(start).map_err(exception)?;
        if let Some(threads) = threads {
            search = search.on_threads(parse_threads(threads)?).map_err(exception)?;
        }
        Ok(Self {
            attempts: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            difficulty: difficulty.bits(),
            engine: engine.name(),
            threads: search.threads(),
            search: Mutex::new(search),
        })
    }

    /// Make at most this many attempts; return the nonce if one of them was good, else None.
    fn advance(&self, py: Python<'_>, attempts: u64) -> Option<String> {
        let nonce = if attempts < WORTH_RELEASING {
            // Another thread may be in a long slice: this releases the interpreter while it waits.
            self.slice(whatever_happened(self.search.lock_py_attached(py)), attempts)
        } else {
            py.detach(|| self.slice(whatever_happened(self.search.lock()), attempts))
        };
        nonce.map(|nonce| nonce.as_str().to_owned())
    }

    /// End the running slice, and every later one before it begins.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// How many nonces have been tried until the end of the last slice.
    #[getter]
    fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Solver {
    fn slice(&self, mut search: MutexGuard<'_, lime_pow::Solver>, attempts: u64) -> Option<Nonce> {
        let nonce = search.advance_unless(&self.stopped, attempts);
        self.attempts.store(search.attempts(), Ordering::Relaxed);
        nonce
    }
}

/// The lock, also if a thread that held it panicked: a search is whole after every attempt.
fn whatever_happened<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

fn parse_challenge(text: &Bound<'_, PyString>) -> PyResult<Challenge> {
    // JSON can carry lone surrogates, which no UTF-8 can: they are as wrong as any other text.
    let text = text.to_str().map_err(|_| exception(Error::ChallengeCharacter))?;
    text.parse().map_err(exception)
}

fn parse_nonce(text: &Bound<'_, PyString>) -> PyResult<Nonce> {
    let text = text.to_str().map_err(|_| exception(Error::NonceCharacter))?;
    text.parse().map_err(exception)
}

fn parse_difficulty(bits: &Bound<'_, PyInt>) -> PyResult<Difficulty> {
    let bits = bits.extract().map_err(|_| {
        InvalidDifficultyError::new_err(format!(
            "a difficulty is a number of bits from 0 to {}",
            Difficulty::MAX_BITS
        ))
    })?;
    Difficulty::new(bits).map_err(exception)
}

fn parse_start(number: &Bound<'_, PyInt>) -> PyResult<u64> {
    number.extract().map_err(|_| {
        InvalidStartError::new_err(format!(
            "the first nonce to try is a number from 0 to {}",
            lime_pow::Solver::NONCES - 1
        ))
    })
}

fn parse_threads(number: &Bound<'_, PyInt>) -> PyResult<usize> {
    number.extract().map_err(|_| {
        InvalidThreadsError::new_err(format!(
            "a search runs on 1 to {} threads",
            lime_pow::Solver::MAX_THREADS
        ))
    })
}
