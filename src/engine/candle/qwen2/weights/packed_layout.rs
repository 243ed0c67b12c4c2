//! What differs between formats whose weights are integers in groups: how they lie in words.

use super::tiles::Integers;

/// How a layer's integers lie in words of 32 bits.
pub trait PackedLayout: Sync {
    /// Of `qweight`.
    fn codes_shape(&self, outputs: usize, inputs: usize, bits: usize) -> [usize; 2];

    /// Those of `qweight`, whose bytes are `words`. Their columns are the inputs in `order`, or as they lie.
    fn codes<'a>(
        &'a self,
        words: &'a [u8],
        outputs: usize,
        bits: usize,
        order: Option<&'a [u32]>,
    ) -> Box<dyn Integers + 'a>;

    /// The zero point of an output in a word of `qzeros`, by its place there.
    fn zero(&self, word: u32, place: usize, bits: usize) -> u8;

    /// Are there `g_idx`, the groups of inputs?
    fn has_order(&self) -> bool;
}
