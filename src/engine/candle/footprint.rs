//! What a model's weights take, and what a decode step reads of them.

use super::Implementation;
use super::qwen2::config::ModelConfig;
use super::qwen2::gguf::TensorTypes;
use super::qwen2::graph::{self, Formats, Unfit};
use super::qwen2::quantization::Grouping;
use super::qwen2::reading;
use super::qwen2::weights::{EMBEDDING, Source};
use crate::case::{Dtype, Quantization, WeightsSource};
use crate::engine::{EngineError, ModelSpec};
use crate::models::{Model, Packing};

/// What `plain` holds of integers in groups that are being unpacked, a block at a time.
const UNPACKED_BLOCKS: u64 = 512 << 20;

/// The output projection, where it isn't the embedding.
const HEAD: &str = "lm_head.weight";

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
    /// The same where the output projection isn't.
    pub unpacked_of_layers: u64,
}

impl Footprint {
    /// Of the model that `spec` names, where `implementation` holds numbers in `dtype`.
    pub fn of(
        spec: &ModelSpec,
        shape: &Model,
        implementation: Implementation,
        dtype: Dtype,
    ) -> Result<Self, EngineError> {
        if let Some(files) = IntegerFiles::mixed(spec) {
            return Ok(Self::of_files(&files, dtype));
        }
        let blocks = match shape.quantization {
            Quantization::Gguf => Some(blocks(spec, shape)?),
            _ => None,
        };
        if implementation == Implementation::Graph
            && let Ok(formats) = graph::formats(shape, blocks.as_ref().map(|(_, types)| types))
        {
            return Ok(Self::in_graph(spec, shape, &formats, dtype));
        }
        if let Some((config, types)) = blocks {
            return Ok(Self::of_blocks(&config, &types, dtype));
        }
        let unpacked = if shape.packing.is_some() { UNPACKED_BLOCKS } else { 0 };
        Ok(Self {
            held: shape.weight_bytes(dtype),
            read: shape.decode_weight_bytes(dtype),
            packed: shape.packed_weights(),
            unpacked,
            unpacked_of_layers: unpacked,
        })
    }

    fn of_blocks(config: &ModelConfig, types: &TensorTypes, dtype: Dtype) -> Self {
        let bytes = types.bytes(config, dtype);
        // A matrix is unpacked as a whole: to F32, and from there to the model's type.
        let [unpacked, unpacked_of_layers] =
            [bytes.largest, bytes.largest_of_layers].map(|values| values * (Dtype::F32.size() + dtype.size()));
        Self { held: bytes.held, read: bytes.read, packed: bytes.packed, unpacked, unpacked_of_layers }
    }

    /// Of layers that differ.
    fn of_files(files: &IntegerFiles, dtype: Dtype) -> Self {
        let (mut held, mut packed) = (0, 0);
        for (name, dimensions) in files.config.tensors() {
            held += files.held(&name, &dimensions, dtype);
            if files.packing_of(&name).is_some() {
                packed += dimensions.iter().product::<usize>() as u64;
            }
        }
        let shape = &files.config.shape;
        let embedding = (shape.vocab_size * shape.hidden_size) as u64 * dtype.size();
        let read = if shape.tie_word_embeddings { held } else { held - embedding };
        Self { held, read, packed, unpacked: UNPACKED_BLOCKS, unpacked_of_layers: UNPACKED_BLOCKS }
    }

    /// As the matrices lie in the kernels' memory. The embedding is dense, and beside a packed head of its own.
    fn in_graph(spec: &ModelSpec, model: &Model, formats: &Formats, dtype: Dtype) -> Self {
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
        let unpacked = if packed > 0 { graph::unpacked_bytes(model, spec.gpus.count()) as u64 } else { 0 };
        Self { held, read, packed, unpacked, unpacked_of_layers: unpacked }
    }
}

/// Why the kernels of `graph` can't run the model that `spec` names, as far as its shape tells.
pub fn unfit_for_graph(spec: &ModelSpec, shape: &Model) -> Result<Option<Unfit>, EngineError> {
    let types = match shape.quantization {
        Quantization::Gguf => Some(blocks(spec, shape)?.1),
        _ => None,
    };
    let of_files = IntegerFiles::of(spec, |_| true).and_then(|files| files.unfit_for_graph());
    Ok(of_files.or_else(|| graph::unfit(shape, types.as_ref(), spec.gpus.count())))
}

/// Integers in files on this machine, whose headers tell how each layer is packed.
struct IntegerFiles {
    config: ModelConfig,
    grouping: Grouping,
    source: Source,
}

impl IntegerFiles {
    /// Where layers may be packed in different ways.
    fn mixed(spec: &ModelSpec) -> Option<Self> {
        Self::of(spec, |grouping| grouping.mixed)
    }

    /// `None` where there are none that are `wanted`, or none that can be read. Opening looks at all scales, so only those that
    /// are wanted are opened.
    fn of(spec: &ModelSpec, wanted: impl Fn(&Grouping) -> bool) -> Option<Self> {
        let directory = spec.directory.as_ref().filter(|_| spec.weights == WeightsSource::Local)?;
        let config = reading::config(directory, &spec.model).ok()?;
        let grouping = config.grouping.filter(wanted)?;
        let source = Source::open(directory, &config).ok()?;
        Some(Self { config, grouping, source })
    }

    /// Of a tensor.
    fn packing_of(&self, name: &str) -> Option<Packing> {
        self.source.packing_of(name.strip_suffix(".weight")?)
    }

    /// Bytes of a tensor.
    fn held(&self, name: &str, dimensions: &[usize], dtype: Dtype) -> u64 {
        bytes(dimensions, self.packing_of(name), dtype)
    }

    fn unfit_for_graph(&self) -> Option<Unfit> {
        if self.grouping.mixed {
            return Some(Unfit::Mixed);
        }
        self.source.reorders_inputs().then_some(Unfit::Order)
    }
}

/// Bytes of the weights by the parts that a model can be taken apart into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartBytes {
    pub embedding: u64,
    pub layers: Vec<u64>,
    /// The last norm and the output projection: of a tied model a copy of the embedding.
    pub head: u64,
}

impl PartBytes {
    /// Of the model that `spec` names, where numbers are held in `dtype`.
    pub fn of(spec: &ModelSpec, shape: &Model, dtype: Dtype) -> Result<Self, EngineError> {
        let config = config(spec, shape);
        let types = match shape.quantization {
            Quantization::Gguf => Some(reading::tensor_types(&config, spec.directory.as_deref())?),
            _ => None,
        };
        let mixed = IntegerFiles::mixed(spec);
        let mut parts = Self { embedding: 0, layers: vec![0; shape.num_hidden_layers], head: 0 };
        for (name, dimensions) in config.tensors() {
            *parts.part(&name) += match &mixed {
                Some(files) => files.held(&name, &dimensions, dtype),
                None => held(&name, &dimensions, shape, types.as_ref(), dtype),
            };
        }
        if shape.tie_word_embeddings {
            parts.head += parts.embedding;
        }
        Ok(parts)
    }

    /// All of them, on several devices.
    pub fn total(&self) -> u64 {
        self.embedding + self.layers.iter().sum::<u64>() + self.head
    }

    /// That the tensor of that name belongs to.
    fn part(&mut self, name: &str) -> &mut u64 {
        let layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        match layer {
            Some(layer) => &mut self.layers[layer],
            None if name == EMBEDDING => &mut self.embedding,
            None => &mut self.head,
        }
    }
}

/// Bytes of a tensor as it is held: matrices in blocks or in groups are packed, all else is in `dtype`.
fn held(name: &str, dimensions: &[usize], shape: &Model, types: Option<&TensorTypes>, dtype: Dtype) -> u64 {
    match types {
        Some(types) => types.held(name, dimensions.iter().product::<usize>() as u64, dtype),
        None => {
            let is_packed = |packing: &Packing| name.contains("_proj.") || name == HEAD && packing.head;
            bytes(dimensions, shape.packing.filter(is_packed), dtype)
        }
    }
}

/// Of a tensor: of a matrix as it is packed, of all else in `dtype`.
fn bytes(dimensions: &[usize], packing: Option<Packing>, dtype: Dtype) -> u64 {
    match (dimensions, packing) {
        (&[outputs, inputs], Some(packing)) => packing.bytes(inputs as u64, outputs as u64),
        _ => dimensions.iter().product::<usize>() as u64 * dtype.size(),
    }
}

/// The types of the file's matrices, or those that its name stands for.
fn blocks(spec: &ModelSpec, shape: &Model) -> Result<(ModelConfig, TensorTypes), EngineError> {
    let config = config(spec, shape);
    let types = reading::tensor_types(&config, spec.directory.as_deref())?;
    Ok((config, types))
}

fn config(spec: &ModelSpec, shape: &Model) -> ModelConfig {
    ModelConfig { shape: Model { id: spec.model.clone(), ..shape.clone() }, yarn: None, grouping: None }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::case::DeviceKind;
    use crate::engine::candle::{Candle, CandleKind};
    use crate::engine::{Engine as _, EngineKind as _};
    use crate::models;

    /// What the parts have is what the whole has, with a second copy of a tied embedding.
    #[test]
    fn parts_are_the_whole() {
        let names = [
            "0.5B",
            "7B",
            "7B-Instruct-GPTQ-Int4",
            "72B-Instruct-AWQ",
            "7B-Instruct-GGUF:q4_k_m",
            "3B-Instruct-GGUF:q8_0",
        ];
        for id in names.map(|name| format!("Qwen/Qwen2.5-{name}")) {
            let (spec, shape) = (ModelSpec::generated(&id, DeviceKind::Cuda), models::find(&id).unwrap());
            let parts = PartBytes::of(&spec, shape, Dtype::Bf16).unwrap();
            let copy = if shape.tie_word_embeddings { parts.embedding } else { 0 };
            assert_eq!(
                parts.total() - copy,
                Footprint::of(&spec, shape, Implementation::Plain, Dtype::Bf16).unwrap().held,
                "{id}"
            );
        }
    }

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

    /// A group of integers has a word of 32 bits, in the file 20.
    #[test]
    fn graph_has_a_word_for_each_group_of_integers() {
        let model = "Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4";
        let (graph, plain) = (footprint(model, Implementation::Graph), footprint(model, Implementation::Plain));
        let bits = 8.0 * (graph.held - plain.held) as f64 / graph.packed as f64;
        assert!((0.093..0.095).contains(&bits), "{bits} more a weight: {graph:?}, {plain:?}");
        assert_eq!(graph.packed, plain.packed);
        // Of gate and up, 59,136 rows in four blocks.
        assert_eq!((graph.unpacked, plain.unpacked), (14_848 * 8192 * 2, UNPACKED_BLOCKS));
        let (graph, plain) =
            [Implementation::Graph, Implementation::Plain].map(|ran| footprint("Qwen2.5-7B", ran)).into();
        assert_eq!(graph, plain, "numbers are numbers");
    }

    /// Each layer as its file has it: what is read is what arrives at loading.
    #[test]
    fn files_tell_how_each_layer_is_packed() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized");
        for (name, unfit) in [
            ("gptq-dynamic", Some(Unfit::Mixed)),
            ("gptq-int4-desc-act", Some(Unfit::Order)),
            ("gptq-int4", None),
            ("awq", None),
        ] {
            let generated = ModelSpec::generated(name, DeviceKind::Cpu);
            let local = ModelSpec { directory: Some(fixtures.join(name)), weights: WeightsSource::Local, ..generated };
            let spec = ModelSpec { implementation: Implementation::Plain.into(), max_length: 8, ..local };
            let shape = CandleKind.shape(name, spec.directory.as_deref()).unwrap().unwrap();
            let footprint = Footprint::of(&spec, &shape, Implementation::Plain, Dtype::F32).unwrap();
            let loaded = Candle::load(&spec, &mut |_, _| {}).unwrap();
            assert_eq!(footprint.read, loaded.loaded().costs.unwrap().decode_weight_bytes, "{name}");
            let parts = PartBytes::of(&spec, &shape, Dtype::F32).unwrap();
            let copy = if shape.tie_word_embeddings { parts.embedding } else { 0 };
            assert_eq!(parts.total() - copy, footprint.held, "{name}");
            // By their shapes alone the others fit as little.
            let of_files = |unfit: &Unfit| matches!(unfit, Unfit::Mixed | Unfit::Order);
            assert_eq!(unfit_for_graph(&spec, &shape).unwrap().filter(of_files), unfit, "{name}");
        }
    }

    #[test]
    fn other_types_are_held_as_plain_does() {
        let model = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m";
        assert_eq!(footprint(model, Implementation::Graph), footprint(model, Implementation::Plain));
        let spec = ModelSpec::generated(model, DeviceKind::Cuda);
        assert!(unfit_for_graph(&spec, models::find(model).unwrap()).unwrap().is_some());
        let model = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_0";
        let spec = ModelSpec::generated(model, DeviceKind::Cuda);
        assert_eq!(unfit_for_graph(&spec, models::find(model).unwrap()).unwrap(), None);
    }
}
