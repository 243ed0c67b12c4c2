//! Turns matrices of small integers: files have them by inputs, and a product wants them by outputs.

use rayon::prelude::*;

/// Outputs that are turned at a time: what is read of one input's integers fills a line of the processor's cache.
pub const TILE: usize = 128;

/// The integers of some outputs, for one input.
pub trait Integers: Sync {
    /// Writes those of the outputs from `first` on, as many as `place` holds, for the column `column`.
    fn copy(&self, column: usize, first: usize, place: &mut [u32]);
}

/// U8 `[outputs, columns * bits / 8]`, the earlier column in the lower bits.
pub fn by_outputs(integers: &dyn Integers, outputs: usize, columns: usize, bits: usize) -> Vec<u8> {
    let row = columns * bits / 8;
    let mut bytes = vec![0; outputs * row];
    bytes.par_chunks_mut(TILE * row).enumerate().for_each(|(tile, bytes)| {
        turn(integers, tile * TILE, columns, bits, bytes);
    });
    bytes
}

/// Some outputs' rows, a word of 32 bits at a time.
fn turn(integers: &dyn Integers, first: usize, columns: usize, bits: usize, bytes: &mut [u8]) {
    let row = columns * bits / 8;
    let (in_word, outputs) = (32 / bits, bytes.len() / row);
    let (mut words, mut values) = ([0_u32; TILE], [0_u32; TILE]);
    for start in (0..columns).step_by(in_word) {
        words[..outputs].fill(0);
        for place in 0..in_word {
            integers.copy(start + place, first, &mut values[..outputs]);
            for (word, value) in words.iter_mut().zip(&values) {
                *word |= value << (place * bits);
            }
        }
        for (word, row) in words.iter().zip(bytes.chunks_mut(row)) {
            row[start * bits / 8..][..4].copy_from_slice(&word.to_le_bytes());
        }
    }
}

/// The `index`th word of 32 bits.
pub fn word(bytes: &[u8], index: usize) -> u32 {
    bytes[4 * index..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}
