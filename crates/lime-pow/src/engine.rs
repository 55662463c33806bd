//! The ways to compute SHA-256 on this machine.

#[cfg(target_arch = "aarch64")]
mod arm_sha2;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use crate::{Difficulty, Error};

/// Bytes of a SHA-256 block.
pub(crate) const BLOCK_BYTES: usize = 64;
/// The chaining value: eight words, `a` to `h`.
pub(crate) type State = [u32; 8];
/// A block: sixteen words, each of four big-endian bytes.
pub(crate) type Block = [u32; 16];
/// What is added to the two words of the last block that follow the rounds in common.
///
/// It is a number and lies in registers, because a vector cannot be loaded from memory soon after a
/// part of it was stored.
pub(crate) type Tail = [u32; 2];

/// The initial chaining value (FIPS 180-4 section 5.3.3).
#[rustfmt::skip]
pub(crate) const INITIAL: State = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
    0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
];

/// The constants of the 64 rounds (FIPS 180-4 section 4.2.2).
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// What an engine has to offer. [`Engine`] hands one out only where the processor can run it.
struct Kernel {
    name: &'static str,
    /// One application of the compression function.
    compress: fn(&mut State, &Block),
    /// Makes the states of heads ready, in the arrangement that it likes.
    prepare: fn(&mut Heads, &Neck),
    /// [`Heads::find`], with the difficulty's mask.
    find: fn(&Heads, Tail, Range<usize>, u32) -> Option<usize>,
}

/// Messages that differ only in the last word of their block before the last.
pub(crate) struct Neck<'a> {
    /// The state before that block.
    pub(crate) state: State,
    /// That block, but for its last word.
    pub(crate) block: &'a Block,
    /// Its last word in each of the messages.
    pub(crate) endings: Vec<u32>,
    /// The last block, to which tails are added.
    pub(crate) last: Block,
    /// How many words of the last block, a multiple of four, stay as they are.
    pub(crate) rounds: usize,
}

/// Messages that differ only before their last block, as they stand somewhere in it.
///
/// Nothing that is still to come depends on which of them it is: `K[t] + W[t]` is computed once for
/// all.
#[derive(Clone)]
pub(crate) struct Heads {
    engine: Engine,
    last: Block,
    /// How many rounds of the last block are done: a multiple of four.
    rounds: usize,
    /// The state of each message after them, eight words each, arranged as the engine likes.
    states: Vec<u32>,
    /// The first word of each message's state before the last block, which is added in the end.
    firsts: Vec<u32>,
}

impl Heads {
    /// Does the work that these messages have in common.
    pub(crate) fn new(engine: Engine, mut neck: Neck) -> Self {
        // What fills up the last vector is computed like the others and never looked at.
        let room = neck.endings.len().next_multiple_of(MAX_LANES);
        neck.endings.resize(room, 0);
        let (states, firsts) = (vec![0; 8 * room], vec![0; room]);
        let mut heads = Self { engine, last: neck.last, rounds: neck.rounds, states, firsts };
        (engine.0.prepare)(&mut heads, &neck);
        heads
    }

    /// The first of the messages in `range` that meets `difficulty` with this tail.
    pub(crate) fn find(
        &self,
        tail: Tail,
        range: Range<usize>,
        difficulty: Difficulty,
    ) -> Option<usize> {
        (self.engine.0.find)(self, tail, range, difficulty.mask())
    }
}

/// The most lanes that any engine has.
const MAX_LANES: usize = 32;

/// The first head of each group that has a part in `range`.
fn groups(range: &Range<usize>, lanes: usize) -> impl Iterator<Item = usize> {
    (range.start / lanes * lanes..range.end).step_by(lanes)
}

/// The first head in `range` of a group that begins with head `first`, and of which `hits` has a bit
/// for each head, beginning with the lowest.
fn first_hit(hits: u32, first: usize, range: &Range<usize>) -> Option<usize> {
    let hits = hits & u32::MAX << range.start.saturating_sub(first);
    let head = first + hits.trailing_zeros() as usize;
    // Beyond the range is also what fills up the last group.
    (hits != 0 && head < range.end).then_some(head)
}

/// A way to compute SHA-256 that this machine has.
///
/// Engines differ in speed only: the same start leads all of them to the same nonce.
#[derive(Clone, Copy)]
pub struct Engine(&'static Kernel);

impl Engine {
    /// The engines of this machine, fastest first. The processor is asked once per process.
    #[must_use]
    pub fn available() -> &'static [Self] {
        static AVAILABLE: LazyLock<Vec<Engine>> = LazyLock::new(|| {
            let mut engines = Vec::new();
            #[cfg(target_arch = "x86_64")]
            engines.extend(
                [sha_ni::detect(), avx512::detect(), avx2::detect()]
                    .into_iter()
                    .flatten()
                    .map(Engine),
            );
            #[cfg(target_arch = "aarch64")]
            engines.extend(arm_sha2::detect().map(Engine));
            engines.push(Engine(&portable::KERNEL));
            engines
        });
        &AVAILABLE
    }

    /// The fastest engine of this machine.
    #[must_use]
    pub fn fastest() -> Self {
        Self::available()[0]
    }

    /// The engine of that name.
    ///
    /// # Errors
    ///
    /// [`Error::EngineUnavailable`] if this machine has none.
    pub fn named(name: &str) -> Result<Self, Error> {
        let mut engines = Self::available().iter().copied();
        engines.find(|engine| engine.name() == name).ok_or(Error::EngineUnavailable)
    }

    /// What it is called: `sha-ni`, `avx512`, `avx2`, `arm-sha2` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Replaces `state` by its compression with `block` (FIPS 180-4 section 6.2.2).
    pub(crate) fn compress(self, state: &mut State, block: &Block) {
        (self.0.compress)(state, block);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.name()).finish()
    }
}

impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Engine {}
