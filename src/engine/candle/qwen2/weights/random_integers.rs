//! Made-up integers in groups: those of a seed are the same on every device and with any number of threads.

use candle_core::{Device, Result, Tensor};
use half::f16;
use rayon::prelude::*;

use super::grouped::Grouped;
use super::split_mix::SplitMix;
use crate::engine::candle::qwen2::quantization::Grouping;

/// Of the matrix, as of generated numbers.
const DEVIATION: f32 = 0.02;

/// Values that are made at a time.
const PIECE: usize = 1 << 13;

/// A matrix `[outputs, inputs]` of about [`DEVIATION`], whatever its grouping.
pub fn generate(seed: u64, outputs: usize, inputs: usize, grouping: &Grouping) -> Result<Grouped> {
    let (bits, group) = (grouping.packing.bits, grouping.packing.group_of(inputs));
    let groups = inputs / group;
    let [codes, scales, zeros] = SplitMix(seed).parts();
    let matrix = |values: usize| (outputs, values);
    Ok(Grouped {
        bits,
        group,
        codes: Tensor::from_vec(
            integers(codes, outputs * inputs * bits / 8, bits),
            matrix(inputs * bits / 8),
            &Device::Cpu,
        )?,
        scales: Tensor::from_vec(scale_factors(scales, outputs * groups, bits), matrix(groups), &Device::Cpu)?,
        zeros: Tensor::from_vec(zero_points(zeros, outputs * groups, grouping), matrix(groups), &Device::Cpu)?,
        order: None,
    })
}

/// Random bytes, in which the lowest integer is replaced by the middle: so they are as often above it as below.
fn integers(seed: SplitMix, count: usize, bits: usize) -> Vec<u8> {
    let mut bytes = values(seed, count.div_ceil(8), |word| centered(word, bits).to_le_bytes()).into_flattened();
    bytes.truncate(count);
    bytes
}

/// A value for each of the stream's items, on all cores.
fn values<T: Copy + Default + Send>(seed: SplitMix, count: usize, value: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let mut values = vec![T::default(); count];
    values.par_chunks_mut(PIECE).enumerate().for_each(|(index, piece)| {
        let words = seed.after((index * PIECE) as u64);
        piece.iter_mut().zip(words).for_each(|(place, word)| *place = value(word));
    });
    values
}

/// All integers of a word that are 0 become the middle.
fn centered(word: u64, bits: usize) -> u64 {
    let ones = if bits == 4 { 0x1111_1111_1111_1111 } else { 0x0101_0101_0101_0101 };
    let any = (0..bits).fold(0, |any, bit| any | (word >> bit));
    word | ((!any & ones) << (bits - 1))
}

/// Around the one that gives the matrix its deviation: all different, so that one in the wrong place is noticed.
fn scale_factors(seed: SplitMix, count: usize, bits: usize) -> Vec<f32> {
    // Of integers that are equally likely, but for the lowest.
    let deviation = if bits == 4 { 4.18 } else { 73.5 };
    let usual = DEVIATION / deviation;
    let factor = |word: u64| usual * (0.75 + (word >> 40) as f32 / (1 << 25) as f32);
    values(seed, count, |word| f16::from_f32(factor(word)).to_f32())
}

/// The middle; without symmetry one up or down half of the time.
fn zero_points(seed: SplitMix, count: usize, grouping: &Grouping) -> Vec<u8> {
    let middle = 1 << (grouping.packing.bits - 1);
    let near = [middle, middle - 1, middle + 1, middle];
    values(seed, count, |word| if grouping.symmetric { middle } else { near[(word >> 62) as usize] })
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::engine::candle::qwen2::quantization::{Layout, StoredZeros};
    use crate::models::Packing;

    const GPTQ: Layout = Layout::Gptq(StoredZeros::MinusOne);

    fn grouping(layout: Layout, bits: usize, symmetric: bool) -> Grouping {
        Grouping {
            layout,
            packing: Packing { bits, group: Some(128), head: false },
            symmetric,
            reordered: false,
            mixed: false,
        }
    }

    #[test]
    fn the_matrix_is_about_as_wide_as_one_of_numbers() {
        let groupings = [grouping(GPTQ, 4, true), grouping(GPTQ, 8, true), grouping(Layout::Awq, 4, false)];
        for grouping in groupings {
            let matrix = generate(7, 512, 1024, &grouping).unwrap().matrix(DType::F32).unwrap();
            let mean = matrix.mean_all().unwrap().to_scalar::<f32>().unwrap();
            let deviation = matrix.sqr().unwrap().mean_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap();
            assert!(mean.abs() < 2e-4 && (deviation / 0.02 - 1.0).abs() < 0.05, "{grouping:?}: {mean}, {deviation}");
        }
    }

    /// A piece starts where the one before it ended.
    #[test]
    fn integers_are_those_of_one_stream() {
        let count = 16 * PIECE + 12;
        let stream: Vec<u8> = SplitMix(3).flat_map(|word| centered(word, 4).to_le_bytes()).take(count).collect();
        assert_eq!(integers(SplitMix(3), count, 4), stream);
        assert!(stream.iter().all(|byte| byte & 15 != 0 && byte >> 4 != 0));
        assert_eq!(centered(0x0100, 8), 0x8080_8080_8080_0180);
    }
}
