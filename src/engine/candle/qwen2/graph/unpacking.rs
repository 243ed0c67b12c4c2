//! How many rows of packed weights are in bf16 at a time, for a prompt's products.

use super::decode_plan::Shape;
use super::sizes::MOST_UNPACKED_BYTES;

/// Rows of a launch.
pub const MOST_ROWS: usize = 65_535;

/// Of the largest block of a layer's matrices.
pub fn most_values(shape: &Shape) -> usize {
    let of_layers = shape.products().into_iter().take(4);
    of_layers.map(|(rows, inputs)| block_rows(rows, inputs) * inputs).max().unwrap_or(0)
}

/// Equal blocks, of rows that fill tensor cores' tiles.
pub fn block_rows(rows: usize, inputs: usize) -> usize {
    const TILE: usize = 256;
    let blocks = (rows * inputs * 2).div_ceil(MOST_UNPACKED_BYTES).max(rows.div_ceil(MOST_ROWS - TILE));
    rows.div_ceil(blocks).next_multiple_of(TILE).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows of 7B's gate and up projections; of narrow ones with more rows than a launch has; and of a few.
    #[test]
    fn a_block_of_rows_fits_its_place_and_a_launch() {
        for (rows, inputs) in [(2 * 18_944, 3584), (2 * 100_000, 64), (65_535, 64), (130_000, 64), (10, 128)] {
            let block = block_rows(rows, inputs);
            assert!(block <= MOST_ROWS && block <= rows, "{rows}: {block}");
            assert!(block * inputs * 2 <= MOST_UNPACKED_BYTES + 256 * inputs * 2, "{rows}: {block}");
            assert!(block == rows || block.is_multiple_of(256), "{rows}: {block}");
        }
    }
}
