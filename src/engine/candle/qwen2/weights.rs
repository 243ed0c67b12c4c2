//! Named weights on a device. Where they come from is a [`Format`]: each has a file in this folder.

mod awq;
mod format;
mod gguf_blocks;
mod gptq;
mod grouped;
mod grouped_files;
mod linear;
mod packed_layout;
mod random;
mod random_blocks;
mod random_integers;
mod safetensor_files;
mod split_mix;
#[cfg(feature = "cuda")]
mod staged_blocks;
#[cfg(feature = "cuda")]
mod staging;
mod target;
mod tiles;
mod unexpected_tensors;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};

use self::awq::Awq;
pub use self::format::EMBEDDING;
use self::format::Format;
use self::gguf_blocks::GgufBlocks;
use self::gptq::Gptq;
#[allow(unused_imports, reason = "only `graph` looks inside")]
pub use self::grouped::Grouped;
use self::grouped_files::GroupedFiles;
pub use self::linear::LinearWeight;
use self::random::Random;
use self::random_blocks::RandomBlocks;
use self::safetensor_files::SafetensorFiles;
#[cfg(feature = "cuda")]
pub use self::staged_blocks::StagedBlocks;
pub use self::target::Target;
use super::config::ModelConfig;
#[cfg(any(feature = "cuda", test))]
use super::gguf::TensorTypes;
use super::quantization::Layout;
use super::reading;
use crate::case::{Dtype, Quantization};
use crate::engine::{EngineError, Progress};
use crate::models::Packing;

/// Where weights come from. Files were looked at: all that `config` asks for is there.
pub struct Source(Box<dyn Format>);

impl Source {
    /// The files at `path`: a directory, or a GGUF file.
    pub fn open(path: &Path, config: &ModelConfig) -> std::result::Result<Self, EngineError> {
        if config.shape.quantization == Quantization::Gguf {
            return Ok(Self(Box::new(GgufBlocks::open(path, config)?)));
        }
        let files = SafetensorFiles::open(path)?;
        Ok(Self(match config.grouping {
            None => Box::new(files.checked(config)?),
            Some(grouping) => match grouping.layout {
                Layout::Gptq(zeros) => Box::new(GroupedFiles::open(files, config, grouping, Gptq { zeros })?),
                Layout::Awq => Box::new(GroupedFiles::open(files, config, grouping, Awq)?),
            },
        }))
    }

    /// Random weights.
    pub fn generated(seed: u64, config: &ModelConfig, path: Option<&Path>) -> std::result::Result<Self, EngineError> {
        if config.shape.quantization == Quantization::Gguf {
            let (types, random) = (reading::tensor_types(config, path)?, Random { seed, grouping: None });
            return Ok(Self(Box::new(RandomBlocks { random, types })));
        }
        if config.grouping.is_some_and(|grouping| grouping.mixed) {
            let why = "weights can't be generated for a model whose layers are quantized in different ways";
            return Err(EngineError::refused(why, "use its files: `weights = \"local\"`"));
        }
        Ok(Self(Box::new(Random { seed, grouping: config.grouping })))
    }
}

impl Source {
    /// What of the files isn't used, where somebody may take it for used: a sentence.
    pub fn unused(&self, config: &ModelConfig) -> Option<String> {
        self.0.unused(config)
    }

    /// How the linear layer of that name is packed, where its integers are in a file.
    pub fn packing_of(&self, layer: &str) -> Option<Packing> {
        self.0.packing_of(layer)
    }

    /// Are there packed weights whose columns lie in another order than the inputs?
    pub fn reorders_inputs(&self) -> bool {
        self.0.reorders_inputs()
    }

    /// In which ways the matrices are packed, and how many so.
    pub fn packings(&self, config: &ModelConfig) -> BTreeMap<String, usize> {
        self.0.packings(config)
    }
}

/// Weights on their way from a source to a device.
pub struct Weights<'a> {
    source: Source,
    target: Target,
    progress: Progress<'a>,
    arrived: Arrived,
    /// Not read by a decode step.
    unread: Option<&'static str>,
    /// Values, and bytes as they are loaded.
    total: (u64, u64),
}

/// What was asked for.
#[derive(Default)]
struct Arrived {
    /// Of matrices as many as they stand for.
    values: u64,
    /// Those that a decode step reads, and that have the model's type.
    dense: u64,
    /// Of all others that a step reads.
    packed_bytes: u64,
}

impl<'a> Weights<'a> {
    pub fn new(source: Source, config: &ModelConfig, dtype: DType, device: &Device, progress: Progress<'a>) -> Self {
        let shape = &config.shape;
        let held = if dtype == DType::F32 { Dtype::F32 } else { Dtype::Bf16 };
        let total = (shape.parameters(), shape.weight_bytes(held));
        let unread = (!shape.tie_word_embeddings).then_some(EMBEDDING);
        let target = Target::new(dtype, device);
        Self { source, target, progress, arrived: Arrived::default(), unread, total }
    }

    pub fn device(&self) -> &Device {
        &self.target.device
    }

    /// What is asked for from now on goes to `device`.
    pub fn go_to(&mut self, device: &Device) {
        self.target = Target::new(self.target.dtype, device);
    }

    /// The model's type.
    pub fn dtype(&self) -> DType {
        self.target.dtype
    }

    /// `weight` on the device.
    pub fn to_device(&self, weight: &LinearWeight) -> Result<LinearWeight> {
        weight.to_device(&self.target)
    }

    /// Is the output projection packed?
    #[cfg(any(feature = "cuda", test))]
    pub fn packs_head(&self) -> bool {
        self.source.0.packs_head()
    }

    /// Are there packed weights whose columns lie in another order than the inputs?
    #[cfg(any(feature = "cuda", test))]
    pub fn reorders_inputs(&self) -> bool {
        self.source.0.reorders_inputs()
    }

    /// The types of matrices, where each has its own.
    #[cfg(any(feature = "cuda", test))]
    pub fn types(&self) -> Option<&TensorTypes> {
        self.source.0.types()
    }

    /// Bytes that a decode step reads of what was loaded, where dense weights are held in `held`.
    pub fn step_bytes(&self, held: Dtype) -> u64 {
        self.arrived.dense * held.size() + self.arrived.packed_bytes
    }

    /// The tensor `name` in the model's type.
    pub fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.source.0.tensor(name, shape, &self.target)?;
        self.arrived_dense(name, tensor.elem_count());
        Ok(tensor)
    }

    /// The weight of the linear layer `name`, as it is stored: quantized ones are still on the host.
    pub fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<LinearWeight> {
        let weight = self.source.0.linear(name, outputs, inputs, &self.target)?;
        match weight.packed_bytes() {
            None => self.arrived_dense(name, outputs * inputs),
            Some(bytes) => {
                self.arrived.packed_bytes += bytes;
                self.report(outputs * inputs);
            }
        }
        Ok(weight)
    }

    /// The linear layer `name`, of so many values in GGUF's blocks, to be brought to the device.
    #[cfg(feature = "cuda")]
    pub fn blocks(&mut self, name: &str, values: usize) -> Result<StagedBlocks<'_>> {
        self.report(values);
        let bytes = self.source.0.blocks(name, values)?;
        self.arrived.packed_bytes += bytes.len() as u64;
        Ok(StagedBlocks::new(bytes, &self.target))
    }

    /// Writes the tensor `name` to `place`, which has its shape and the model's type. On a GPU, whoever has places for all
    /// tensors before the first is filled leaves the allocator's pool without gaps from what filling needs.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only `graph` has its places before"))]
    pub fn fill(&mut self, name: &str, place: &Tensor) -> Result<()> {
        self.source.0.fill(name, place, &self.target)?;
        self.arrived_dense(name, place.elem_count());
        Ok(())
    }

    /// As `fill`, of a table of which a step reads a row.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "as of `fill`"))]
    pub fn fill_table(&mut self, name: &str, place: &Tensor) -> Result<()> {
        self.source.0.fill(name, place, &self.target)?;
        self.report(place.elem_count());
        Ok(())
    }

    fn arrived_dense(&mut self, name: &str, values: usize) {
        if self.unread != Some(name) {
            self.arrived.dense += values as u64;
        }
        self.report(values);
    }

    fn report(&mut self, values: usize) {
        self.arrived.values += values as u64;
        let (values, bytes) = self.total;
        let done = u128::from(self.arrived.values.min(values)) * u128::from(bytes) / u128::from(values.max(1));
        (self.progress)(done as u64, bytes);
    }
}
