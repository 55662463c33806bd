//! SHA-256 of several messages at once, one in each lane of a vector (FIPS 180-4 section 6.2.2).
//!
//! Written once for every vector, and for the plain word, which is a vector of one lane.

#![allow(
    clippy::inline_always,
    reason = "a vector's operations become its instructions only inside a function that may use \
              them, and elsewhere calls"
)]

use std::array;
use std::convert::identity;
use std::ops::Range;

use super::{Heads, K, Neck, Tail, first_hit, groups};

/// The same word of several messages, one in each lane. The operations are the standard's.
pub(super) trait Words: Copy {
    /// How many messages: at most 32.
    const LANES: usize;
    /// The first [`Self::LANES`] of `words`.
    fn load(words: &[u32]) -> Self;
    /// Puts these words in place of the first [`Self::LANES`] of `words`.
    fn store(self, words: &mut [u32]);
    /// `word` in each lane.
    fn splat(word: u32) -> Self;
    /// The sum modulo 2^32.
    fn add(self, other: Self) -> Self;
    /// `Σ0(self)`.
    fn big_sigma0(self) -> Self;
    /// `Σ1(self)`.
    fn big_sigma1(self) -> Self;
    /// `σ0(self)`.
    fn small_sigma0(self) -> Self;
    /// `σ1(self)`.
    fn small_sigma1(self) -> Self;
    /// `Ch(self, f, g)`.
    fn ch(self, f: Self, g: Self) -> Self;
    /// `Maj(self, b, c)`.
    fn maj(self, b: Self, c: Self) -> Self;
    /// A bit for each lane, beginning with the lowest: whether all bits of `mask` are zero there.
    fn zeros(self, mask: u32) -> u32;
}

/// Two vectors as one of twice the length: while one waits for a result, the other can be worked on.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Two<W>(W, W);

#[cfg(target_arch = "x86_64")]
impl<W: Words> Words for Two<W> {
    const LANES: usize = 2 * W::LANES;

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        Self(W::load(words), W::load(&words[W::LANES..]))
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        self.0.store(words);
        self.1.store(&mut words[W::LANES..]);
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(W::splat(word), W::splat(word))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0), self.1.add(other.1))
    }

    #[inline(always)]
    fn big_sigma0(self) -> Self {
        Self(self.0.big_sigma0(), self.1.big_sigma0())
    }

    #[inline(always)]
    fn big_sigma1(self) -> Self {
        Self(self.0.big_sigma1(), self.1.big_sigma1())
    }

    #[inline(always)]
    fn small_sigma0(self) -> Self {
        Self(self.0.small_sigma0(), self.1.small_sigma0())
    }

    #[inline(always)]
    fn small_sigma1(self) -> Self {
        Self(self.0.small_sigma1(), self.1.small_sigma1())
    }

    #[inline(always)]
    fn ch(self, f: Self, g: Self) -> Self {
        Self(self.0.ch(f.0, g.0), self.1.ch(f.1, g.1))
    }

    #[inline(always)]
    fn maj(self, b: Self, c: Self) -> Self {
        Self(self.0.maj(b.0, c.0), self.1.maj(b.1, c.1))
    }

    #[inline(always)]
    fn zeros(self, mask: u32) -> u32 {
        self.0.zeros(mask) | self.1.zeros(mask) << W::LANES
    }
}

/// [`Kernel::prepare`](super::Kernel::prepare). In each group of heads come all first words of their
/// states, then all second ones, and so on.
#[inline(always)]
pub(super) fn prepare<W: Words>(heads: &mut Heads, neck: &Neck) {
    let kw = &schedule(&neck.last)[..neck.rounds];
    let mut block = neck.block.map(W::splat);
    for first in (0..neck.endings.len()).step_by(W::LANES) {
        block[15] = W::load(&neck.endings[first..]);
        let state = compress(neck.state.map(W::splat), &block);
        state[0].store(&mut heads.firsts[first..]);
        let state = rounds(state, kw, W::splat);
        for (word, values) in state.into_iter().enumerate() {
            values.store(&mut heads.states[8 * first + word * W::LANES..]);
        }
    }
}

/// [`Kernel::find`](super::Kernel::find).
#[inline(always)]
pub(super) fn find<W: Words>(
    heads: &Heads,
    tail: Tail,
    range: Range<usize>,
    mask: u32,
) -> Option<usize> {
    let mut last = heads.last;
    for (word, tail) in last[heads.rounds..].iter_mut().zip(tail) {
        *word = word.wrapping_add(tail);
    }
    let kw = &schedule(&last)[heads.rounds..];
    for first in groups(&range, W::LANES) {
        let words = &heads.states[8 * first..];
        let state = array::from_fn(|word| W::load(&words[word * W::LANES..]));
        let [a, ..] = rounds(state, kw, W::splat);
        let hits = a.add(W::load(&heads.firsts[first..])).zeros(mask);
        if let Some(head) = first_hit(hits, first, &range) {
            return Some(head);
        }
    }
    None
}

/// The compression function.
#[inline(always)]
pub(super) fn compress<W: Words>(state: [W; 8], block: &[W; 16]) -> [W; 8] {
    let after = rounds(state, &schedule(block), identity);
    array::from_fn(|word| state[word].add(after[word]))
}

/// Rounds, a multiple of four, whose `K[t] + W[t]` are given as words of one message or of several.
#[allow(clippy::many_single_char_names, reason = "they are the names of the standard")]
#[inline(always)]
fn rounds<W: Words, T: Copy>(state: [W; 8], kw: &[T], to_words: impl Fn(T) -> W) -> [W; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    // A round renames its variables. Written out four at a time, most of that costs no moves.
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $kw:expr) => {
            let t1 = $h.add(to_words($kw)).add($e.ch($f, $g)).add($e.big_sigma1());
            $d = $d.add(t1);
            $h = t1.add($a.maj($b, $c)).add($a.big_sigma0());
        };
    }
    let (quads, []) = kw.as_chunks::<4>() else { unreachable!("rounds come in fours") };
    for kw in quads {
        round!(a b c d e f g h kw[0]);
        round!(h a b c d e f g kw[1]);
        round!(g h a b c d e f kw[2]);
        round!(f g h a b c d e kw[3]);
        [a, b, c, d, e, f, g, h] = [e, f, g, h, a, b, c, d];
    }
    [a, b, c, d, e, f, g, h]
}

/// `K[t] + W[t]` for each round `t`: all that a block means to the rounds.
#[inline(always)]
fn schedule<W: Words>(block: &[W; 16]) -> [W; 64] {
    let mut w = [W::splat(0); 64];
    w[..16].copy_from_slice(block);
    for t in 16..64 {
        w[t] = w[t - 2].small_sigma1().add(w[t - 7]).add(w[t - 15].small_sigma0()).add(w[t - 16]);
    }
    for (w, k) in w.iter_mut().zip(K) {
        *w = w.add(W::splat(k));
    }
    w
}
