//! The ways to compute SHA-256 on this machine.

mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use crate::message::Place;
use crate::{Difficulty, Error};

/// Bytes of a SHA-256 block.
pub(crate) const BLOCK_BYTES: usize = 64;
/// The chaining value: eight words, `a` to `h`.
pub(crate) type State = [u32; 8];
/// A block: sixteen words, each of four big-endian bytes.
pub(crate) type Block = [u32; 16];

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
    /// [`Engine::find`], with the difficulty's mask.
    find: fn(&Decade, Range<u8>, u32) -> Option<u8>,
}

/// Messages that differ only in one decimal digit, and that digit lies in their last block.
pub(crate) struct Decade<'a> {
    /// The chaining value before the last block.
    pub(crate) midstate: &'a State,
    /// The last block, with `'0'` for the digit.
    pub(crate) block: &'a Block,
    /// Where the digit is.
    pub(crate) place: Place,
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
            engines.extend(sha_ni::detect().map(Engine));
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

    /// What it is called: `sha-ni` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Replaces `state` by its compression with `block` (FIPS 180-4 section 6.2.2).
    pub(crate) fn compress(self, state: &mut State, block: &Block) {
        (self.0.compress)(state, block);
    }

    /// The first of `digits` (within 0 to 9) whose message meets `difficulty`.
    pub(crate) fn find(
        self,
        decade: &Decade,
        digits: Range<u8>,
        difficulty: Difficulty,
    ) -> Option<u8> {
        (self.0.find)(decade, digits, difficulty.mask())
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
