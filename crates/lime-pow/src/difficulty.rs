//! How much work is asked for.

use crate::Error;

/// A difficulty: how many leading bits of the digest must be zero, 0 to 32.
///
/// The work doubles with each bit: `2^bits` attempts on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Difficulty(u32);

impl Difficulty {
    /// Highest accepted difficulty, in bits.
    ///
    /// A hostile server could otherwise make a client search for years: 32 bits are four thousand
    /// million attempts, minutes of one core. It also lets a verdict be read from the digest's
    /// first 32-bit word alone.
    pub const MAX_BITS: u32 = 32;

    /// A difficulty of `bits` leading zero bits.
    ///
    /// # Errors
    ///
    /// [`Error::DifficultyTooHigh`] if `bits` is above [`Self::MAX_BITS`].
    pub const fn new(bits: u32) -> Result<Self, Error> {
        if bits > Self::MAX_BITS {
            return Err(Error::DifficultyTooHigh(bits));
        }
        Ok(Self(bits))
    }

    /// The number of leading zero bits that are asked for.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The bits of a digest's first word that must be zero.
    ///
    /// `digest < 2^(256 - bits)` says that the digest's first `bits` bits are zero, and as there
    /// are at most 32 of them, they all lie in the first word.
    pub(crate) const fn mask(self) -> u32 {
        match u32::MAX.checked_shl(32 - self.0) {
            Some(mask) => mask,
            // Shifting by 32: no bit is asked for.
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difficulty_is_at_most_32_bits() {
        assert_eq!(Difficulty::new(32).map(Difficulty::bits), Ok(32));
        assert_eq!(Difficulty::new(33), Err(Error::DifficultyTooHigh(33)));
        assert_eq!(Difficulty::new(u32::MAX), Err(Error::DifficultyTooHigh(u32::MAX)));
    }

    #[test]
    fn the_mask_admits_exactly_the_words_with_enough_leading_zeros() {
        for bits in 0..=32 {
            let mask = Difficulty(bits).mask();
            for zeros in 0..=32 {
                let word = 0xa5a5_a5a5_u32.checked_shr(zeros).unwrap_or(0);
                assert_eq!(word & mask == 0, word.leading_zeros() >= bits, "{bits} {zeros}");
            }
        }
    }
}
