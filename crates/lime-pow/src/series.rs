//! The nonces of a search in their order, and the messages that they make.

use crate::engine::{BLOCK_BYTES, Decade, State};
use crate::message::{Message, PADDING, Place, prefix_len};
use crate::{Challenge, Nonce};

/// Least width of a nonce, and how many of its digits count. Others stay zero.
const COUNTING: usize = Series::COUNTING_DIGITS as usize;
/// The greatest width that [`width`] chooses.
const MAX_WIDTH: usize = 32;
/// Digits that lie in the last block at least, so that only one attempt in `10^8` carries into
/// the block before.
const FAST_DIGITS: usize = 8;

/// Decimal numbers of a fixed width in ascending order, beginning anew after the highest.
#[derive(Clone)]
pub(crate) struct Series {
    /// The message of the next nonce, but with `'0'` for its last digit.
    message: Message,
    /// The next nonce: numbers from 0 to 9, of which the first `width` are used.
    digits: [u8; MAX_WIDTH],
    width: usize,
    /// Where the nonce starts in the message, in bytes.
    nonce_at: usize,
}

impl Series {
    /// How many digits count.
    pub(crate) const COUNTING_DIGITS: u32 = 16;

    /// The series of that challenge, from zero.
    pub(crate) fn new(challenge: &Challenge) -> Self {
        let nonce_at = prefix_len(challenge);
        let width = width(nonce_at);
        let message = Message::new(challenge, &[b'0'; MAX_WIDTH][..width]);
        Self { message, digits: [0; MAX_WIDTH], width, nonce_at }
    }

    /// Goes to nonce `start`, which is below `10^16`.
    pub(crate) fn seek(&mut self, start: u64) {
        let mut rest = start;
        for index in (self.width - COUNTING..self.width).rev() {
            self.put(index, (rest % 10) as u8);
            rest /= 10;
        }
    }

    /// The message of the next nonce, but with `'0'` for its last digit.
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// The last digit of the next nonce.
    pub(crate) fn last_digit(&self) -> u8 {
        self.digits[self.width - 1]
    }

    /// The ten messages that differ from the next one in their last digit.
    pub(crate) fn decade<'a>(&'a self, midstate: &'a State) -> Decade<'a> {
        let place = Place::of(self.nonce_at + self.width - 1);
        Decade { midstate, block: self.message.last_block(), place }
    }

    /// The next nonce with another last digit.
    pub(crate) fn nonce_ending_in(&self, digit: u8) -> Nonce {
        let mut digits = self.digits;
        digits[self.width - 1] = digit;
        Nonce::from_digits(&digits[..self.width])
    }

    /// Leaves out `count` nonces, which end at most with the last of this decade.
    ///
    /// Returns whether a block before the last one has changed.
    #[must_use]
    pub(crate) fn skip(&mut self, count: u8) -> bool {
        let last = self.width - 1;
        if self.digits[last] + count < 10 {
            self.digits[last] += count;
            return false;
        }
        self.digits[last] = 0;
        let mut index = last - 1;
        while self.digits[index] == 9 && index > self.width - COUNTING {
            self.put(index, 0);
            index -= 1;
        }
        // Past the highest digit the series begins anew.
        self.put(index, (self.digits[index] + 1) % 10);
        self.nonce_at + index < self.message.last_block_at()
    }

    /// Sets one digit of the next nonce.
    fn put(&mut self, index: usize, digit: u8) {
        self.digits[index] = digit;
        if index < self.width - 1 {
            self.message.set(self.nonce_at + index, b'0' + digit);
        }
    }
}

/// How many digits a nonce gets that starts at byte `nonce_at` of the message.
///
/// An attempt shall cost one compression, so the digits that change often must all lie in the last
/// block. Sixteen digits are enough where they fit into one block with the padding, or where eight
/// of them reach the next block; elsewhere leading zeros push them there. For the 43 characters that
/// our server sends, `nonce_at` is 56: eight digits end the first block, and eight begin the second.
fn width(nonce_at: usize) -> usize {
    let used = nonce_at % BLOCK_BYTES;
    let room = BLOCK_BYTES - used;
    if COUNTING + PADDING <= room { COUNTING } else { COUNTING.max(room + FAST_DIGITS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;

    fn series(challenge_len: usize) -> Series {
        Series::new(&"x".repeat(challenge_len).parse().expect("valid"))
    }

    fn next(series: &Series) -> String {
        series.nonce_ending_in(series.last_digit()).as_str().to_owned()
    }

    #[test]
    fn an_attempt_costs_one_compression_whatever_the_length_of_the_challenge() {
        for length in 1..=128 {
            let series = series(length);
            assert!((COUNTING..=MAX_WIDTH).contains(&series.width), "{length}");
            let end = series.nonce_at + series.width;
            assert!(end - series.message.last_block_at() >= FAST_DIGITS, "{length}");
        }
    }

    #[test]
    fn a_challenge_of_43_characters_has_eight_digits_in_each_block() {
        let series = series(43);
        assert_eq!((series.nonce_at, series.width), (56, 16));
    }

    #[test]
    fn counting_goes_up_by_one_and_keeps_message_and_digits_together() {
        let mut series = series(40);
        let challenge = "x".repeat(40).parse().expect("valid");
        series.seek(9_999_995);
        for expected in 9_999_995..10_000_205_u64 {
            let nonce = next(&series);
            assert_eq!(nonce, format!("{expected:0width$}", width = series.width));
            let mut with_zero = nonce.into_bytes();
            *with_zero.last_mut().expect("not empty") = b'0';
            let fresh = Message::new(&challenge, &with_zero);
            assert_eq!(fresh.last_block(), series.message.last_block());
            let _ = series.skip(1);
        }
    }

    #[test]
    fn a_carry_into_an_earlier_block_is_reported_and_no_other_is() {
        for length in 1..=128 {
            let mut series = series(length);
            let end = series.nonce_at + series.width;
            let in_last = (end - series.message.last_block_at()).min(COUNTING);
            let in_last = u32::try_from(in_last).expect("at most sixteen");
            let engine = Engine::fastest();
            let before = series.message.midstate(engine);
            series.seek(10_u64.pow(in_last - 1) - 1);
            assert!(!series.skip(1), "{length}");
            assert_eq!(series.message.midstate(engine), before);
            series.seek(10_u64.pow(in_last) - 1);
            let expected = in_last < Series::COUNTING_DIGITS;
            assert_eq!(series.skip(1), expected, "{length}");
            assert_eq!(series.message.midstate(engine) != before, expected, "{length}");
        }
    }

    #[test]
    fn after_the_highest_nonce_comes_the_lowest() {
        for length in [1, 43, 50, 128] {
            let mut series = series(length);
            series.seek(10_u64.pow(16) - 1);
            let _ = series.skip(1);
            assert_eq!(next(&series), "0".repeat(series.width));
        }
    }
}
