//! Eight messages at once with AVX2, and twice that to keep the processor busy.

#![allow(clippy::inline_always, reason = "see `lanes`")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_loadu_si256, _mm256_movemask_ps, _mm256_or_si256, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256,
    _mm256_xor_si256,
};
use std::ops::Range;

use super::lanes::{self, Two, Words};
use super::{Heads, Kernel, Neck, Tail, portable};

/// Reachable through [`detect`] only.
static KERNEL: Kernel = Kernel { name: "avx2", compress: portable::compress, prepare, find };

/// The kernel, if this processor has every instruction that it uses.
pub(super) fn detect() -> Option<&'static Kernel> {
    is_x86_feature_detected!("avx2").then_some(&KERNEL)
}

fn prepare(heads: &mut Heads, neck: &Neck) {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found AVX2.
    unsafe { prepare_with_avx2(heads, neck) }
}

fn find(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found AVX2.
    unsafe { find_with_avx2(heads, tail, range, mask) }
}

#[target_feature(enable = "avx2")]
fn prepare_with_avx2(heads: &mut Heads, neck: &Neck) {
    lanes::prepare::<Two<Eight>>(heads, neck);
}

#[target_feature(enable = "avx2")]
fn find_with_avx2(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    lanes::find::<Two<Eight>>(heads, tail, range, mask)
}

/// Eight words. Only the two functions above make any, so whatever is done to one is done where there is
/// AVX2: this is what makes the calls below safe.
#[derive(Clone, Copy)]
struct Eight(__m256i);

impl Words for Eight {
    const LANES: usize = 8;

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        let words: *const [u32] = &raw const words[..8];
        // SAFETY: there are eight words, wherever they lie; and see `Eight`.
        Self(unsafe { _mm256_loadu_si256(words.cast()) })
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        let words: *mut [u32] = &raw mut words[..8];
        // SAFETY: there are eight words, wherever they lie; and see `Eight`.
        unsafe { _mm256_storeu_si256(words.cast(), self.0) }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: see `Eight`.
        Self(unsafe { _mm256_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see `Eight`.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn big_sigma0(self) -> Self {
        self.rotated::<2, 30>().xor(self.rotated::<13, 19>()).xor(self.rotated::<22, 10>())
    }

    #[inline(always)]
    fn big_sigma1(self) -> Self {
        self.rotated::<6, 26>().xor(self.rotated::<11, 21>()).xor(self.rotated::<25, 7>())
    }

    #[inline(always)]
    fn small_sigma0(self) -> Self {
        self.rotated::<7, 25>().xor(self.rotated::<18, 14>()).xor(self.shifted::<3>())
    }

    #[inline(always)]
    fn small_sigma1(self) -> Self {
        self.rotated::<17, 15>().xor(self.rotated::<19, 13>()).xor(self.shifted::<10>())
    }

    #[inline(always)]
    fn ch(self, f: Self, g: Self) -> Self {
        g.xor(self.and(f.xor(g)))
    }

    #[inline(always)]
    fn maj(self, b: Self, c: Self) -> Self {
        self.and(b).or(c.and(self.or(b)))
    }

    #[inline(always)]
    fn zeros(self, mask: u32) -> u32 {
        let masked = self.and(Self::splat(mask));
        // SAFETY: see `Eight`.
        unsafe {
            let zeros = _mm256_cmpeq_epi32(masked.0, _mm256_setzero_si256());
            _mm256_movemask_ps(_mm256_castsi256_ps(zeros)).cast_unsigned()
        }
    }
}

impl Eight {
    /// Each word rotated by `RIGHT` bits; `LEFT` is 32 less that.
    #[inline(always)]
    fn rotated<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        const { assert!(RIGHT + LEFT == 32) };
        // SAFETY: see `Eight`.
        unsafe {
            let right = _mm256_srli_epi32::<RIGHT>(self.0);
            Self(_mm256_or_si256(right, _mm256_slli_epi32::<LEFT>(self.0)))
        }
    }

    #[inline(always)]
    fn shifted<const RIGHT: i32>(self) -> Self {
        // SAFETY: see `Eight`.
        Self(unsafe { _mm256_srli_epi32::<RIGHT>(self.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see `Eight`.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: see `Eight`.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: see `Eight`.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }
}
