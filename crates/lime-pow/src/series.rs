//! The nonces of a search in their order, and the messages that they make.

use std::ops::Range;

use crate::engine::{BLOCK_BYTES, Engine, Heads, Neck, Tail};
use crate::message::{Message, PADDING, prefix_len};
use crate::{Challenge, Nonce};

/// How many digits at the end of a block tell heads apart, where there is room for so many.
const HEAD_DIGITS: usize = 3;
/// How many heads there are at most: enough to make a tail's schedule cheap, few enough to be ready
/// in some microseconds. It is a multiple of every engine's lanes, and a divisor of `10^16`.
const MAX_HEADS: usize = 160;
/// How many digits a tail has at least, where there is room for so many. `10^7` tails with `160` heads
/// each are more than most searches need.
const TAIL_DIGITS: usize = 7;
/// How many it has at most: they fill two words.
const MAX_TAIL_DIGITS: usize = 8;

/// The nonces of a search, numbered from 0 to below [`Series::NONCES`].
///
/// All have the same width: they begin in one block and end in the next, which is the last. Three
/// groups of their digits count, and the others are zero:
///
/// ```text
/// … challenge 0 … slow head | … slow tail 0x80 … length |
///          block before     |        last block         |
/// ```
///
/// The `head` ends the block before. It counts fastest, because whatever the last block holds then
/// serves for all heads. The `tail` comes next. It lies as late in the last block as there is room,
/// because the rounds before it are the same for all tails. `slow` is what else there is of the
/// number, in the one or the other block.
#[derive(Clone)]
pub(crate) struct Series {
    message: Message,
    /// Where the nonce lies in the message, in bytes. Likewise its groups.
    nonce: Range<usize>,
    head: Range<usize>,
    tail: Range<usize>,
    slow: Range<usize>,
    /// How many rounds of the last block come before the tail's words.
    rounds: usize,
}

/// What the groups of a nonce's digits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) slow: u64,
    pub(crate) tail: u64,
    pub(crate) head: usize,
}

impl Series {
    /// How many nonces there are.
    pub(crate) const NONCES: u64 = 10_u64.pow(16);

    /// The series of that challenge.
    pub(crate) fn new(challenge: &Challenge) -> Self {
        let start = prefix_len(challenge);
        // 1. A nonce fills up the block that it begins in.
        let last = (start / BLOCK_BYTES + 1) * BLOCK_BYTES;
        let head = last - HEAD_DIGITS.min(last - start)..last;
        // 2. The last block takes what remains of a nonce's length, and keeps room for the padding.
        let room = (Nonce::MAX_BYTES - (last - start)).min(BLOCK_BYTES - PADDING);
        // 3. Engines do four rounds together. The tail begins with the word after such a four.
        let fits = |rounds: &usize| 4 * rounds + TAIL_DIGITS <= room;
        let rounds = [12, 8, 4].into_iter().find(fits).unwrap_or(0);
        let tail = last + 4 * rounds..last + room.min(4 * rounds + MAX_TAIL_DIGITS);
        // 4. Where the last block has no room before the tail, the block before has much.
        let slow = if rounds > 0 { last..tail.start } else { start..head.start };
        let zeros = [b'0'; Nonce::MAX_BYTES];
        let message = Message::new(challenge, &zeros[..tail.end - start]);
        Self { message, nonce: start..tail.end, head, tail, slow, rounds }
    }

    /// The digits of nonce `index`, which is below [`Self::NONCES`].
    pub(crate) fn number(&self, index: u64) -> Number {
        let heads = self.head_count() as u64;
        let tails = numbers(&self.tail) as u64;
        let head = usize::try_from(index % heads).expect("below the number of heads");
        Number { slow: index / heads / tails, tail: index / heads % tails, head }
    }

    /// Nonce `index`, which is below [`Self::NONCES`].
    pub(crate) fn nonce(&self, index: u64) -> Nonce {
        let Number { slow, tail, head } = self.number(index);
        let mut message = self.message.clone();
        for (digits, number) in [(&self.slow, slow), (&self.tail, tail), (&self.head, head as u64)]
        {
            message.put(digits, number);
        }
        Nonce::from_digits(self.nonce.clone().map(|at| message.get(at)))
    }

    /// How many heads there are: the nonces before the next multiple of this differ in nothing else.
    pub(crate) fn head_count(&self) -> usize {
        numbers(&self.head).min(MAX_HEADS)
    }

    /// The heads of the nonces with these slow digits.
    pub(crate) fn heads(&self, slow: u64, engine: Engine) -> Heads {
        let mut message = self.message.clone();
        message.put(&self.slow, slow);
        let endings = (0..self.head_count()).map(|head| {
            message.put(&self.head, head as u64);
            message.block_before_last()[15]
        });
        let neck = Neck {
            endings: endings.collect(),
            state: message.state(2, engine),
            block: message.block_before_last(),
            last: *message.last_block(),
            rounds: self.rounds,
        };
        Heads::new(engine, neck)
    }

    /// What makes this tail of a last block whose tail is zero.
    pub(crate) fn tail(&self, mut tail: u64) -> Tail {
        let mut digits = 0;
        for place in (0..self.tail.len()).rev() {
            digits |= (tail % 10) << (56 - 8 * place);
            tail /= 10;
        }
        [(digits >> 32) as u32, (digits & 0xffff_ffff) as u32]
    }
}

/// How many numbers can be written with these digits, of which there are eight at most.
fn numbers(digits: &Range<usize>) -> usize {
    digits.clone().fold(1, |numbers, _| 10 * numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(challenge_len: usize) -> Series {
        Series::new(&"x".repeat(challenge_len).parse().expect("valid"))
    }

    #[test]
    fn a_challenge_of_43_characters_shares_most() {
        let series = series(43);
        assert_eq!((series.nonce.start, series.nonce.len()), (56, 63));
        assert_eq!((series.head_count(), numbers(&series.tail)), (160, 10_000_000));
        assert_eq!(series.rounds, 12);
    }

    #[test]
    fn digits_do_not_overlap_and_lie_where_their_group_may() {
        for length in 1..=128 {
            let Series { nonce, head, tail, slow, rounds, .. } = series(length);
            assert!(nonce.len() <= Nonce::MAX_BYTES, "{length}");
            let last = nonce.start / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES;
            // The head ends the block before, and the tail starts after the rounds in common.
            assert_eq!((head.end, tail.start, tail.end), (last, last + 4 * rounds, nonce.end));
            assert!(nonce.start <= head.start && slow.start >= nonce.start, "{length}");
            assert!(slow.end <= head.start || slow.start >= head.end && slow.end <= tail.start);
            assert_eq!(rounds % 4, 0, "{length}");
            // Where rounds are in common, whatever changes lies behind them.
            assert!(tail.len() <= MAX_TAIL_DIGITS && tail.end <= last + BLOCK_BYTES - PADDING);
        }
    }

    #[test]
    fn every_number_has_its_own_nonce_and_rows_are_whole() {
        for length in 1..=128 {
            let series = series(length);
            let (heads, tails) = (series.head_count() as u64, numbers(&series.tail) as u64);
            assert_eq!(Series::NONCES % (heads * tails), 0, "{length}");
            let slows = Series::NONCES / (heads * tails);
            assert!(
                slows <= 10_u64.pow(u32::try_from(series.slow.len().min(19)).expect("small")),
                "{length}"
            );
            let highest =
                Number { slow: slows - 1, tail: tails - 1, head: series.head_count() - 1 };
            assert_eq!(series.number(Series::NONCES - 1), highest, "{length}");
            assert_eq!(series.number(0), Number { slow: 0, tail: 0, head: 0 });
        }
    }
}
