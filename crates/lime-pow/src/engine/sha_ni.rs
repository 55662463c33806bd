//! SHA-256 with the SHA instructions of x86-64 processors.
//!
//! `SHA256RNDS2` does two rounds on a state that is split over two registers, named after what they
//! hold from the highest lane to the lowest: ABEF and CDGH.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi32,
};
use std::array;
use std::ops::Range;

use super::{Block, Decade, K, Kernel, State};

/// Reachable through [`detect`] only, on which the safety of every call below rests.
static KERNEL: Kernel = Kernel { name: "sha-ni", compress, find };

/// The kernel, if this processor has every instruction that it uses.
pub(super) fn detect() -> Option<&'static Kernel> {
    let supported = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1");
    supported.then_some(&KERNEL)
}

fn compress(state: &mut State, block: &Block) {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { compress_with_sha(state, block) }
}

fn find(decade: &Decade, digits: Range<u8>, mask: u32) -> Option<u8> {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { find_with_sha(decade, digits, mask) }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress_with_sha(state: &mut State, block: &Block) {
    let before = split(state);
    let after = rounds(before, load(block));
    *state = join([_mm_add_epi32(before[0], after[0]), _mm_add_epi32(before[1], after[1])]);
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn find_with_sha(decade: &Decade, digits: Range<u8>, mask: u32) -> Option<u8> {
    let midstate = split(decade.midstate);
    // The digit is one byte of one word, so the next message is this one plus a constant. The
    // constant is added in registers: storing a byte and loading the sixteen around it would
    // stall each attempt.
    let mut first = *decade.block;
    first[decade.place.word] += u32::from(digits.start) << decade.place.shift;
    let mut message = load(&first);
    let mut step = [0; 16];
    step[decade.place.word] = 1 << decade.place.shift;
    let step = load(&step);
    for digit in digits {
        let abef = _mm_add_epi32(rounds(midstate, message)[0], midstate[0]);
        if _mm_extract_epi32::<3>(abef).cast_unsigned() & mask == 0 {
            return Some(digit);
        }
        message = array::from_fn(|i| _mm_add_epi32(message[i], step[i]));
    }
    None
}

/// All 64 rounds, without the final addition.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn rounds(
    mut state: [__m128i; 2],
    [mut w0, mut w4, mut w8, mut w12]: [__m128i; 4],
) -> [__m128i; 2] {
    // Written out, because the compiler keeps a loop, and then the words in memory.
    macro_rules! sixteen_rounds {
        ($t:literal) => {
            state = four_rounds::<{ $t }>(state, w0);
            state = four_rounds::<{ $t + 4 }>(state, w4);
            state = four_rounds::<{ $t + 8 }>(state, w8);
            state = four_rounds::<{ $t + 12 }>(state, w12);
        };
    }
    macro_rules! next_sixteen_words {
        () => {
            w0 = next_words(w0, w4, w8, w12);
            w4 = next_words(w4, w8, w12, w0);
            w8 = next_words(w8, w12, w0, w4);
            w12 = next_words(w12, w0, w4, w8);
        };
    }
    sixteen_rounds!(0);
    next_sixteen_words!();
    sixteen_rounds!(16);
    next_sixteen_words!();
    sixteen_rounds!(32);
    next_sixteen_words!();
    sixteen_rounds!(48);
    state
}

/// Rounds `T` to `T + 3` with their words of the message schedule.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn four_rounds<const T: usize>([abef, cdgh]: [__m128i; 2], w: __m128i) -> [__m128i; 2] {
    let wk = _mm_add_epi32(w, words([K[T], K[T + 1], K[T + 2], K[T + 3]]));
    // Two rounds make a new ABEF, and the old one is the new CDGH.
    let between = _mm_sha256rnds2_epu32(cdgh, abef, wk);
    let after = _mm_sha256rnds2_epu32(abef, between, _mm_shuffle_epi32::<0b00_00_11_10>(wk));
    [after, between]
}

/// Four words of the message schedule from the sixteen before them (FIPS 180-4 section 6.2.2).
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn next_words(w0: __m128i, w4: __m128i, w8: __m128i, w12: __m128i) -> __m128i {
    let w9 = _mm_alignr_epi8::<4>(w12, w8);
    _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), w9), w12)
}

#[target_feature(enable = "sse2")]
#[inline]
fn load(block: &Block) -> [__m128i; 4] {
    array::from_fn(|i| words([block[4 * i], block[4 * i + 1], block[4 * i + 2], block[4 * i + 3]]))
}

#[target_feature(enable = "sse2")]
#[inline]
fn split(state: &State) -> [__m128i; 2] {
    let lanes = |indices: [usize; 4]| words(indices.map(|index| state[index]));
    [lanes([5, 4, 1, 0]), lanes([7, 6, 3, 2])]
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn join([abef, cdgh]: [__m128i; 2]) -> State {
    [
        _mm_extract_epi32::<3>(abef),
        _mm_extract_epi32::<2>(abef),
        _mm_extract_epi32::<3>(cdgh),
        _mm_extract_epi32::<2>(cdgh),
        _mm_extract_epi32::<1>(abef),
        _mm_extract_epi32::<0>(abef),
        _mm_extract_epi32::<1>(cdgh),
        _mm_extract_epi32::<0>(cdgh),
    ]
    .map(i32::cast_unsigned)
}

/// Four words, the first in the lowest lane.
#[target_feature(enable = "sse2")]
#[inline]
fn words(words: [u32; 4]) -> __m128i {
    let [w0, w1, w2, w3] = words.map(u32::cast_signed);
    _mm_set_epi32(w3, w2, w1, w0)
}
