#![doc = include_str!("../README.md")]

mod challenge;
mod check;
mod difficulty;
mod engine;
mod error;
mod message;
mod nonce;
mod parallel;
mod search;
mod series;
mod solver;

pub use challenge::Challenge;
pub use check::{check, check_on};
pub use difficulty::Difficulty;
pub use engine::Engine;
pub use error::Error;
pub use nonce::Nonce;
pub use solver::Solver;
