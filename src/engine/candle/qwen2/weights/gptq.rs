//! GPTQ's files: words of 32 bits hold neighbouring inputs, the first in the lowest bits.
//!
//! `W[i, o] = scale[g_idx[i], o] * (q[i, o] - zero[g_idx[i], o])`, in `qweight` `[inputs * bits / 32, outputs]`, `qzeros`
//! `[groups, outputs * bits / 32]` and `scales` `[groups, outputs]`.

use super::grouped_files::PackedLayout;
use super::tiles::{Integers, word};

/// The layout of AutoGPTQ, and of GPTQModel.
pub struct Gptq {
    /// `gptq`, unlike `gptq_v2`, stores zero points minus one.
    pub minus_one: bool,
}

impl PackedLayout for Gptq {
    fn codes_shape(&self, outputs: usize, inputs: usize, bits: usize) -> [usize; 2] {
        [inputs * bits / 32, outputs]
    }

    fn codes<'a>(
        &'a self,
        words: &'a [u8],
        outputs: usize,
        bits: usize,
        order: Option<&'a [u32]>,
    ) -> Box<dyn Integers + 'a> {
        Box::new(Codes { words, outputs, bits, order })
    }

    /// The tools that write a zero point of 0 subtract from whole words, so what it borrowed is given back here.
    fn zero(&self, word: u32, place: usize, bits: usize) -> u8 {
        let ones = if bits == 4 { 0x1111_1111 } else { 0x0101_0101 };
        let word = if self.minus_one { word.wrapping_add(ones) } else { word };
        ((word >> (place * bits)) & ((1 << bits) - 1)) as u8
    }

    fn has_order(&self) -> bool {
        true
    }
}

struct Codes<'a> {
    words: &'a [u8],
    outputs: usize,
    bits: usize,
    order: Option<&'a [u32]>,
}

impl Integers for Codes<'_> {
    fn copy(&self, column: usize, first: usize, place: &mut [u32]) {
        let input = self.order.map_or(column, |order| order[column] as usize);
        let (in_word, mask) = (32 / self.bits, (1 << self.bits) - 1);
        let (row, shift) = (input / in_word, input % in_word * self.bits);
        let words = &self.words[4 * (row * self.outputs + first)..];
        for (index, place) in place.iter_mut().enumerate() {
            *place = (word(words, index) >> shift) & mask;
        }
    }
}
