//! Named weights on a device. Where they come from is a [`Format`], a file each in this folder.

mod gguf_blocks;
mod linear;
mod random;
mod safetensor_files;

use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};

use self::gguf_blocks::GgufBlocks;
pub use self::linear::LinearWeight;
use self::random::Random;
use self::safetensor_files::SafetensorFiles;
use super::config::ModelConfig;
use crate::case::Quantization;
use crate::engine::{EngineError, Progress};

/// A way in which weights are stored. Tensors are asked for by the names of the published checkpoints; what can be
/// checked of files is checked when they are opened, before the device is touched.
trait Format {
    /// The tensor `name`, of this shape, as floating-point numbers.
    fn tensor(&self, name: &str, shape: &[usize], target: &Target) -> Result<Tensor>;

    /// Writes the tensor `name` to `place`, which has its shape and the target's type.
    fn fill(&self, name: &str, place: &Tensor, target: &Target) -> Result<()> {
        place.slice_set(&self.tensor(name, place.dims(), target)?, 0, 0)
    }

    /// The weight of the linear layer `name`, such as `lm_head`. Quantized ones are on the host.
    fn linear(&self, name: &str, outputs: usize, inputs: usize, target: &Target) -> Result<LinearWeight> {
        self.tensor(&format!("{name}.weight"), &[outputs, inputs], target).map(LinearWeight::Dense)
    }
}

/// What dense weights become.
struct Target {
    dtype: DType,
    device: Device,
}

/// Where weights come from, what they become, and how far loading is.
pub struct Weights<'a> {
    format: Box<dyn Format>,
    target: Target,
    progress: Progress<'a>,
    done: u64,
    total: u64,
}

impl<'a> Weights<'a> {
    /// The files at `path`: a directory, or a GGUF file.
    pub fn open(
        path: &Path,
        config: &ModelConfig,
        dtype: DType,
        device: &Device,
        progress: Progress<'a>,
    ) -> std::result::Result<Self, EngineError> {
        let format: Box<dyn Format> = match config.shape.quantization {
            Quantization::Gguf => Box::new(GgufBlocks::open(path, config)?),
            _ => Box::new(SafetensorFiles::open(path)?),
        };
        Ok(Self::new(format, config, dtype, device, progress))
    }

    /// Random weights.
    pub fn generated(seed: u64, config: &ModelConfig, dtype: DType, device: &Device, progress: Progress<'a>) -> Self {
        Self::new(Box::new(Random { seed }), config, dtype, device, progress)
    }

    fn new(
        format: Box<dyn Format>,
        config: &ModelConfig,
        dtype: DType,
        device: &Device,
        progress: Progress<'a>,
    ) -> Self {
        let total = config.shape.parameters() * dtype.size_in_bytes() as u64;
        Self { format, target: Target { dtype, device: device.clone() }, progress, done: 0, total }
    }

    pub fn device(&self) -> &Device {
        &self.target.device
    }

    /// The model's type.
    pub fn dtype(&self) -> DType {
        self.target.dtype
    }

    /// The tensor `name` in the model's type.
    pub fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.format.tensor(name, shape, &self.target)?;
        self.arrived(tensor.elem_count());
        Ok(tensor)
    }

    /// The weight of the linear layer `name`, as it is stored: quantized ones are still on the host.
    pub fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<LinearWeight> {
        let weight = self.format.linear(name, outputs, inputs, &self.target)?;
        self.arrived(outputs * inputs);
        Ok(weight)
    }

    /// Writes the tensor `name` to `place`, which has its shape and the model's type. On a GPU, whoever has places for all
    /// tensors before the first is filled leaves the allocator's pool without gaps from what filling needs.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only `graph` has its places before"))]
    pub fn fill(&mut self, name: &str, place: &Tensor) -> Result<()> {
        self.format.fill(name, place, &self.target)?;
        self.arrived(place.elem_count());
        Ok(())
    }

    fn arrived(&mut self, elements: usize) {
        self.done += (elements * self.target.dtype.size_in_bytes()) as u64;
        (self.progress)(self.done.min(self.total), self.total);
    }
}
