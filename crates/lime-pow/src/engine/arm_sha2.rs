//! SHA-256 with the SHA-2 instructions of 64-bit ARM processors.
//!
//! `SHA256H` and `SHA256H2` do four rounds together on a state that is split over two registers,
//! named after what they hold: ABCD and EFGH. Four independent messages hide how long that takes.

use std::arch::aarch64::{
    uint32x4_t, vaddq_u32, vdupq_n_u32, vgetq_lane_u32, vld1q_u32, vsetq_lane_u32, vsha256h2q_u32,
    vsha256hq_u32, vsha256su0q_u32, vsha256su1q_u32, vst1q_u32,
};
use std::arch::is_aarch64_feature_detected;
use std::array;
use std::ops::Range;

use super::{Block, Heads, K, Kernel, Neck, State, Tail, first_hit, groups};

/// Reachable through [`detect`] only, on which the safety of every call below rests.
static KERNEL: Kernel = Kernel { name: "arm-sha2", compress, prepare, find };

/// Messages at once.
const LANES: usize = 4;

/// The kernel, if this processor has every instruction that it uses.
pub(super) fn detect() -> Option<&'static Kernel> {
    let supported = is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("sha2");
    supported.then_some(&KERNEL)
}

fn compress(state: &mut State, block: &Block) {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { compress_with_sha2(state, block) }
}

fn prepare(heads: &mut Heads, neck: &Neck) {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { prepare_with_sha2(heads, neck) }
}

fn find(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    // SAFETY: only `KERNEL` refers to this function, and `detect` found the instructions.
    unsafe { find_with_sha2(heads, tail, range, mask) }
}

#[target_feature(enable = "neon,sha2")]
fn compress_with_sha2(state: &mut State, block: &Block) {
    store_state(compressed(load_state(state), load_block(block)), state);
}

#[target_feature(enable = "neon,sha2")]
fn prepare_with_sha2(heads: &mut Heads, neck: &Neck) {
    let kw = &schedule(load_block(&neck.last))[..neck.rounds / 4];
    let before = load_state(&neck.state);
    let mut block = load_block(neck.block);
    let (states, []) = heads.states.as_chunks_mut() else { unreachable!("states are whole") };
    for ((state, first), ending) in states.iter_mut().zip(&mut heads.firsts).zip(&neck.endings) {
        block[3] = vsetq_lane_u32::<3>(*ending, block[3]);
        let mut lanes = [compressed(before, block)];
        *first = vgetq_lane_u32::<0>(lanes[0][0]);
        for kw in kw {
            lanes = four_rounds(lanes, *kw);
        }
        store_state(lanes[0], state);
    }
}

#[target_feature(enable = "neon,sha2")]
fn find_with_sha2(heads: &Heads, tail: Tail, range: Range<usize>, mask: u32) -> Option<usize> {
    let mut last = load_block(&heads.last);
    last[heads.rounds / 4] = {
        let add = vsetq_lane_u32::<0>(tail[0], vsetq_lane_u32::<1>(tail[1], vdupq_n_u32(0)));
        vaddq_u32(last[heads.rounds / 4], add)
    };
    let kw = &schedule(last)[heads.rounds / 4..];
    let (states, []) = heads.states.as_chunks::<8>() else { unreachable!("states are whole") };
    for first in groups(&range, LANES) {
        let mut lanes: [_; LANES] = array::from_fn(|lane| load_state(&states[first + lane]));
        for kw in kw {
            lanes = four_rounds(lanes, *kw);
        }
        let mut hits = 0;
        for (lane, [abcd, _]) in lanes.into_iter().enumerate() {
            let a = vgetq_lane_u32::<0>(abcd).wrapping_add(heads.firsts[first + lane]);
            hits |= u32::from(a & mask == 0) << lane;
        }
        if let Some(head) = first_hit(hits, first, &range) {
            return Some(head);
        }
    }
    None
}

/// The compression function.
#[target_feature(enable = "neon,sha2")]
#[inline]
fn compressed(before: [uint32x4_t; 2], block: [uint32x4_t; 4]) -> [uint32x4_t; 2] {
    let mut lanes = [before];
    for kw in schedule(block) {
        lanes = four_rounds(lanes, kw);
    }
    let [[abcd, efgh]] = lanes;
    [vaddq_u32(before[0], abcd), vaddq_u32(before[1], efgh)]
}

/// Four rounds of each lane with the same words.
#[target_feature(enable = "neon,sha2")]
#[inline]
fn four_rounds<const N: usize>(
    lanes: [[uint32x4_t; 2]; N],
    kw: uint32x4_t,
) -> [[uint32x4_t; 2]; N] {
    lanes.map(|[abcd, efgh]| [vsha256hq_u32(abcd, efgh, kw), vsha256h2q_u32(efgh, abcd, kw)])
}

/// `K[t] + W[t]` for each round `t`, four in a vector.
#[target_feature(enable = "neon,sha2")]
#[inline]
fn schedule(block: [uint32x4_t; 4]) -> [uint32x4_t; 16] {
    let mut w = [vdupq_n_u32(0); 16];
    w[..4].copy_from_slice(&block);
    for t in 4..16 {
        w[t] = vsha256su1q_u32(vsha256su0q_u32(w[t - 4], w[t - 3]), w[t - 2], w[t - 1]);
    }
    array::from_fn(|t| vaddq_u32(w[t], load(&K[4 * t..])))
}

#[target_feature(enable = "neon")]
#[inline]
fn load_block(block: &Block) -> [uint32x4_t; 4] {
    array::from_fn(|t| load(&block[4 * t..]))
}

#[target_feature(enable = "neon")]
#[inline]
fn load_state(words: &[u32; 8]) -> [uint32x4_t; 2] {
    [load(words), load(&words[4..])]
}

#[target_feature(enable = "neon")]
#[inline]
fn store_state(state: [uint32x4_t; 2], words: &mut [u32; 8]) {
    store(state[0], words);
    store(state[1], &mut words[4..]);
}

/// The first four words, the first of them in the lowest lane.
#[target_feature(enable = "neon")]
#[inline]
fn load(words: &[u32]) -> uint32x4_t {
    let words: *const [u32] = &raw const words[..4];
    // SAFETY: there are four words to read.
    unsafe { vld1q_u32(words.cast()) }
}

/// Puts a vector in place of the first four words.
#[target_feature(enable = "neon")]
#[inline]
fn store(vector: uint32x4_t, words: &mut [u32]) {
    let words: *mut [u32] = &raw mut words[..4];
    // SAFETY: there are four words to write.
    unsafe { vst1q_u32(words.cast(), vector) }
}
