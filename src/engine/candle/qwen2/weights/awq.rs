//! AWQ's files, in the layout `gemm`: words of 32 bits hold eight neighbouring outputs, in an order of their own.
//!
//! `W[i, o] = scale[i / group, o] * (q[i, o] - zero[i / group, o])`, in `qweight` `[inputs, outputs / 8]`, `qzeros`
//! `[groups, outputs / 8]` and `scales` `[groups, outputs]`.

use super::grouped_files::PackedLayout;
use super::tiles::{Integers, word};

/// How far output `o % 8` of a word is shifted: its 4 bits hold the outputs 0, 2, 4, 6, 1, 3, 5, 7.
const SHIFTS: [usize; 8] = [0, 16, 4, 20, 8, 24, 12, 28];

/// The layout of AutoAWQ.
pub struct Awq;

impl PackedLayout for Awq {
    fn codes_shape(&self, outputs: usize, inputs: usize, bits: usize) -> [usize; 2] {
        [inputs, outputs * bits / 32]
    }

    fn codes<'a>(&'a self, words: &'a [u8], outputs: usize, _: usize, _: Option<&'a [u32]>) -> Box<dyn Integers + 'a> {
        Box::new(Codes { words, outputs })
    }

    fn zero(&self, word: u32, place: usize, _: usize) -> u8 {
        ((word >> SHIFTS[place]) & 15) as u8
    }

    fn has_order(&self) -> bool {
        false
    }
}

struct Codes<'a> {
    words: &'a [u8],
    outputs: usize,
}

impl Integers for Codes<'_> {
    fn copy(&self, column: usize, first: usize, place: &mut [u32]) {
        let words = &self.words[4 * ((column * self.outputs + first) / 8)..];
        for (index, places) in place.chunks_mut(8).enumerate() {
            let word = word(words, index);
            for (place, shift) in places.iter_mut().zip(SHIFTS) {
                *place = (word >> shift) & 15;
            }
        }
    }
}
