//! SHA-256 with the SHA instructions of x86-64 processors.
//!
//! `SHA256RNDS2` does two rounds on a state that is split over two registers, named after what they
//! hold from the highest lane to the lowest: ABEF and CDGH. Its result comes after four cycles, but
//! one can be begun in each: four independent messages keep it busy.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_and_si128, _mm_castsi128_ps, _mm_cmpeq_epi32,
    _mm_extract_epi32, _mm_insert_epi32, _mm_loadu_si128, _mm_movemask_ps, _mm_set_epi32,
    _mm_set1_epi32, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32,
    _mm_sha256rnds2_epu32, _mm_shuffle_epi32, _mm_storeu_si128, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64,
};
use std::array;
use std::ops::Range;

use super::{Block, Heads, K, Kernel, Neck, State, Tail, first_hit, groups};

/// Reachable through [`detect`] only, on which the safety of every call below rests.
static KERNEL: Kernel = Kernel { name: "sha-ni", compress, prepare, find };

/// Messages at once.
const LANES: usize = 4;

/// Which word of the state each lane of ABEF and then of CDGH holds, the lowest first.
const LAYOUT: [usize; 8] = [5, 4, 1, 0, 7, 6, 3, 2];

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

fn prepare(heads: &mut Heads, neck: &Neck) {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { prepare_with_sha(heads, neck) }
}

fn find(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { find_with_sha(heads, tail, range, mask) }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress_with_sha(state: &mut State, block: &Block) {
    let after = compressed(load_state(&LAYOUT.map(|word| state[word])), load_block(block));
    let mut words = [0; 8];
    store_state(after, &mut words);
    for (word, value) in LAYOUT.into_iter().zip(words) {
        state[word] = value;
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn prepare_with_sha(heads: &mut Heads, neck: &Neck) {
    let kw = &schedule(load_block(&neck.last))[..neck.rounds / 4];
    let before = load_state(&LAYOUT.map(|word| neck.state[word]));
    let mut block = load_block(neck.block);
    let (states, []) = heads.states.as_chunks_mut() else { unreachable!("states are whole") };
    for ((state, first), ending) in states.iter_mut().zip(&mut heads.firsts).zip(&neck.endings) {
        block[3] = _mm_insert_epi32::<3>(block[3], ending.cast_signed());
        let mut lanes = [compressed(before, block)];
        *first = _mm_extract_epi32::<3>(lanes[0][0]).cast_unsigned();
        for kw in kw {
            lanes = four_rounds(lanes, *kw);
        }
        store_state(lanes[0], state);
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn find_with_sha(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    let mut last = load_block(&heads.last);
    last[heads.rounds / 4] = _mm_add_epi32(
        last[heads.rounds / 4],
        _mm_set_epi32(0, 0, tail[1].cast_signed(), tail[0].cast_signed()),
    );
    let kw = &schedule(last)[heads.rounds / 4..];
    let (states, []) = heads.states.as_chunks::<8>() else { unreachable!("states are whole") };
    let mask = _mm_set1_epi32(mask.cast_signed());
    for first in groups(&range, LANES) {
        let mut lanes: [_; LANES] = array::from_fn(|lane| load_state(&states[first + lane]));
        for kw in kw {
            lanes = four_rounds(lanes, *kw);
        }
        // The first words of the digests lie highest in ABEF.
        let [[x0, _], [x1, _], [x2, _], [x3, _]] = lanes;
        let a = _mm_unpackhi_epi64(_mm_unpackhi_epi32(x0, x1), _mm_unpackhi_epi32(x2, x3));
        let a = _mm_add_epi32(a, load(&heads.firsts[first..]));
        let zeros = _mm_cmpeq_epi32(_mm_and_si128(a, mask), _mm_setzero_si128());
        let hits = _mm_movemask_ps(_mm_castsi128_ps(zeros)).cast_unsigned();
        if let Some(head) = first_hit(hits, first, &range) {
            return Some(head);
        }
    }
    None
}

/// The compression function.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn compressed(before: [__m128i; 2], block: [__m128i; 4]) -> [__m128i; 2] {
    let mut lanes = [before];
    for kw in schedule(block) {
        lanes = four_rounds(lanes, kw);
    }
    let [[abef, cdgh]] = lanes;
    [_mm_add_epi32(before[0], abef), _mm_add_epi32(before[1], cdgh)]
}

/// Four rounds of each lane with the same words.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn four_rounds<const N: usize>(lanes: [[__m128i; 2]; N], kw: __m128i) -> [[__m128i; 2]; N] {
    // Two rounds make a new ABEF, and the old one is the new CDGH.
    let between = lanes.map(|[abef, cdgh]| [_mm_sha256rnds2_epu32(cdgh, abef, kw), abef]);
    let kw = _mm_shuffle_epi32::<0b00_00_11_10>(kw);
    between.map(|[abef, cdgh]| [_mm_sha256rnds2_epu32(cdgh, abef, kw), abef])
}

/// `K[t] + W[t]` for each round `t`, four in a vector.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn schedule(block: [__m128i; 4]) -> [__m128i; 16] {
    let mut w = [_mm_setzero_si128(); 16];
    w[..4].copy_from_slice(&block);
    for t in 4..16 {
        let w9 = _mm_alignr_epi8::<4>(w[t - 1], w[t - 2]);
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[t - 4], w[t - 3]), w9);
        w[t] = _mm_sha256msg2_epu32(sum, w[t - 1]);
    }
    array::from_fn(|t| _mm_add_epi32(w[t], load(&K[4 * t..])))
}

#[target_feature(enable = "sse2")]
#[inline]
fn load_block(block: &Block) -> [__m128i; 4] {
    array::from_fn(|t| load(&block[4 * t..]))
}

#[target_feature(enable = "sse2")]
#[inline]
fn load_state(words: &[u32; 8]) -> [__m128i; 2] {
    [load(words), load(&words[4..])]
}

#[target_feature(enable = "sse2")]
#[inline]
fn store_state(state: [__m128i; 2], words: &mut [u32; 8]) {
    store(state[0], words);
    store(state[1], &mut words[4..]);
}

/// The first four words, the first of them in the lowest lane.
#[target_feature(enable = "sse2")]
#[inline]
fn load(words: &[u32]) -> __m128i {
    let words: *const [u32] = &raw const words[..4];
    // SAFETY: there are four words, wherever they lie.
    unsafe { _mm_loadu_si128(words.cast()) }
}

/// Puts a vector in place of the first four words.
#[target_feature(enable = "sse2")]
#[inline]
fn store(vector: __m128i, words: &mut [u32]) {
    let words: *mut [u32] = &raw mut words[..4];
    // SAFETY: there are four words, wherever they lie.
    unsafe { _mm_storeu_si128(words.cast(), vector) }
}
