//! Trying nonces one after the other.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::Heads;
use crate::series::{Number, Series};
use crate::{Challenge, Difficulty, Engine, Nonce};

/// What it takes to try nonces, which are named by their index in the series of a challenge.
#[derive(Clone)]
pub(crate) struct Search {
    difficulty: Difficulty,
    engine: Engine,
    series: Series,
    /// The heads for the slow digits that were met last.
    heads: Option<(u64, Heads)>,
}

/// How far a search came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The index of the first nonce that was not tried.
    pub(crate) next: u64,
    /// Whether the nonce before it is a solution.
    pub(crate) solved: bool,
}

impl Search {
    /// Nothing is computed before it is needed.
    pub(crate) fn new(challenge: &Challenge, difficulty: Difficulty, engine: Engine) -> Self {
        Self { difficulty, engine, series: Series::new(challenge), heads: None }
    }

    pub(crate) fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// The same search on another engine.
    pub(crate) fn on(self, engine: Engine) -> Self {
        Self { engine, heads: None, ..self }
    }

    /// The nonce of that index, which is below [`Series::NONCES`].
    pub(crate) fn nonce(&self, index: u64) -> Nonce {
        self.series.nonce(index)
    }

    /// Tries the nonces of these indices until one is a solution, or until `stop` is set.
    pub(crate) fn run(&mut self, indices: Range<u64>, stop: &AtomicBool) -> Progress {
        let mut next = indices.start;
        while next < indices.end && !stop.load(Ordering::Relaxed) {
            // 1. Up to the last head, these nonces differ in nothing else.
            let number = self.series.number(next);
            let left = usize::try_from(indices.end - next).unwrap_or(usize::MAX);
            let heads = number.head..number.head.saturating_add(left).min(self.series.head_count());
            // 2. Try them.
            if let Some(found) = self.find(number, heads.clone()) {
                return Progress { next: next + (found - heads.start + 1) as u64, solved: true };
            }
            next += heads.len() as u64;
        }
        Progress { next, solved: false }
    }

    /// The first of these heads with which the nonce is a solution.
    fn find(&mut self, number: Number, heads: Range<usize>) -> Option<usize> {
        let Number { slow, tail, .. } = number;
        if self.heads.as_ref().is_none_or(|(ready, _)| *ready != slow) {
            self.heads = Some((slow, self.series.heads(slow, self.engine)));
        }
        let (_, ready) = self.heads.as_ref()?;
        ready.find(self.series.tail(tail), heads, self.difficulty)
    }
}
