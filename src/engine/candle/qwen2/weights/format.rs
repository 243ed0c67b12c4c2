//! What a format of weights is.

#[cfg(feature = "cuda")]
use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use super::linear::LinearWeight;
#[cfg(feature = "cuda")]
use super::staging::Staging;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::gguf::TensorTypes;

/// A way in which weights are stored. Tensors are asked for by the names of the published checkpoints; what can be
/// checked of files is checked when they are opened, before the device is touched.
pub trait Format {
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

    /// In which ways the matrices are packed, and how many so: `4 bits in groups of 128`, `Q4_K`.
    fn packings(&self, _config: &ModelConfig) -> BTreeMap<String, usize> {
        BTreeMap::new()
    }

    /// Is the output projection packed?
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "`graph` asks"))]
    fn packs_head(&self) -> bool {
        false
    }

    /// The types of matrices, where each has its own.
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "`graph` asks"))]
    fn types(&self) -> Option<&TensorTypes> {
        None
    }

    /// Are there packed weights whose columns lie in another order than the inputs?
    #[cfg_attr(not(any(feature = "cuda", test)), expect(dead_code, reason = "`graph` asks"))]
    fn reorders_inputs(&self) -> bool {
        false
    }
}

/// What dense weights become.
pub struct Target {
    pub dtype: DType,
    pub device: Device,
    #[cfg(feature = "cuda")]
    staging: RefCell<Option<Staging>>,
}

impl Target {
    pub fn new(dtype: DType, device: &Device) -> Self {
        Self {
            dtype,
            device: device.clone(),
            #[cfg(feature = "cuda")]
            staging: RefCell::new(None),
        }
    }

    /// Writes the host's `bytes`, numbers of `dtype`, to `place` on the device, in its own type.
    pub fn fill(&self, place: &Tensor, bytes: &[u8], dtype: DType) -> Result<()> {
        #[cfg(feature = "cuda")]
        if self.device.is_cuda() {
            let mut staging = self.staging.borrow_mut();
            let staging = match &mut *staging {
                Some(staging) => staging,
                none => none.insert(Staging::new(&self.device)?),
            };
            return staging.fill(place, bytes, dtype);
        }
        let numbers = Tensor::from_raw_buffer(bytes, dtype, place.dims(), &self.device)?;
        place.slice_set(&numbers.to_dtype(place.dtype())?, 0, 0)
    }
}

/// How many there are of each.
pub fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}
