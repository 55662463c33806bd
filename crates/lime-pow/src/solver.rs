//! The search for a nonce, in slices.

use crate::engine::State;
use crate::series::Series;
use crate::{Challenge, Difficulty, Engine, Error, Nonce};

/// A search that can be stopped at any attempt and taken up again.
///
/// Nonces are decimal numbers of a fixed width (for one challenge), tried in ascending order from a
/// fixed start. After the highest one the search goes on with the lowest.
///
/// ```
/// use lime_pow::{Challenge, Difficulty, Solver};
///
/// let challenge: Challenge = "any text that a server sent".parse()?;
/// let mut solver = Solver::new(&challenge, Difficulty::new(10)?);
/// let nonce = loop {
///     // A caller looks at its clock here, and at whether it was cancelled.
///     if let Some(nonce) = solver.advance(100) {
///         break nonce;
///     }
/// };
/// assert!(nonce.as_str().bytes().all(|byte| byte.is_ascii_digit()));
/// # Ok::<(), lime_pow::Error>(())
/// ```
#[derive(Clone)]
pub struct Solver {
    engine: Engine,
    difficulty: Difficulty,
    /// What is left to try.
    series: Series,
    /// The state before the last block of the series' messages.
    midstate: State,
    attempts: u64,
}

impl Solver {
    /// How many nonces there are, `10^16`: more than any difficulty needs, and each fits a `u64`.
    pub const NONCES: u64 = 10_u64.pow(Series::COUNTING_DIGITS);

    /// A search from nonce zero on the fastest engine.
    #[must_use]
    pub fn new(challenge: &Challenge, difficulty: Difficulty) -> Self {
        let engine = Engine::fastest();
        let series = Series::new(challenge);
        let midstate = series.message().midstate(engine);
        Self { engine, difficulty, series, midstate, attempts: 0 }
    }

    /// The same search, from another nonce.
    ///
    /// # Errors
    ///
    /// [`Error::StartTooHigh`] if `start` is not below [`Self::NONCES`].
    pub fn starting_at(mut self, start: u64) -> Result<Self, Error> {
        if start >= Self::NONCES {
            return Err(Error::StartTooHigh(start));
        }
        self.series.seek(start);
        self.midstate = self.series.message().midstate(self.engine);
        Ok(self)
    }

    /// The same search, on another engine.
    #[must_use]
    pub fn on(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Makes at most `attempts` attempts, and returns the nonce as soon as one was good.
    ///
    /// The next call goes on with the attempt after the last one: after a success, towards the
    /// next nonce that solves the puzzle.
    pub fn advance(&mut self, attempts: u64) -> Option<Nonce> {
        let mut left = attempts;
        while left > 0 {
            // 1. Try what remains of these ten nonces, or of the attempts.
            let first = self.series.last_digit();
            let count = u8::try_from(left).unwrap_or(u8::MAX).min(10 - first);
            let decade = self.series.decade(&self.midstate);
            let found = self.engine.find(&decade, first..first + count, self.difficulty);
            // 2. Count exactly what was tried.
            let tried = found.map_or(count, |digit| digit - first + 1);
            self.attempts += u64::from(tried);
            left -= u64::from(tried);
            // 3. Go to the next untried nonce, also after a success.
            let nonce = found.map(|digit| self.series.nonce_ending_in(digit));
            self.skip(tried);
            if nonce.is_some() {
                return nonce;
            }
        }
        None
    }

    /// How many nonces have been tried, exactly.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// The difficulty that is searched for.
    #[must_use]
    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    /// What computes the hashes.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Leaves out the next `count` nonces of this decade.
    fn skip(&mut self, count: u8) {
        if self.series.skip(count) {
            self.midstate = self.series.message().midstate(self.engine);
        }
    }
}
