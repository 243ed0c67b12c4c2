//! What a model's weights take, and what a decode step reads of them.

use super::qwen2::config::ModelConfig;
use super::qwen2::reading;
use crate::case::{Dtype, Quantization};
use crate::engine::{EngineError, ModelSpec};
use crate::models::Model;

/// What is held of integers in groups that are being unpacked, a block at a time.
const UNPACKED_BLOCKS: u64 = 512 << 20;

/// Bytes of weights, and numbers of those that are unpacked when they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// That are held.
    pub held: u64,
    /// That a decode step reads.
    pub read: u64,
    /// Weights in integers, or in blocks.
    pub packed: u64,
    /// That unpacking takes in between.
    pub unpacked: u64,
}

impl Footprint {
    /// Of the model that `spec` names, where numbers are held in `dtype`.
    pub fn of(spec: &ModelSpec, shape: &Model, dtype: Dtype) -> Result<Self, EngineError> {
        if shape.quantization == Quantization::Gguf {
            return Self::of_blocks(spec, shape, dtype);
        }
        Ok(Self {
            held: shape.weight_bytes(dtype),
            read: shape.decode_weight_bytes(dtype),
            packed: shape.packed_weights(),
            unpacked: if shape.packing.is_some() { UNPACKED_BLOCKS } else { 0 },
        })
    }

    /// By the types of the file, or those that its name stands for.
    fn of_blocks(spec: &ModelSpec, shape: &Model, dtype: Dtype) -> Result<Self, EngineError> {
        let shape = Model { id: spec.model.clone(), ..shape.clone() };
        let config = ModelConfig { shape, yarn: None, grouping: None };
        let bytes = reading::tensor_types(&config, spec.directory.as_deref())?.bytes(&config, dtype);
        // A matrix is unpacked as a whole: to F32, and from there to the model's type.
        let unpacked = bytes.largest * (Dtype::F32.size() + dtype.size());
        Ok(Self { held: bytes.held, read: bytes.read, packed: bytes.packed, unpacked })
    }
}
