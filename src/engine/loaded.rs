//! What loading a model found out.

use serde::{Deserialize, Serialize};

use crate::case::{ImplementationName, ModelIdentity};
use crate::results::Program;

/// What an engine says of a model that it has loaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Loaded {
    /// The commit of the weights, where the hub told one.
    pub revision: Option<String>,
    /// What the model is beside its name. `None` where the engine doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<ModelIdentity>,
    /// What runs the model: not always what was asked for. `None` where the engine doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implementation: Option<ImplementationName>,
    /// From opening the files to the last weight on the device; downloading isn't in it. `None` where nobody took the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    /// Fallbacks and other things that a reader of the numbers must know.
    pub warnings: Vec<String>,
    /// What runs the model, where that is a program of its own.
    #[serde(skip)]
    pub program: Option<Program>,
    /// What the model costs, where the engine knows: without, the share of the device's limits is unknown.
    #[serde(flatten)]
    pub costs: Option<Costs>,
}

/// What must move and be computed, from the model's shape and how it is held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Bytes that one decode step reads whatever the context: weights without an untied embedding.
    pub decode_weight_bytes: u64,
    /// KV-cache bytes for one token of context, over all layers.
    pub kv_bytes_per_token: u64,
    /// Floating-point operations of the matrix products for one prompt token.
    pub flops_per_token: u64,
    /// Floating-point operations of attention for a prompt of S tokens, divided by S^2 (causal).
    pub attention_flops_per_token_squared: u64,
    /// GPUs that work on a decode step at the same time: one where they have layers that follow each other.
    #[serde(default = "one")]
    pub decode_cards: u32,
    /// GPUs that work on a prompt at the same time, at most.
    #[serde(default = "one")]
    pub prefill_cards: u32,
}

const fn one() -> u32 {
    1
}
