//! The hashed message, padded, as the words that SHA-256 works on.

use std::ops::Range;

use crate::Challenge;
use crate::engine::{BLOCK_BYTES, Block, Engine, INITIAL, State};

/// Says which puzzle this is, so that its hashes are of no use anywhere else (protocol section 4).
const DOMAIN: &[u8] = b"lime:pow:v1\0";
/// Between challenge and nonce.
const SEPARATOR: u8 = 0;
/// What SHA-256 appends at least: one byte 0x80, and the length in bits as eight bytes.
pub(crate) const PADDING: usize = 9;
/// Blocks of the longest message: 12 + 128 + 1 + 64 bytes and the padding.
const MAX_BLOCKS: usize = 4;

/// Bytes before the nonce.
pub(crate) fn prefix_len(challenge: &Challenge) -> usize {
    DOMAIN.len() + challenge.as_str().len() + 1
}

/// `DOMAIN || challenge || SEPARATOR || nonce` with SHA-256's padding (FIPS 180-4 section 5.1.1).
#[derive(Clone)]
pub(crate) struct Message {
    blocks: [Block; MAX_BLOCKS],
    /// How many of `blocks` are part of the message: at least one.
    used: usize,
}

impl Message {
    /// `nonce` has at most 64 bytes.
    pub(crate) fn new(challenge: &Challenge, nonce: &[u8]) -> Self {
        let challenge = challenge.as_str().as_bytes();
        let parts = [DOMAIN, challenge, &[SEPARATOR], nonce];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut message =
            Self { blocks: [[0; 16]; MAX_BLOCKS], used: (length + PADDING).div_ceil(BLOCK_BYTES) };
        for (at, byte) in parts.into_iter().flatten().copied().chain([0x80]).enumerate() {
            message.set(at, byte);
        }
        for (index, byte) in (length as u64 * 8).to_be_bytes().into_iter().enumerate() {
            message.set(message.used * BLOCK_BYTES - 8 + index, byte);
        }
        message
    }

    /// The byte at position `at` of the message.
    pub(crate) fn get(&self, at: usize) -> u8 {
        (self.blocks[at / BLOCK_BYTES][word(at)] >> shift(at) & 0xff) as u8
    }

    /// Puts `byte` at position `at` of the message.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        let word = &mut self.blocks[at / BLOCK_BYTES][word(at)];
        *word = *word & !(0xff << shift(at)) | u32::from(byte) << shift(at);
    }

    /// Writes `number` to these positions, in decimal digits. What does not fit is left out.
    pub(crate) fn put(&mut self, digits: &Range<usize>, mut number: u64) {
        for at in digits.clone().rev() {
            self.set(at, b'0' + (number % 10) as u8);
            number /= 10;
        }
    }

    /// The last block.
    pub(crate) fn last_block(&self) -> &Block {
        &self.blocks[self.used - 1]
    }

    /// The block before the last one, where there is one.
    pub(crate) fn block_before_last(&self) -> &Block {
        &self.blocks[self.used - 2]
    }

    /// The state when there are still `left` blocks to come.
    pub(crate) fn state(&self, left: usize, engine: Engine) -> State {
        let mut state = INITIAL;
        for block in &self.blocks[..self.used - left] {
            engine.compress(&mut state, block);
        }
        state
    }

    /// The digest, as eight words.
    pub(crate) fn digest(&self, engine: Engine) -> State {
        self.state(0, engine)
    }
}

/// In which of a block's sixteen words byte `at` of the message lies.
const fn word(at: usize) -> usize {
    at % BLOCK_BYTES / 4
}

/// By how many bits that byte is shifted in its word: words are big-endian.
const fn shift(at: usize) -> usize {
    24 - at % 4 * 8
}
