//! SHA-256 as FIPS 180-4 writes it, for any processor.

use std::ops::Range;

use super::{Block, Decade, K, Kernel, State};

pub(super) static KERNEL: Kernel = Kernel { name: "portable", compress, find };

fn find(decade: &Decade, mut digits: Range<u8>, mask: u32) -> Option<u8> {
    digits.find(|&digit| {
        let mut block = *decade.block;
        block[decade.place.word] += u32::from(digit) << decade.place.shift;
        let mut state = *decade.midstate;
        compress(&mut state, &block);
        state[0] & mask == 0
    })
}

/// FIPS 180-4 section 6.2.2, with its names.
#[allow(clippy::many_single_char_names, reason = "they are the names of the standard")]
fn compress(state: &mut State, block: &Block) {
    let mut w = *block;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    // A round renames its variables. Written out eight at a time, that costs no moves.
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $t:expr) => {
            let ch = ($e & $f) ^ (!$e & $g);
            let maj = ($a & $b) ^ ($a & $c) ^ ($b & $c);
            let t1 = add([$h, big_sigma1($e), ch, K[$t], w[$t % 16]]);
            $d = add([$d, t1]);
            $h = add([t1, big_sigma0($a), maj]);
        };
    }
    for t in (0..64).step_by(8) {
        if t % 16 == 0 && t > 0 {
            next_words(&mut w);
        }
        round!(a b c d e f g h t);
        round!(h a b c d e f g t + 1);
        round!(g h a b c d e f t + 2);
        round!(f g h a b c d e t + 3);
        round!(e f g h a b c d t + 4);
        round!(d e f g h a b c t + 5);
        round!(c d e f g h a b t + 6);
        round!(b c d e f g h a t + 7);
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = add([*word, new]);
    }
}

/// The next sixteen words of the message schedule in place of the last sixteen.
fn next_words(w: &mut Block) {
    for t in 0..16 {
        w[t] = add([
            w[t],
            small_sigma0(w[(t + 1) % 16]),
            w[(t + 9) % 16],
            small_sigma1(w[(t + 14) % 16]),
        ]);
    }
}

/// A sum modulo 2^32.
fn add<const N: usize>(words: [u32; N]) -> u32 {
    words.into_iter().fold(0, u32::wrapping_add)
}

fn big_sigma0(x: u32) -> u32 {
    x.rotate_right(2) ^ x.rotate_right(13) ^ x.rotate_right(22)
}

fn big_sigma1(x: u32) -> u32 {
    x.rotate_right(6) ^ x.rotate_right(11) ^ x.rotate_right(25)
}

fn small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3
}

fn small_sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10
}
