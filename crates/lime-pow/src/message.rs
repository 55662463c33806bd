//! The hashed message, padded, as the words that SHA-256 works on.

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

    /// Puts `byte` at position `at` of the message.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        let place = Place::of(at);
        let word = &mut self.blocks[at / BLOCK_BYTES][place.word];
        *word = *word & !(0xff << place.shift) | u32::from(byte) << place.shift;
    }

    /// Where the last block starts, in bytes.
    pub(crate) fn last_block_at(&self) -> usize {
        (self.used - 1) * BLOCK_BYTES
    }

    /// The last block.
    pub(crate) fn last_block(&self) -> &Block {
        &self.blocks[self.used - 1]
    }

    /// The state after all blocks but the last.
    pub(crate) fn midstate(&self, engine: Engine) -> State {
        let mut state = INITIAL;
        for block in &self.blocks[..self.used - 1] {
            engine.compress(&mut state, block);
        }
        state
    }

    /// The digest, as eight words.
    pub(crate) fn digest(&self, engine: Engine) -> State {
        let mut state = self.midstate(engine);
        engine.compress(&mut state, self.last_block());
        state
    }
}

/// Where a byte of the message lies within its block.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Which of the block's sixteen words.
    pub(crate) word: usize,
    /// By how many bits the byte is shifted in that word: words are big-endian.
    pub(crate) shift: usize,
}

impl Place {
    /// The place of byte `at` of a message.
    pub(crate) fn of(at: usize) -> Self {
        Self { word: at % BLOCK_BYTES / 4, shift: 24 - at % 4 * 8 }
    }
}
