//! What a format of weights is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{Result, Tensor, bail};

use super::linear::LinearWeight;
use super::target::Target;
use crate::engine::candle::qwen2::config::ModelConfig;
use crate::engine::candle::qwen2::gguf::TensorTypes;
use crate::models::Packing;

/// What a model asks for first.
pub const EMBEDDING: &str = "model.embed_tokens.weight";

/// The output projection, which in small models is the embedding.
pub const HEAD: &str = "lm_head.weight";

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

    /// The bytes of the linear layer `name`, which is in GGUF's blocks.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "`graph` packs them"))]
    fn blocks(&self, name: &str, _values: usize) -> Result<Cow<'_, [u8]>> {
        bail!("{name} has no blocks")
    }

    /// What is there and isn't used, where somebody may take it for used: a sentence.
    fn unused(&self, _config: &ModelConfig) -> Option<String> {
        None
    }

    /// In which ways the matrices are packed, and how many so: `4 bits in groups of 128`, `Q4_K`.
    fn packings(&self, _config: &ModelConfig) -> BTreeMap<String, usize> {
        BTreeMap::new()
    }

    /// How the linear layer of that name is packed, where its integers are in a file.
    fn packing_of(&self, _layer: &str) -> Option<Packing> {
        None
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
    fn reorders_inputs(&self) -> bool {
        false
    }
}

/// How many there are of each.
pub fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}
