//! What a model's weights take, and what a decode step reads of them.

use super::Implementation;
use super::qwen2::config::ModelConfig;
use super::qwen2::gguf::TensorTypes;
use super::qwen2::graph::{self, Formats};
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
    /// Of the model that `spec` names, where `implementation` holds numbers in `dtype`.
    pub fn of(
        spec: &ModelSpec,
        shape: &Model,
        implementation: Implementation,
        dtype: Dtype,
    ) -> Result<Self, EngineError> {
        if shape.quantization == Quantization::Gguf {
            let (config, types) = blocks(spec, shape)?;
            return Ok(match Formats::of_types(&types, shape) {
                Ok(formats) if implementation == Implementation::Graph => Self::in_graph(shape, &formats, dtype),
                _ => Self::of_blocks(&config, &types, dtype),
            });
        }
        Ok(Self {
            held: shape.weight_bytes(dtype),
            read: shape.decode_weight_bytes(dtype),
            packed: shape.packed_weights(),
            unpacked: if shape.packing.is_some() { UNPACKED_BLOCKS } else { 0 },
        })
    }

    fn of_blocks(config: &ModelConfig, types: &TensorTypes, dtype: Dtype) -> Self {
        let bytes = types.bytes(config, dtype);
        // A matrix is unpacked as a whole: to F32, and from there to the model's type.
        let unpacked = bytes.largest * (Dtype::F32.size() + dtype.size());
        Self { held: bytes.held, read: bytes.read, packed: bytes.packed, unpacked }
    }

    /// As the matrices lie in the kernels' memory. The embedding is dense, and beside a packed head of its own.
    fn in_graph(model: &Model, formats: &Formats, dtype: Dtype) -> Self {
        let shape = graph::Shape::from(model);
        let embedding = (shape.vocabulary * shape.hidden) as u64;
        let numbers: u64 = shape.products().map(|(rows, inputs)| (rows * inputs) as u64).iter().take(4).sum();
        let numbers = numbers * shape.layers as u64;
        let embeddings = if model.tie_word_embeddings { 1 } else { 2 };
        let vectors = (model.parameters() - numbers - embeddings * embedding) * dtype.size();
        let read = formats.bytes(&shape).iter().sum::<usize>() as u64 + vectors;
        let is_head = model.tie_word_embeddings && !formats.packs_head();
        let held = read + if is_head { 0 } else { embedding * dtype.size() };
        // What is unpacked doesn't count for a step of `graph`, so that the head may be left out.
        let packed = if formats.packs_layers() { numbers } else { 0 };
        Self { held, read, packed, unpacked: if packed > 0 { UNPACKED_BLOCKS } else { 0 } }
    }
}

/// Whether the kernels of `graph` read the GGUF model that `spec` names.
pub fn fits_graph(spec: &ModelSpec, shape: &Model) -> Result<bool, EngineError> {
    let (_, types) = blocks(spec, shape)?;
    Ok(Formats::of_types(&types, shape).is_ok())
}

/// The types of the file's matrices, or those that its name stands for.
fn blocks(spec: &ModelSpec, shape: &Model) -> Result<(ModelConfig, TensorTypes), EngineError> {
    let shape = Model { id: spec.model.clone(), ..shape.clone() };
    let config = ModelConfig { shape, yarn: None, grouping: None };
    let types = reading::tensor_types(&config, spec.directory.as_deref())?;
    Ok((config, types))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::DeviceKind;
    use crate::models;

    fn footprint(model: &str, implementation: Implementation) -> Footprint {
        let spec = ModelSpec::generated(model, DeviceKind::Cuda);
        Footprint::of(&spec, models::find(model).unwrap(), implementation, Dtype::Bf16).unwrap()
    }

    #[test]
    fn graph_holds_blocks_in_its_own_order() {
        let model = "Qwen/Qwen2.5-7B-Instruct-GGUF:q8_0";
        let (graph, plain) = (footprint(model, Implementation::Graph), footprint(model, Implementation::Plain));
        assert_eq!((graph.held, graph.read), (plain.held, plain.read), "as many bytes as in the file");
        let model = "Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m";
        let (graph, plain) = (footprint(model, Implementation::Graph), footprint(model, Implementation::Plain));
        let more = graph.read as f64 / plain.read as f64;
        assert!((1.02..1.025).contains(&more), "3% more of Q4_K: {more}");
    }

    /// A tied head is packed beside the embedding, of which a step reads a row.
    #[test]
    fn graph_reads_a_tied_head_in_blocks() {
        let model = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q8_0";
        let (graph, plain) = (footprint(model, Implementation::Graph), footprint(model, Implementation::Plain));
        let values = 151_936 * 896;
        assert_eq!(graph.held - graph.read, values * 2);
        let (head, rounding) = (values / 32 * 34, plain.read / 100);
        assert!((plain.read - values * 2 + head).abs_diff(graph.read) < rounding, "{graph:?}, {plain:?}");
    }

    #[test]
    fn other_types_are_held_as_plain_does() {
        let model = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m";
        assert_eq!(footprint(model, Implementation::Graph), footprint(model, Implementation::Plain));
        let spec = ModelSpec::generated(model, DeviceKind::Cuda);
        assert!(!fits_graph(&spec, models::find(model).unwrap()).unwrap());
        let model = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_0";
        assert!(fits_graph(&ModelSpec::generated(model, DeviceKind::Cuda), models::find(model).unwrap()).unwrap());
    }
}
