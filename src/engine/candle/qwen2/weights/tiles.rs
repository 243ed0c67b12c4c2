//! Turns matrices of small integers: files have them by inputs, and a product wants them by outputs.

use rayon::prelude::*;

/// Outputs that are turned at a time, and words of each: what is read and written at once fills whole lines of the
/// processor's cache, and what lies between stays in it.
const TILE: usize = 128;
const DEPTH: usize = 16;

/// The integers of a matrix, by inputs.
pub trait Integers: Sync {
    /// Writes the words of the outputs from `first` on, as many as `words` holds. A word has 32 bits, which are the integers
    /// of the columns from `column` on, the first in the lowest bits.
    fn words(&self, column: usize, first: usize, words: &mut [u32]);
}

/// U8 `[outputs, columns * bits / 8]`, the earlier column in the lower bits.
pub fn by_outputs(integers: &dyn Integers, outputs: usize, columns: usize, bits: usize) -> Vec<u8> {
    let row = columns * bits / 8;
    let mut bytes = vec![0; outputs * row];
    bytes.par_chunks_mut(TILE * row).enumerate().for_each(|(tile, bytes)| {
        turn(integers, tile * TILE, bits, bytes, row);
    });
    bytes
}

/// The rows of some outputs, some words at a time.
fn turn(integers: &dyn Integers, first: usize, bits: usize, bytes: &mut [u8], row: usize) {
    let outputs = bytes.len() / row;
    let mut block = [[0_u32; TILE]; DEPTH];
    for start in (0..row / 4).step_by(DEPTH) {
        let depth = DEPTH.min(row / 4 - start);
        for (word, words) in block[..depth].iter_mut().enumerate() {
            integers.words((start + word) * 32 / bits, first, &mut words[..outputs]);
        }
        for (output, row) in bytes.chunks_exact_mut(row).enumerate() {
            let places = row[4 * start..][..4 * depth].as_chunks_mut().0;
            for (place, words) in places.iter_mut().zip(&block) {
                *place = words[output].to_le_bytes();
            }
        }
    }
}

/// Words of 32 bits from the `first` on.
pub fn words(bytes: &[u8], first: usize) -> impl Iterator<Item = u32> {
    bytes[4 * first..].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// The `index`th word of 32 bits.
pub fn word(bytes: &[u8], index: usize) -> u32 {
    words(bytes, index).next().unwrap_or_default()
}
