//! Made-up weights in GGUF's blocks: those of a seed are the same on every device and with any number of threads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, Tensor, bail};
use half::f16;
use rayon::prelude::*;

use super::format::{Format, counted};
use super::gguf_blocks::dequantized;
use super::linear::LinearWeight;
use super::random::{Random, tensor_seed};
use super::split_mix::SplitMix;
use super::target::Target;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::gguf::{TensorTypes, is_blocks};

/// Blocks that are made at a time.
const PIECE: usize = 1 << 10;

/// Matrices in these types; everything else is made up as for any model.
pub struct RandomBlocks {
    pub random: Random,
    pub types: TensorTypes,
}

impl RandomBlocks {
    fn kind(&self, name: &str) -> Option<GgmlDType> {
        self.types.get(name).filter(|kind| is_blocks(*kind))
    }

    fn made(&self, name: &str, kind: GgmlDType, values: usize) -> Vec<u8> {
        random_blocks(tensor_seed(self.random.seed, name), kind, values)
    }
}

impl Format for RandomBlocks {
    fn types(&self) -> Option<&TensorTypes> {
        Some(&self.types)
    }

    fn tensor(&self, name: &str, shape: &[usize], target: &Target) -> Result<Tensor> {
        match self.kind(name) {
            Some(kind) => dequantized(kind, shape, &self.made(name, kind, shape.iter().product()), target),
            None => self.random.tensor(name, shape, target),
        }
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize, target: &Target) -> Result<LinearWeight> {
        let name = format!("{name}.weight");
        let Some(kind) = self.kind(&name) else {
            return self.random.tensor(&name, &[outputs, inputs], target).map(LinearWeight::Dense);
        };
        let bytes = self.made(&name, kind, outputs * inputs);
        let blocks = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, kind)?;
        Ok(LinearWeight::Blocks(Arc::new(QTensor::new(blocks, (outputs, inputs))?)))
    }

    fn blocks(&self, name: &str, values: usize) -> Result<Cow<'_, [u8]>> {
        let name = format!("{name}.weight");
        match self.kind(&name) {
            Some(kind) => Ok(Cow::Owned(self.made(&name, kind, values))),
            None => bail!("{name} has no blocks"),
        }
    }

    fn packings(&self, _: &ModelConfig) -> BTreeMap<String, usize> {
        counted(self.types.names())
    }
}

/// Random bytes, and in each block the numbers that scale them.
fn random_blocks(seed: u64, kind: GgmlDType, values: usize) -> Vec<u8> {
    let size = kind.type_size();
    let mut bytes = vec![0; values / kind.block_size() * size];
    let words = (PIECE * size / 8) as u64;
    let (numbers, seed) = (numbers(kind), SplitMix(seed));
    bytes.par_chunks_mut(PIECE * size).enumerate().for_each(|(index, piece)| {
        for (place, word) in piece.chunks_mut(8).zip(seed.after(index as u64 * words)) {
            place.copy_from_slice(&word.to_le_bytes()[..place.len()]);
        }
        for block in piece.chunks_exact_mut(size) {
            for (at, number) in numbers {
                block[*at..at + 2].copy_from_slice(&f16::from_f32(*number).to_le_bytes());
            }
        }
    });
    bytes
}

/// The numbers of 16 bits in a block, with their places: its scale, and what is subtracted. With integers that are equally
/// likely they give values of a standard deviation of 0.02 around 0, as unquantized ones have.
fn numbers(kind: GgmlDType) -> &'static [(usize, f32)] {
    match kind {
        GgmlDType::Q4_0 => &[(0, 4.31e-3)],
        GgmlDType::Q4_1 => &[(0, 4.34e-3), (2, -7.5 * 4.34e-3)],
        GgmlDType::Q5_0 => &[(0, 2.163e-3)],
        GgmlDType::Q5_1 => &[(0, 2.166e-3), (2, -15.5 * 2.166e-3)],
        GgmlDType::Q8_0 => &[(0, 2.706e-4)],
        GgmlDType::Q2K => &[(80, 1.442e-3), (82, 1.5 * 1.442e-3)],
        GgmlDType::Q3K => &[(108, 4.615e-4)],
        GgmlDType::Q4K => &[(0, 7.74e-5), (2, 7.5 * 7.74e-5)],
        GgmlDType::Q5K => &[(0, 3.796e-5), (2, 15.5 * 3.796e-5)],
        GgmlDType::Q6K => &[(208, 1.464e-5)],
        GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 | GgmlDType::Q8_1 | GgmlDType::Q8K => &[],
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    const KINDS: [GgmlDType; 10] = [
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ];

    #[test]
    fn blocks_are_about_as_wide_as_numbers() {
        let target = Target::new(DType::F32, &Device::Cpu);
        for kind in KINDS {
            let matrix = dequantized(kind, &[512, 1024], &random_blocks(7, kind, 512 * 1024), &target).unwrap();
            let mean = matrix.mean_all().unwrap().to_scalar::<f32>().unwrap();
            let deviation = matrix.sqr().unwrap().mean_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap();
            assert!(mean.abs() < 2.5e-3 && (deviation / 0.02 - 1.0).abs() < 0.03, "{kind:?}: {mean}, {deviation}");
        }
    }

    /// A piece starts where the one before it ended.
    #[test]
    fn bytes_are_those_of_one_stream() {
        let (kind, blocks) = (GgmlDType::Q6K, 2 * PIECE + 3);
        let stream: Vec<u8> = SplitMix(3).flat_map(u64::to_le_bytes).take(blocks * 210).collect();
        let made = random_blocks(3, kind, blocks * 256);
        assert!(made.chunks(210).zip(stream.chunks(210)).all(|(made, stream)| made[..208] == stream[..208]));
    }
}
