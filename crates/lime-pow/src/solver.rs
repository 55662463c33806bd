//! The search for a nonce, in slices.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::parallel;
use crate::search::Search;
use crate::series::Series;
use crate::{Challenge, Difficulty, Engine, Error, Nonce};

/// From this difficulty on, a solver takes several threads unless told otherwise: before, starting
/// one takes as long as it saves.
const WORTH_THREADS: u32 = 18;
/// How many threads it takes then at most. Eight search through difficulty 22 in some milliseconds,
/// and more would be in their neighbours' way.
const USUAL_THREADS: usize = 8;
/// How many nonces there must be for each thread: tens of times what starting one costs.
const WORTH_A_THREAD: u64 = 1 << 15;

/// A search that can be stopped at any attempt and taken up again.
///
/// Nonces are decimal numbers of a fixed width (for one challenge), tried in a fixed order from a
/// given start. After the last one the search goes on with the first.
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
    search: Search,
    threads: usize,
    /// The index of the next nonce.
    next: u64,
    attempts: u64,
}

impl Solver {
    /// How many nonces there are, `10^16`: more than any difficulty needs, and each fits a `u64`.
    pub const NONCES: u64 = Series::NONCES;

    /// How many threads a search can be given.
    ///
    /// Each is a thread of the operating system, started anew for each slice, and the largest
    /// machines have some hundreds of processors.
    pub const MAX_THREADS: usize = 256;

    /// A search from the first nonce on the fastest engine, and from difficulty 18 up on as many
    /// threads as there are processors for this process, but eight at most.
    #[must_use]
    pub fn new(challenge: &Challenge, difficulty: Difficulty) -> Self {
        let search = Search::new(challenge, difficulty, Engine::fastest());
        Self { search, threads: usual_threads(difficulty), next: 0, attempts: 0 }
    }

    /// The same search, from another nonce of its order.
    ///
    /// # Errors
    ///
    /// [`Error::StartTooHigh`] if `start` is not below [`Self::NONCES`].
    pub fn starting_at(self, start: u64) -> Result<Self, Error> {
        if start >= Self::NONCES {
            return Err(Error::StartTooHigh(start));
        }
        Ok(Self { next: start, ..self })
    }

    /// The same search, on another engine.
    #[must_use]
    pub fn on(self, engine: Engine) -> Self {
        Self { search: self.search.on(engine), ..self }
    }

    /// The same search, on so many threads. It finds the same nonces in the same order.
    ///
    /// # Errors
    ///
    /// [`Error::ThreadCount`] if there are none, or more than [`Self::MAX_THREADS`].
    pub fn on_threads(self, threads: usize) -> Result<Self, Error> {
        if !(1..=Self::MAX_THREADS).contains(&threads) {
            return Err(Error::ThreadCount(threads));
        }
        Ok(Self { threads, ..self })
    }

    /// Makes at most `attempts` attempts, and returns the nonce as soon as one was good.
    ///
    /// The next call goes on with the attempt after the last one: after a success, towards the
    /// next nonce that solves the puzzle.
    pub fn advance(&mut self, attempts: u64) -> Option<Nonce> {
        self.advance_unless(&AtomicBool::new(false), attempts)
    }

    /// [`Self::advance`], but it returns within some microseconds after somebody has set `stop`.
    ///
    /// What was tried until then is counted, and the next call goes on behind it.
    pub fn advance_unless(&mut self, stop: &AtomicBool, attempts: u64) -> Option<Nonce> {
        let mut left = attempts;
        while left > 0 && !stop.load(Ordering::Relaxed) {
            // 1. Try what is left, as far as the last nonce.
            let indices = self.next..Self::NONCES.min(self.next.saturating_add(left));
            let threads = self.threads_for(indices.end - indices.start);
            let progress = if threads > 1 {
                parallel::run(&mut self.search, threads, indices.clone(), stop)
            } else {
                self.search.run(indices.clone(), stop)
            };
            // 2. Count exactly what was tried.
            let tried = progress.next - indices.start;
            self.attempts += tried;
            left -= tried;
            // 3. Go to the next untried nonce, also after a success.
            self.next = progress.next % Self::NONCES;
            if progress.solved {
                return Some(self.search.nonce(progress.next - 1));
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
        self.search.difficulty()
    }

    /// What computes the hashes.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.search.engine()
    }

    /// How many threads compute them, in a slice that is long enough for so many.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// How many threads pay for so many attempts.
    fn threads_for(&self, attempts: u64) -> usize {
        let worth = usize::try_from(attempts / WORTH_A_THREAD).unwrap_or(usize::MAX);
        self.threads.min(worth).max(1)
    }
}

fn usual_threads(difficulty: Difficulty) -> usize {
    if difficulty.bits() < WORTH_THREADS {
        return 1;
    }
    thread::available_parallelism().map_or(1, NonZeroUsize::get).min(USUAL_THREADS)
}
