//! Sixteen messages at once with AVX-512, and twice that to keep the processor busy.
//!
//! AVX-512 rotates in one instruction, and computes any function of three bits in another: `0x96`,
//! `0xca` and `0xe8` are the truth tables of `x ^ y ^ z`, `Ch` and `Maj`.

#![allow(clippy::inline_always, reason = "see `lanes`")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set1_epi32,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_testn_epi32_mask,
};
use std::ops::Range;

use super::lanes::{self, Two, Words};
use super::{Heads, Kernel, Neck, Tail, portable};

/// Reachable through [`detect`] only.
static KERNEL: Kernel = Kernel { name: "avx512", compress: portable::compress, prepare, find };

/// The kernel, if this processor has every instruction that it uses.
pub(super) fn detect() -> Option<&'static Kernel> {
    is_x86_feature_detected!("avx512f").then_some(&KERNEL)
}

fn prepare(heads: &mut Heads, neck: &Neck) {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found AVX-512.
    unsafe { prepare_with_avx512(heads, neck) }
}

fn find(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found AVX-512.
    unsafe { find_with_avx512(heads, tail, range, mask) }
}

#[target_feature(enable = "avx512f")]
fn prepare_with_avx512(heads: &mut Heads, neck: &Neck) {
    lanes::prepare::<Two<Sixteen>>(heads, neck);
}

#[target_feature(enable = "avx512f")]
fn find_with_avx512(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    lanes::find::<Two<Sixteen>>(heads, tail, range, mask)
}

/// Sixteen words. Only the two functions above make any, so whatever is done to one is done where there
/// is AVX-512: this is what makes the calls below safe.
#[derive(Clone, Copy)]
struct Sixteen(__m512i);

impl Words for Sixteen {
    const LANES: usize = 16;

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        let words: *const [u32] = &raw const words[..16];
        // SAFETY: there are sixteen words, wherever they lie; and see `Sixteen`.
        Self(unsafe { _mm512_loadu_si512(words.cast()) })
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        let words: *mut [u32] = &raw mut words[..16];
        // SAFETY: there are sixteen words, wherever they lie; and see `Sixteen`.
        unsafe { _mm512_storeu_si512(words.cast(), self.0) }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn big_sigma0(self) -> Self {
        self.rotated::<2>().xor(self.rotated::<13>(), self.rotated::<22>())
    }

    #[inline(always)]
    fn big_sigma1(self) -> Self {
        self.rotated::<6>().xor(self.rotated::<11>(), self.rotated::<25>())
    }

    #[inline(always)]
    fn small_sigma0(self) -> Self {
        self.rotated::<7>().xor(self.rotated::<18>(), self.shifted::<3>())
    }

    #[inline(always)]
    fn small_sigma1(self) -> Self {
        self.rotated::<17>().xor(self.rotated::<19>(), self.shifted::<10>())
    }

    #[inline(always)]
    fn ch(self, f: Self, g: Self) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_ternarylogic_epi32::<0xca>(self.0, f.0, g.0) })
    }

    #[inline(always)]
    fn maj(self, b: Self, c: Self) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_ternarylogic_epi32::<0xe8>(self.0, b.0, c.0) })
    }

    #[inline(always)]
    fn zeros(self, mask: u32) -> u32 {
        // SAFETY: see `Sixteen`.
        unsafe { _mm512_testn_epi32_mask(self.0, Self::splat(mask).0) }.into()
    }
}

impl Sixteen {
    #[inline(always)]
    fn rotated<const RIGHT: i32>(self) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_ror_epi32::<RIGHT>(self.0) })
    }

    #[inline(always)]
    fn shifted<const RIGHT: u32>(self) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_srli_epi32::<RIGHT>(self.0) })
    }

    #[inline(always)]
    fn xor(self, y: Self, z: Self) -> Self {
        // SAFETY: see `Sixteen`.
        Self(unsafe { _mm512_ternarylogic_epi32::<0x96>(self.0, y.0, z.0) })
    }
}
