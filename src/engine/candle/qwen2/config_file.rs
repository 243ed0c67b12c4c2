//! config.json, as far as a forward pass depends on it.

use super::quantization::QuantizationFile;
use crate::engine::json_fields::{FieldError, Fields};

/// Its fields; what is absent or null is `None`.
pub struct File {
    pub model_type: Option<String>,
    pub vocab_size: Option<usize>,
    pub hidden_size: Option<usize>,
    pub intermediate_size: Option<usize>,
    pub num_hidden_layers: Option<usize>,
    pub num_attention_heads: Option<usize>,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    pub hidden_act: Option<String>,
    pub max_position_embeddings: Option<usize>,
    pub rms_norm_eps: Option<f64>,
    pub tie_word_embeddings: Option<bool>,
    pub rope_theta: Option<f64>,
    pub rope_scaling: Option<RopeFile>,
    pub rope_parameters: Option<RopeFile>,
    pub use_sliding_window: Option<bool>,
    pub sliding_window: Option<usize>,
    pub max_window_layers: Option<usize>,
    pub layer_types: Option<Vec<String>>,
    pub torch_dtype: Option<String>,
    pub dtype: Option<String>,
    pub quantization_config: Option<QuantizationFile>,
}

/// `rope_scaling` or `rope_parameters`.
#[derive(Default)]
pub struct RopeFile {
    pub rope_theta: Option<f64>,
    pub rope_type: Option<String>,
    /// Its older name, `type`; transformers writes both.
    pub old_type: Option<String>,
    pub factor: Option<f64>,
    pub original_max_position_embeddings: Option<f64>,
    pub attention_factor: Option<f64>,
    pub beta_fast: Option<f64>,
    pub beta_slow: Option<f64>,
    pub mscale: Option<f64>,
    pub mscale_all_dim: Option<f64>,
    pub truncate: Option<bool>,
}

impl File {
    /// Reads the fields that matter; others may be anything.
    pub fn of(fields: &Fields) -> Result<Self, FieldError> {
        let rope = |key| fields.table(key)?.map(|table| RopeFile::of(&table)).transpose();
        let quantization = fields.table("quantization_config")?;
        Ok(Self {
            model_type: fields.text("model_type")?,
            vocab_size: fields.whole("vocab_size")?,
            hidden_size: fields.whole("hidden_size")?,
            intermediate_size: fields.whole("intermediate_size")?,
            num_hidden_layers: fields.whole("num_hidden_layers")?,
            num_attention_heads: fields.whole("num_attention_heads")?,
            num_key_value_heads: fields.whole("num_key_value_heads")?,
            head_dim: fields.whole("head_dim")?,
            hidden_act: fields.text("hidden_act")?,
            max_position_embeddings: fields.whole("max_position_embeddings")?,
            rms_norm_eps: fields.real("rms_norm_eps")?,
            tie_word_embeddings: fields.truth("tie_word_embeddings")?,
            rope_theta: fields.real("rope_theta")?,
            rope_scaling: rope("rope_scaling")?,
            rope_parameters: rope("rope_parameters")?,
            use_sliding_window: fields.truth("use_sliding_window")?,
            sliding_window: fields.whole("sliding_window")?,
            max_window_layers: fields.whole("max_window_layers")?,
            layer_types: fields.texts("layer_types")?,
            torch_dtype: fields.text("torch_dtype")?,
            dtype: fields.text("dtype")?,
            quantization_config: quantization.map(|table| QuantizationFile::of(&table)).transpose()?,
        })
    }
}

impl RopeFile {
    fn of(fields: &Fields) -> Result<Self, FieldError> {
        Ok(Self {
            rope_theta: fields.real("rope_theta")?,
            rope_type: fields.text("rope_type")?,
            old_type: fields.text("type")?,
            factor: fields.real("factor")?,
            original_max_position_embeddings: fields.real("original_max_position_embeddings")?,
            attention_factor: fields.real("attention_factor")?,
            beta_fast: fields.real("beta_fast")?,
            beta_slow: fields.real("beta_slow")?,
            mscale: fields.real("mscale")?,
            mscale_all_dim: fields.real("mscale_all_dim")?,
            truncate: fields.truth("truncate")?,
        })
    }
}
