//! The candle engine: Qwen2.5 on candle, in three implementations.

mod between_devices;
mod candle_error;
mod cards;
mod ceilings;
#[cfg(feature = "cuda")]
mod cuda;
mod estimate;
mod files;
mod footprint;
pub mod forward;
mod identity;
mod layer_split;
mod loading;
pub(super) mod qwen2;

use std::path::Path;

pub use loading::Candle;

use self::qwen2::reading;
use super::{Engine, EngineError, EngineKind, ModelSpec, Needs, Progress, Refusal};
use crate::case::{Case, DeviceKind, Dtype, ImplementationName, Quantization, SeedProtocol};
use crate::device::Capacity;
#[cfg(feature = "cuda")]
use crate::device::{Gpus, Ordinals};
use crate::models::{self, Model};
use crate::results::Ceilings;
use crate::word::{Vocabulary, words};

words! {
    /// What computes the forward pass.
    Implementation {
        /// Own fused kernels, many decode steps in one launch. GPU only.
        Graph = "graph",
        /// Own forward pass on candle's operations: readable, and the reference of `graph`.
        Plain = "plain",
        /// candle-transformers' qwen2, unchanged.
        Stock = "stock",
    }
}

impl Implementation {
    /// The one that `spec` asks for.
    fn of(spec: &ModelSpec) -> Result<Self, EngineError> {
        let name = spec.implementation.as_str();
        Self::from_word(name).ok_or_else(|| {
            let words = Self::WORDS.join(", ");
            EngineError::Failed(format!("unknown implementation `{name}` of the engine `candle`: it has {words}"))
        })
    }
}

impl From<Implementation> for ImplementationName {
    fn from(implementation: Implementation) -> Self {
        implementation.word().into()
    }
}

impl PartialEq<Implementation> for ImplementationName {
    fn eq(&self, other: &Implementation) -> bool {
        self.as_str() == other.word()
    }
}

/// The engine, before it has loaded anything.
pub struct CandleKind;

impl EngineKind for CandleKind {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn implementations(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("graph", "Own fused kernels, many decode steps in one launch. GPU only"),
            ("plain", "Own forward pass on candle's operations: readable, and the reference of `graph`"),
            ("stock", "candle-transformers' qwen2, unchanged"),
        ]
    }

    fn usual(&self, device: DeviceKind) -> (&'static str, Dtype) {
        match device {
            DeviceKind::Cuda => (Implementation::Graph.word(), Dtype::Bf16),
            DeviceKind::Cpu => (Implementation::Plain.word(), Dtype::F32),
        }
    }

    fn shape(&self, model: &str, directory: Option<&Path>) -> Result<Option<Model>, EngineError> {
        match directory {
            Some(directory) => reading::config(directory, model).map(|config| Some(config.shape)),
            None => Ok(models::find(model).cloned()),
        }
    }

    fn refusals(&self, spec: &ModelSpec) -> Vec<Refusal> {
        let mut refusals: Vec<_> = misnamed(spec).into_iter().collect();
        let file = unnamed_file(spec).or_else(|| unread_kind(spec));
        refusals.extend(file.map(|reason| Refusal { setting: "quantization", reason }));
        if spec.implementation == Implementation::Stock && spec.quantization != Quantization::None {
            let reason = format!("`stock` reads no {} weights: use `plain` or `graph`", spec.quantization);
            refusals.push(Refusal { setting: "implementation", reason });
        }
        if let Err(error) = Implementation::of(spec) {
            refusals.push(Refusal { setting: "implementation", reason: error.to_string() });
        }
        if spec.implementation == Implementation::Graph && spec.device == DeviceKind::Cpu {
            let reason = "`graph` needs a GPU: on a CPU use `plain` or `stock`".into();
            refusals.push(Refusal { setting: "implementation", reason });
        }
        refusals
    }

    fn refuses_batch(&self, spec: &ModelSpec) -> Option<String> {
        (spec.implementation == Implementation::Graph)
            .then(|| "`graph` generates one sequence at a time: use `plain` or `stock` for a batch".to_owned())
    }

    fn refuses_seed_protocol(&self, spec: &ModelSpec, protocol: SeedProtocol) -> Option<String> {
        (spec.implementation == Implementation::Graph).then(|| {
            format!(
                "`graph` chooses the likeliest tokens on the GPU, and Qwen's `{protocol}` protocol samples: use `plain` or \
                 `stock`"
            )
        })
    }

    fn lacks(&self, spec: &ModelSpec) -> Option<EngineError> {
        (spec.device == DeviceKind::Cuda && !cfg!(feature = "cuda")).then(without_cuda)
    }

    fn needs(&self, spec: &ModelSpec, case: &Case, device: &Capacity) -> Result<Needs, EngineError> {
        estimate::needs(spec, case, device)
    }

    fn load(&self, spec: &ModelSpec, progress: Progress) -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(Candle::load(spec, progress)?))
    }

    fn refuses_gpus(&self, spec: &ModelSpec) -> Option<String> {
        refuses_gpus(spec, Implementation::of(spec).ok()?)
    }

    #[cfg(feature = "cuda")]
    fn ordinals(&self, gpus: &Gpus) -> Option<Ordinals> {
        cuda::ordinals(gpus)
    }

    fn ceilings(&self, spec: &ModelSpec) -> Result<Option<Ceilings>, EngineError> {
        ceilings::ceilings(spec)
    }
}

/// A case's name says how its weights are quantized: the model's own name and its config.json must say the same.
fn misnamed(spec: &ModelSpec) -> Option<Refusal> {
    let ModelSpec { model, quantization, directory, .. } = spec;
    let shape = CandleKind.shape(model, directory.as_deref()).ok().flatten();
    let by_config = shape.map(|shape| ("they are", shape.quantization, "name the model that has them"));
    let by_name = models::quantization_in_name(model).map(|named| ("its name says", named, "rename it"));
    let (how, other, hint) = by_config.into_iter().chain(by_name).find(|(_, other, _)| other != quantization)?;
    let reason =
        format!("the weights of `{model}` should be {}, and {how} {}: {hint}", kind(*quantization), kind(other));
    Some(Refusal { setting: "quantization", reason })
}

/// A GGUF repository has files of many quantizations: one of them has to be named.
fn unnamed_file(spec: &ModelSpec) -> Option<String> {
    let model = models::find(&spec.model).filter(|_| spec.directory.is_none())?;
    let is_unnamed = model.quantization == Quantization::Gguf && models::of_file(&spec.model).1.is_none();
    let id = &model.id;
    is_unnamed.then(|| format!("`{id}` has a file for each quantization: name one after it, as in `{id}:q4_k_m`"))
}

/// `plain` lays its layers on several GPUs, and `graph` halves of them on two.
fn refuses_gpus(spec: &ModelSpec, implementation: Implementation) -> Option<String> {
    let cant = match (spec.gpus.count(), implementation) {
        (0 | 1, _) | (_, Implementation::Plain) | (2, Implementation::Graph) => return None,
        (_, Implementation::Graph) => "`graph` uses one GPU or two: name fewer",
        (_, Implementation::Stock) => "`stock` uses one GPU: name only one",
    };
    Some(format!("{cant}, or use `--implementation plain`, which lays a model's layers on several"))
}

/// Beginnings of quantizations whose blocks aren't read.
const UNREAD: [&str; 4] = ["iq", "tq", "mxfp", "nvfp"];

/// Before a file is downloaded that can't be read.
fn unread_kind(spec: &ModelSpec) -> Option<String> {
    let kind = models::of_file(&spec.model).1.filter(|_| spec.directory.is_none())?.to_ascii_lowercase();
    let is_unread = UNREAD.iter().any(|unread| kind.starts_with(unread));
    let id = &spec.model;
    is_unread.then(|| format!("`{id}`: {kind} isn't read: name another quantization, such as q4_k_m or q8_0"))
}

/// How weights are quantized, in a sentence.
fn kind(quantization: Quantization) -> &'static str {
    if quantization == Quantization::None { "unquantized" } else { quantization.word() }
}

/// What a build without kernels says of every GPU.
fn without_cuda() -> EngineError {
    EngineError::refused(
        "this build of bench-diff can't use a GPU",
        "build it with `--features cuda`, or measure on the CPU",
    )
}

/// Prompt tokens that go through the model at a time, where the caller doesn't say: enough for full matrix products on
/// a GPU, and few enough for small buffers.
const fn default_prefill_chunk(device: DeviceKind) -> usize {
    match device {
        DeviceKind::Cuda => 2048,
        DeviceKind::Cpu => 512,
    }
}

/// The type that a model's numbers are held in: on a CPU, `plain` computes in F32.
fn held_dtype(implementation: Implementation, device: DeviceKind, dtype: Dtype) -> Dtype {
    match (implementation, device) {
        (Implementation::Plain, DeviceKind::Cpu) => Dtype::F32,
        _ => dtype,
    }
}
