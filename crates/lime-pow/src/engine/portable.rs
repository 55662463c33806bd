//! SHA-256 for any processor, one message at a time.

#![allow(clippy::inline_always, reason = "see `lanes`")]

use super::lanes::{self, Words};
use super::{Block, Kernel, State};

pub(super) static KERNEL: Kernel =
    Kernel { name: "portable", compress, prepare: lanes::prepare::<u32>, find: lanes::find::<u32> };

pub(super) fn compress(state: &mut State, block: &Block) {
    *state = lanes::compress(*state, block);
}

/// FIPS 180-4 section 4.1.2.
impl Words for u32 {
    const LANES: usize = 1;

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        words[0]
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        words[0] = self;
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        word
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn big_sigma0(self) -> Self {
        self.rotate_right(2) ^ self.rotate_right(13) ^ self.rotate_right(22)
    }

    #[inline(always)]
    fn big_sigma1(self) -> Self {
        self.rotate_right(6) ^ self.rotate_right(11) ^ self.rotate_right(25)
    }

    #[inline(always)]
    fn small_sigma0(self) -> Self {
        self.rotate_right(7) ^ self.rotate_right(18) ^ self >> 3
    }

    #[inline(always)]
    fn small_sigma1(self) -> Self {
        self.rotate_right(17) ^ self.rotate_right(19) ^ self >> 10
    }

    #[inline(always)]
    fn ch(self, f: Self, g: Self) -> Self {
        g ^ self & (f ^ g)
    }

    #[inline(always)]
    fn maj(self, b: Self, c: Self) -> Self {
        self & b | c & (self | b)
    }

    #[inline(always)]
    fn zeros(self, mask: u32) -> u32 {
        u32::from(self & mask == 0)
    }
}
