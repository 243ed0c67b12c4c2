//! What runs a model. An engine loads one model once and generates greedily from token ids.
//!
//! [`Engine`] is all that measuring knows of an engine.

mod candle;
mod ceilings;
#[cfg(feature = "cuda")]
mod cuda;
pub mod forward;
mod hub;
pub mod profile;
pub mod qwen2;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use candle::{Candle, ONE_GPU, default_dtype, default_implementation, default_prefill_chunk, held_dtype};
pub use ceilings::ceilings;

use crate::case::{Case, DeviceKind, Dtype, EngineKind, Implementation, Quantization, WeightsSource};
use crate::device::{Gpus, Ordinals};

/// Everything an engine needs to load a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// The hub's id, or a name for `directory`.
    pub model: String,
    /// The local directory (`weights = "local"`, or generated weights for its config.json).
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The branch, tag or commit to take from the hub.
    #[serde(default)]
    pub revision: Option<String>,
    pub weights: WeightsSource,
    pub quantization: Quantization,
    pub dtype: Dtype,
    pub engine: EngineKind,
    pub implementation: Implementation,
    pub device: DeviceKind,
    /// Which GPUs, in the order in which the engine is to use them; ignored on a CPU.
    #[serde(flatten)]
    pub gpus: Ordinals,
    /// Prompt and generated tokens together, of the longest case: sizes the KV cache.
    pub max_length: usize,
}

impl ModelSpec {
    /// A model with generated weights, and everything else as is usual on `device`. Its length is not known yet.
    pub fn generated(model: impl Into<String>, device: DeviceKind) -> Self {
        Self {
            model: model.into(),
            directory: None,
            revision: None,
            weights: WeightsSource::Generated,
            quantization: Quantization::None,
            dtype: default_dtype(device),
            engine: EngineKind::Candle,
            implementation: default_implementation(device),
            device,
            gpus: Ordinals::first(usize::from(device == DeviceKind::Cuda)),
            max_length: 0,
        }
    }

    /// The case of this model with that many prompt and generated tokens.
    pub fn case(&self, context_length: u32, generated_length: u32) -> Case {
        Case {
            id: Case::make_id(&self.model, self.quantization, self.dtype, context_length),
            model: self.model.clone(),
            revision: None,
            weights: self.weights,
            quantization: self.quantization,
            dtype: self.dtype,
            engine: self.engine,
            implementation: self.implementation,
            device: self.device,
            gpus: if self.device == DeviceKind::Cuda { self.gpus.count() as u32 } else { 0 },
            batch_size: 1,
            context_length,
            generated_length,
        }
    }
}

/// One greedy generation and when each token was there.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    pub tokens: Vec<u32>,
    /// From the request to the completion of each token *on the device*; the first is the time to first token.
    pub token_times: Vec<Duration>,
    /// From the request to the end of the last token on the device.
    pub end_to_end: Duration,
}

/// What went wrong in an engine, as far as measuring must tell it apart.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    #[error("{0}")]
    Failed(String),
}

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        let text = message(&error);
        // candle passes the driver's error on as text.
        if text.contains("OUT_OF_MEMORY") || text.contains("out of memory") {
            Self::OutOfMemory(text)
        } else {
            Self::Failed(text)
        }
    }
}

/// What a candle error says to a person: with `RUST_BACKTRACE` set it also carries one.
fn message(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => message(inner),
        candle_core::Error::WithPath { inner, path } => format!("{}: {}", path.display(), message(inner)),
        other => other.to_string(),
    }
}

/// What loading found out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// The commit of the weights, where the hub told one.
    pub revision: Option<String>,
    /// What runs the model: not always what was asked for. `None` where the program doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<Implementation>,
    /// Fallbacks and other things that a reader of the numbers must know.
    pub warnings: Vec<String>,
    /// Bytes that one decode step reads whatever the context: weights without an untied embedding.
    pub decode_weight_bytes: u64,
    /// KV-cache bytes for one token of context, over all layers.
    pub kv_bytes_per_token: u64,
    /// Floating-point operations of the matrix products for one prompt token.
    pub flops_per_token: u64,
    /// Floating-point operations of attention for a prompt of S tokens, divided by S^2 (causal).
    pub attention_flops_per_token_squared: u64,
}

/// Device memory as the allocator sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocatorPeak {
    /// Most bytes in use since the last reset, where the device tells.
    pub used: Option<u64>,
}

/// A loaded model.
pub trait Engine {
    /// What loading found out.
    fn loaded(&self) -> &Loaded;

    /// Generates exactly `generated_length` tokens after `prompt`, greedily, whatever they are (no end of sequence).
    fn generate(&mut self, prompt: &[u32], generated_length: usize) -> Result<Generation, EngineError>;

    /// The allocator's peak since the last [`reset_peak`](Engine::reset_peak); `None` on a CPU.
    fn allocator_peak(&self) -> AllocatorPeak;

    fn reset_peak(&mut self);
}

/// CUDA's numbers of `gpus` in this process, where this build can ask it: its order need not be the driver's.
pub fn ordinals(gpus: &Gpus) -> Option<Ordinals> {
    #[cfg(feature = "cuda")]
    return cuda::ordinals(gpus);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = gpus;
        None
    }
}

/// Told of loading's progress: bytes done and in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Loads the model that `spec` names.
pub fn load(spec: &ModelSpec, progress: Progress) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(Candle::load(spec, None, progress)?))
}
