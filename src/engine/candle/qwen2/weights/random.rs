//! Made-up weights: random numbers from a seed.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};

use super::format::{Format, counted};
use super::linear::LinearWeight;
use super::random_integers;
use super::split_mix::SplitMix;
use super::target::Target;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::quantization::Grouping;

/// Half the width of the uniform distribution of generated weights: a standard deviation of 0.02, Qwen2's own at
/// initialisation, so that activations stay finite through all layers.
const AMPLITUDE: f64 = 0.034_641;

/// Weights of any names and shapes. The same seed gives the same ones on the same kind of device, whatever the order in
/// which they are asked for.
pub struct Random {
    pub seed: u64,
    /// Of the linear layers, where they are integers.
    pub grouping: Option<Grouping>,
}

impl Format for Random {
    fn tensor(&self, name: &str, shape: &[usize], target: &Target) -> Result<Tensor> {
        generate(self.seed, name, shape, target.dtype, &target.device)
    }

    fn fill(&self, name: &str, place: &Tensor, target: &Target) -> Result<()> {
        if is_random(name) && !place.device().is_cpu() {
            return generate_on_gpu(tensor_seed(self.seed, name), place);
        }
        place.slice_set(&self.tensor(name, place.dims(), target)?, 0, 0)
    }

    fn linear(&self, name: &str, outputs: usize, inputs: usize, target: &Target) -> Result<LinearWeight> {
        match &self.grouping {
            Some(grouping) if name != "lm_head" || grouping.packing.head => {
                let seed = tensor_seed(self.seed, name);
                random_integers::generate(seed, outputs, inputs, grouping).map(LinearWeight::Grouped)
            }
            _ => self.tensor(&format!("{name}.weight"), &[outputs, inputs], target).map(LinearWeight::Dense),
        }
    }

    fn packings(&self, config: &ModelConfig) -> BTreeMap<String, usize> {
        let Some(packing) = self.grouping.map(|grouping| grouping.packing) else { return BTreeMap::new() };
        counted(config.tensors().iter().filter_map(|(name, shape)| match (name.as_str(), shape.as_slice()) {
            ("model.embed_tokens.weight", _) => None,
            ("lm_head.weight", _) if !packing.head => None,
            (_, &[_, inputs]) => Some(format!("{} bits in groups of {}", packing.bits, packing.group_of(inputs))),
            _ => None,
        }))
    }

    fn packs_head(&self) -> bool {
        self.grouping.is_some_and(|grouping| grouping.packing.head)
    }
}

/// Norm weights are 1; everything else is uniform. All values are bf16 numbers, as the published weights are, so that a
/// seed gives the same model in every type.
fn generate(seed: u64, name: &str, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    if !is_random(name) {
        return Tensor::ones(shape, dtype, device);
    }
    let seed = tensor_seed(seed, name);
    if device.is_cpu() {
        return generate_on_cpu(seed, shape, dtype);
    }
    let tensor = Tensor::zeros(shape, dtype, device)?;
    generate_on_gpu(seed, &tensor)?;
    Ok(tensor)
}

fn is_random(name: &str) -> bool {
    !name.ends_with("norm.weight")
}

/// Piece by piece: the whole of the largest tensor in F32 takes more memory than the model has left over.
fn generate_on_gpu(seed: u64, place: &Tensor) -> Result<()> {
    const PIECE: usize = 8 << 20;
    let (place, device, dtype) = (place.flatten_all()?, place.device(), place.dtype());
    let count = place.elem_count();
    device.set_seed(seed)?;
    for start in (0..count).step_by(PIECE) {
        let piece = Tensor::rand(-AMPLITUDE as f32, AMPLITUDE as f32, PIECE.min(count - start), device)?;
        place.slice_set(&piece.to_dtype(DType::BF16)?.to_dtype(dtype)?, 0, start)?;
    }
    Ok(())
}

fn generate_on_cpu(seed: u64, shape: &[usize], dtype: DType) -> Result<Tensor> {
    let count = shape.iter().product();
    match dtype {
        DType::BF16 => Tensor::from_vec(numbers(seed, count, |value| value), shape, &Device::Cpu),
        DType::F16 => {
            Tensor::from_vec(numbers(seed, count, |value| f16::from_f32(value.to_f32())), shape, &Device::Cpu)
        }
        _ => Tensor::from_vec(numbers(seed, count, bf16::to_f32), shape, &Device::Cpu)?.to_dtype(dtype),
    }
}

/// candle can't seed its CPU generator, and four values from each 64 random bits are quicker.
fn numbers<T: Copy>(seed: u64, count: usize, of: impl Fn(bf16) -> T) -> Vec<T> {
    let scale = AMPLITUDE as f32 / 32_768.0;
    let number = |bits: u64| of(bf16::from_f32(f32::from(bits as i16) * scale));
    let mut numbers = Vec::with_capacity(count.next_multiple_of(4));
    for bits in SplitMix(seed).take(count.div_ceil(4)) {
        numbers.extend_from_slice(&[number(bits), number(bits >> 16), number(bits >> 32), number(bits >> 48)]);
    }
    numbers.truncate(count);
    numbers
}

/// Each tensor has a stream of its own: FNV-1a of its name, mixed with the seed.
pub fn tensor_seed(seed: u64, name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    SplitMix(hash ^ seed).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Base and head are different builds, and compute with the same model. Bits of bf16, by a program of another language.
    #[test]
    fn a_seed_gives_the_same_numbers_in_every_build() {
        let bits = [0x3b75, 0x3cc6, 0xbc06, 0x3cdd, 0x3ce2, 0xbb51, 0x3c87];
        for count in 0..=bits.len() {
            assert_eq!(numbers(7, count, bf16::to_bits), bits[..count], "{count}");
        }
    }
}
