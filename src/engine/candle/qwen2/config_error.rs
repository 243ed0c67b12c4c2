//! What can be wrong with a config.json.

use super::quantization::QuantizationError;
use crate::engine::json_fields::FieldError;

/// Why a configuration can't be run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("{name} is `{value}` and {old_name} `{old_value}`; they must say the same")]
    TwoNames { name: &'static str, value: String, old_name: &'static str, old_value: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{name} is {value}; it must be between 1 and {most}")]
    OutOfRange { name: &'static str, value: usize, most: usize },
    #[error("num_attention_heads ({heads}) must be a multiple of num_key_value_heads ({kv_heads})")]
    UnevenHeads { heads: usize, kv_heads: usize },
    #[error("head_dim is {0}; rotary position encoding needs an even one")]
    OddHeadDim(usize),
    #[error("rope_theta is {0}; it must be above 1")]
    RopeTheta(f64),
    #[error("rms_norm_eps is {0}; it must not be negative")]
    Epsilon(f64),
    #[error("model_type is `{0}`; only `qwen2` (Qwen2, Qwen2.5) is supported")]
    ModelType(String),
    #[error("hidden_act is `{0}`; only `silu` is supported")]
    Activation(String),
    #[error(
        "some layers use sliding-window attention, which is not supported (Qwen2.5 has it off: use_sliding_window is \
         false)"
    )]
    SlidingWindow,
    #[error("quantization_config: {0}")]
    Quantization(#[from] QuantizationError),
    #[error("RoPE type `{0}` is not supported; `default` and `yarn` are")]
    RopeType(String),
    #[error("YaRN's factor, original_max_position_embeddings, attention_factor and betas must be above 0")]
    Yarn,
}
