//! GPTQ's files: words of 32 bits hold neighbouring inputs, the first in the lowest bits.
//!
//! `W[i, o] = scale[g_idx[i], o] * (q[i, o] - zero[g_idx[i], o])`, in `qweight` `[inputs * bits / 32, outputs]`, `qzeros`
//! `[groups, outputs * bits / 32]` and `scales` `[groups, outputs]`.

use super::packed_layout::PackedLayout;
use super::tiles::{self, Integers};
use crate::engine::candle::qwen2::quantization::StoredZeros;

/// The layout of AutoGPTQ, and of GPTQModel.
pub struct Gptq {
    /// How zero points are stored.
    pub zeros: StoredZeros,
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

    /// Of 4 bits, a stored 15 is 16, as AutoGPTQ and AutoRound read it.
    fn zero(&self, word: u32, place: usize, bits: usize) -> u8 {
        let integer = |word: u32| ((word >> (place * bits)) & ((1 << bits) - 1)) as u8;
        let ones = if bits == 4 { 0x1111_1111 } else { 0x0101_0101 };
        match self.zeros {
            StoredZeros::AsTheyAre => integer(word),
            StoredZeros::MinusOne => integer(word).wrapping_add(1),
            // What was borrowed is given back.
            StoredZeros::WordsMinusOnes => integer(word.wrapping_add(ones)),
        }
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
    fn words(&self, column: usize, first: usize, words: &mut [u32]) {
        let in_word = 32 / self.bits;
        let Some(order) = self.order else {
            // As they lie.
            let stored = tiles::words(self.words, column / in_word * self.outputs + first);
            words.iter_mut().zip(stored).for_each(|(word, stored)| *word = stored);
            return;
        };
        words.fill(0);
        for (place, input) in order[column..][..in_word].iter().enumerate() {
            let (row, shift) = (*input as usize / in_word, *input as usize % in_word * self.bits);
            let (mask, to) = ((1 << self.bits) - 1, place * self.bits);
            let stored = tiles::words(self.words, row * self.outputs + first);
            words.iter_mut().zip(stored).for_each(|(word, stored)| *word |= ((stored >> shift) & mask) << to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What GPTQModel writes of the zero points 8, 0, 15, 1, 0, 0, 8, 8: it subtracts 1 from each in one subtraction.
    #[test]
    fn zero_points_are_what_they_were_before_one_was_subtracted() {
        let zeros = [8, 0, 15, 1, 0, 0, 8, 8];
        let whole = |zeros: [u32; 8]| (0..).zip(zeros).map(|(place, zero)| zero << (4 * place)).sum::<u32>();
        let stored = whole(zeros).wrapping_sub(0x1111_1111);
        let read = |zeros: StoredZeros, word: u32| {
            (0..8).map(|place| u32::from(Gptq { zeros }.zero(word, place, 4))).collect::<Vec<_>>()
        };
        assert_eq!(read(StoredZeros::WordsMinusOnes, stored), zeros);
        assert_eq!(read(StoredZeros::AsTheyAre, whole(zeros)), zeros);
        assert_eq!(read(StoredZeros::MinusOne, 0x7777_F007), [8, 1, 1, 16, 8, 8, 8, 8]);
        assert_eq!(Gptq { zeros: StoredZeros::MinusOne }.zero(0x7F7F_7F7F, 2, 8), 128);
    }

    /// Eight outputs of the inputs 0 to 15, which have the integer `input + output`.
    #[test]
    fn integers_are_found_by_input_and_output() {
        let integer = |input: u32, output: u32| (input + output) & 15;
        let row =
            |row: u32| (0..8).map(move |output| (0..8).map(|k| integer(8 * row + k, output) << (4 * k)).sum::<u32>());
        let bytes: Vec<u8> = (0..2).flat_map(row).flat_map(u32::to_le_bytes).collect();
        let reversed: Vec<u32> = (0..16).rev().collect();
        for (order, inputs) in
            [(None, (8..16).collect::<Vec<u32>>()), (Some(reversed.as_slice()), (0..8).rev().collect())]
        {
            let mut found = [0; 3];
            Gptq { zeros: StoredZeros::MinusOne }.codes(&bytes, 8, 4, order).words(8, 2, &mut found);
            let word = |output| (0..).zip(&inputs).map(|(k, input)| integer(*input, output) << (4 * k)).sum::<u32>();
            assert_eq!(found, [word(2), word(3), word(4)]);
        }
    }
}
