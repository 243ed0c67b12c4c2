//! What to load.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ENGINES;
use crate::case::{Case, DeviceKind, Dtype, EngineName, ImplementationName, Quantization, SeedProtocol, WeightsSource};
use crate::device::Ordinals;
use crate::hub::HubName;
use crate::models;

/// Everything an engine needs to load a model. Unlike a [`Case`], which may come from anywhere, it is to be run: its
/// words are known, and engine and implementation stand in the table of engines or are refused.
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
    /// Which hub.
    #[serde(default)]
    pub hub: HubName,
    /// Where the weights come from.
    pub weights: WeightsSource,
    /// How they are quantized.
    pub quantization: Quantization,
    /// The type of weights and activations.
    pub dtype: Dtype,
    /// The engine's name in the table of engines.
    pub engine: EngineName,
    /// The program to start and its arguments, for the engine `command`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Where `command` and a server's `start` are started, and their relative paths start; the working directory when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_directory: Option<PathBuf>,
    /// The endpoint to ask, for the engine `server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerSpec>,
    /// Which of its implementations; it may have to fall back to another.
    pub implementation: ImplementationName,
    /// Where it runs.
    pub device: DeviceKind,
    /// Which GPUs, in the order in which the engine is to use them. On a CPU none, or as many parts of it, which tests lay
    /// a model on.
    #[serde(flatten)]
    pub gpus: Ordinals,
    /// Prompt and generated tokens together, of the longest case: sizes the KV cache.
    pub max_length: usize,
    /// Sequences that are generated at once, of the same prompt.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub batch_size: u32,
    /// The program of Qwen's Speed Benchmark that generations are to be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_protocol: Option<SeedProtocol>,
    /// Prompt tokens in one pass; the engine's own number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_chunk: Option<usize>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_one(size: &u32) -> bool {
    *size == 1
}

/// An OpenAI-compatible endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields)]
pub struct ServerSpec {
    /// Its address, up to `/v1` as a rule.
    pub url: String,
    /// What it calls the model [default: the model's id].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The environment variable that holds its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// A program to start for each run, with its arguments [default: the server runs already].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// The path that answers with 200 once that program is ready, such as `/health` [default: the list of models]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// How long connecting may take [default: 10]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub connect_seconds: Option<u64>,
    /// How long the server may say nothing, before the first token or after any [default: 600]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub read_seconds: Option<u64>,
}

impl ModelSpec {
    /// The variable of the token that downloading the weights may need; `None` where nothing is downloaded.
    pub fn hub_token(&self) -> Option<&'static str> {
        (self.weights == WeightsSource::Hub).then(|| self.hub.token_variable())
    }

    /// How many of so many cases one process measures. A program of Qwen's measures one and ends: the next is as cold, and no
    /// other's peak of memory counts for it.
    pub fn cases_of_process(&self, cases: usize) -> usize {
        if self.seed_protocol.is_some() { cases.min(1) } else { cases }
    }

    /// A model with generated weights, and everything else as is usual on `device`. Its length is not known yet.
    pub fn generated(model: impl Into<String>, device: DeviceKind) -> Self {
        let engine = ENGINES[0];
        let (implementation, dtype) = engine.usual(device);
        let model = model.into();
        Self {
            quantization: models::find(&model).map_or(Quantization::None, |model| model.quantization),
            model,
            directory: None,
            revision: None,
            hub: HubName::DEFAULT,
            weights: WeightsSource::Generated,
            dtype,
            engine: engine.name().into(),
            command: Vec::new(),
            start_directory: None,
            server: None,
            implementation: implementation.into(),
            device,
            gpus: Ordinals::first(usize::from(device == DeviceKind::Cuda)),
            max_length: 0,
            batch_size: 1,
            seed_protocol: None,
            prefill_chunk: None,
        }
    }

    /// A batch is another case than its single sequence.
    fn case_id(&self, context_length: u32) -> String {
        let id = Case::make_id(&self.model, self.quantization, self.dtype, context_length);
        if self.batch_size > 1 { format!("{id}/batch-{}", self.batch_size) } else { id }
    }

    /// The case of this model with that many prompt and generated tokens.
    pub fn case(&self, context_length: u32, generated_length: u32) -> Case {
        Case {
            id: self.case_id(context_length),
            model: self.model.clone(),
            revision: None,
            identity: None,
            weights: self.weights.into(),
            quantization: self.quantization.into(),
            dtype: self.dtype.into(),
            engine: self.engine.clone(),
            implementation: self.implementation.clone(),
            device: self.device.into(),
            gpus: if self.device == DeviceKind::Cuda { self.gpus.count() as u32 } else { 0 },
            batch_size: self.batch_size,
            context_length,
            generated_length,
            traffic: None,
        }
    }
}
