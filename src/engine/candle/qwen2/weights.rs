//! Named weights on a device: read from safetensors, or made up from a seed.
//!
//! `unsafe` here is memory-mapping: the files must not be changed while they are read, as for every loader of
//! safetensors. They are only read during loading.

#![expect(unsafe_code, reason = "maps files into memory")]

use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};

use super::checkpoint;
use super::config::ModelConfig;
use crate::engine::candle::candle_error::message;
use crate::engine::{EngineError, Progress};

/// Half the width of the uniform distribution of generated weights: a standard deviation of 0.02, Qwen2's own at
/// initialisation, so that activations stay finite through all layers.
const AMPLITUDE: f64 = 0.034_641;

/// Where weights come from. Tensors are asked for by the names of the published checkpoints.
pub struct Weights<'a> {
    source: Source,
    /// The model's type: what a checkpoint holds is converted to it.
    dtype: DType,
    device: Device,
    progress: Progress<'a>,
    done: u64,
    total: u64,
}

enum Source {
    Files { tensors: MmapedSafetensors, directory: PathBuf },
    Generated { seed: u64 },
}

impl<'a> Weights<'a> {
    /// The safetensors files of `directory`.
    pub fn open(
        directory: &Path,
        config: &ModelConfig,
        dtype: DType,
        device: &Device,
        progress: Progress<'a>,
    ) -> std::result::Result<Self, EngineError> {
        let files = checkpoint::files(directory)?;
        // SAFETY: see the module's head.
        let tensors = unsafe { MmapedSafetensors::multi(&files) }
            .map_err(|error| EngineError::Failed(format!("weights: {}", message(&error))))?;
        Ok(Self::new(Source::Files { tensors, directory: directory.to_owned() }, config, dtype, device, progress))
    }

    /// Random weights. The same seed gives the same weights on the same kind of device, whatever the order in which
    /// they are asked for.
    pub fn generated(seed: u64, config: &ModelConfig, dtype: DType, device: &Device, progress: Progress<'a>) -> Self {
        Self::new(Source::Generated { seed }, config, dtype, device, progress)
    }

    fn new(source: Source, config: &ModelConfig, dtype: DType, device: &Device, progress: Progress<'a>) -> Self {
        let total = config.shape.parameters() * dtype.size_in_bytes() as u64;
        Self { source, dtype, device: device.clone(), progress, done: 0, total }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The model's type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The tensor `name` in the model's type.
    pub fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = match &self.source {
            Source::Files { tensors, directory } => read(tensors, directory, name, shape, self.dtype, &self.device)?,
            Source::Generated { seed } => generate(*seed, name, shape, self.dtype, &self.device)?,
        };
        self.arrived(&tensor);
        Ok(tensor)
    }

    /// Writes the tensor `name` to `place`, which has its shape and the model's type. On a GPU, whoever has places for all
    /// tensors before the first is filled leaves the allocator's pool without gaps from what filling needs.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only `graph` has its places before"))]
    pub fn fill(&mut self, name: &str, place: &Tensor) -> Result<()> {
        match &self.source {
            Source::Generated { seed } if is_random(name) && !self.device.is_cpu() => {
                generate_on_gpu(tensor_seed(*seed, name), place)?;
                self.arrived(place);
                Ok(())
            }
            _ => place.slice_set(&self.get(name, place.dims())?, 0, 0),
        }
    }

    fn arrived(&mut self, tensor: &Tensor) {
        self.done += (tensor.elem_count() * self.dtype.size_in_bytes()) as u64;
        (self.progress)(self.done.min(self.total), self.total);
    }
}

fn read(
    tensors: &MmapedSafetensors,
    directory: &Path,
    name: &str,
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let context = |error| candle_core::Error::Msg(format!("{}: tensor {name} {error}", directory.display()));
    let view = tensors.get(name).map_err(|_| context("is missing".to_owned()))?;
    if view.shape() != shape {
        return Err(context(format!("has the shape {:?}, config.json asks for {shape:?}", view.shape())));
    }
    let tensor = tensors.load(name, device).map_err(|error| context(format!("can't be read: {}", message(&error))))?;
    if !tensor.dtype().is_float() {
        return Err(context(format!("has the type {:?}, expected floating-point numbers", tensor.dtype())));
    }
    tensor.to_dtype(dtype)
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

/// candle can't seed its CPU generator, and four values from each 64 random bits are quicker.
fn generate_on_cpu(seed: u64, shape: &[usize], dtype: DType) -> Result<Tensor> {
    let count = shape.iter().product();
    let scale = AMPLITUDE as f32 / 32_768.0;
    let values = SplitMix(seed).flat_map(|bits| [bits, bits >> 16, bits >> 32, bits >> 48]);
    let values = values.map(|bits| bf16::from_f32(f32::from(bits as i16) * scale)).take(count);
    match dtype {
        DType::BF16 => Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu),
        DType::F16 => {
            let values = values.map(|value| f16::from_f32(value.to_f32()));
            Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu)
        }
        _ => Tensor::from_vec(values.map(bf16::to_f32).collect::<Vec<_>>(), shape, &Device::Cpu)?.to_dtype(dtype),
    }
}

/// Each tensor has a stream of its own: FNV-1a of its name, mixed with the seed.
fn tensor_seed(seed: u64, name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    SplitMix(hash ^ seed).next().unwrap_or_default()
}

/// Steele, Lea and Flood's SplitMix64: 64 random bits an item, without end.
struct SplitMix(u64);

impl Iterator for SplitMix {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(bits ^ (bits >> 31))
    }
}
