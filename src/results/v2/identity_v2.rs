//! What the model of a case is beside its name, in schema 2.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the measured program said of the model that it loaded: another one may go by the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelIdentity {
    /// What speed depends on, by name: `num_hidden_layers` is `24`. Cases whose shapes differ aren't comparable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shape: BTreeMap<String, String>,
    /// Start of the SHA-256 of samples of the files that hold the weights, in hexadecimal; absent where weights are
    /// generated. Other weights are compared, and said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
}
