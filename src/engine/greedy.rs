//! What a model generates when the most likely token is always taken, and the logits that say so.

use serde::Serialize;

use crate::case::{DeviceKind, Dtype, ImplementationName, WeightsSource};

/// Tokens, and what computed them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generated {
    /// The hub's id, or the directory.
    pub model: String,
    /// The commit of the weights, where the hub told one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where the weights come from.
    pub weights: WeightsSource,
    /// The type of weights and activations.
    pub dtype: Dtype,
    /// What ran.
    pub implementation: ImplementationName,
    /// Where it ran.
    pub device: DeviceKind,
    /// The prompt.
    pub prompt_ids: Vec<u32>,
    /// The answer.
    pub tokens: Vec<u32>,
    /// The answer, token by token.
    pub steps: Vec<Step>,
}

/// One token, and the logits it was chosen by, highest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The one with the highest logit.
    pub token: u32,
    /// As many as were asked for.
    pub top_logits: Vec<Logit>,
}

/// How likely a token is, before it is made a probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Logit {
    /// The token's.
    pub id: u32,
    /// On no particular scale.
    pub logit: f32,
}
