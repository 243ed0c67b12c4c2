//! AWQ's files, in the layout `gemm`: words of 32 bits hold eight neighbouring outputs, in an order of their own.
//!
//! `W[i, o] = scale[i / group, o] * (q[i, o] - zero[i / group, o])`, in `qweight` `[inputs, outputs / 8]`, `qzeros`
//! `[groups, outputs / 8]` and `scales` `[groups, outputs]`.

use super::packed_layout::PackedLayout;
use super::tiles::{Integers, word};

/// The outputs whose integers lie in a word, from the lowest bits on.
const OUTPUTS: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

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
        let at = OUTPUTS.iter().position(|output| *output == place).unwrap_or_default();
        ((word >> (4 * at)) & 15) as u8
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
    fn words(&self, column: usize, first: usize, words: &mut [u32]) {
        for (index, words) in words.chunks_mut(8).enumerate() {
            let stored = |input| word(self.words, ((column + input) * self.outputs + first) / 8 + index);
            let by_place = turned(std::array::from_fn(stored));
            for (output, word) in OUTPUTS.into_iter().zip(by_place) {
                words[output] = word;
            }
        }
    }
}

/// Eight words of eight integers, rows for columns: by halves, quarters and eighths of a word.
fn turned(mut words: [u32; 8]) -> [u32; 8] {
    for (distance, shift, mask) in [(4, 16, 0x0000_FFFF), (2, 8, 0x00FF_00FF), (1, 4, 0x0F0F_0F0F)] {
        for index in (0..8).filter(|index| index & distance == 0) {
            let swapped = ((words[index] >> shift) ^ words[index + distance]) & mask;
            words[index] ^= swapped << shift;
            words[index + distance] ^= swapped;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AutoAWQ's order: the word of the outputs 0 to 7 is `0x7531_6420`.
    #[test]
    fn zero_points_have_their_places_in_a_word() {
        let zeros: Vec<u8> = (0..8).map(|place| Awq.zero(0x7531_6420, place, 4)).collect();
        assert_eq!(zeros, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    /// Eight inputs of 16 outputs: input `i` of output `o` has the integer `i + o`.
    #[test]
    fn integers_are_found_by_input_and_output() {
        let integer = |input: usize, output: usize| (input + output) as u32 & 15;
        let mut bytes = Vec::new();
        for (input, first) in (0..8).flat_map(|input| [(input, 0), (input, 8)]) {
            let outputs = [0, 2, 4, 6, 1, 3, 5, 7];
            let word = (0..8).map(|place| integer(input, first + outputs[place]) << (4 * place)).sum::<u32>();
            bytes.extend(word.to_le_bytes());
        }
        let mut found = [0; 16];
        Awq.codes(&bytes, 16, 4, None).words(0, 0, &mut found);
        for (output, word) in found.into_iter().enumerate() {
            assert_eq!(word, (0..8).map(|input| integer(input, output) << (4 * input)).sum::<u32>(), "{output}");
        }
    }
}
