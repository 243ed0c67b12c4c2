//! A Qwen2 model's configuration, from its config.json or from the built-in shapes.
//!
//! Both spellings are read: as Qwen publishes it (`rope_theta` and `rope_scaling` at the top, `torch_dtype`), and as
//! transformers 5 writes it (`rope_parameters`, `dtype`). What is absent gets the default of transformers'
//! `Qwen2Config`; what would need another forward pass is an error that says so.

use std::path::Path;

use super::config_error::ConfigError;
use super::config_file::{File, RopeFile};
use super::quantization::{Grouping, QuantizationFile};
use crate::case::{Dtype, Quantization};
use crate::engine::EngineError;
use crate::engine::json_fields::Fields;
use crate::hub::model_file;
use crate::models::Model;

/// No model has so many.
const MOST_HEADS: usize = 1 << 12;

/// Shape and position encoding of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Sizes of the weights, and what they are called by.
    pub shape: Model,
    /// The stretched position encoding; `None` for plain RoPE.
    pub yarn: Option<Yarn>,
    /// Of GPTQ's and AWQ's weights.
    pub grouping: Option<Grouping>,
}

/// YaRN (arXiv 2309.00071) in transformers' terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    /// How many times longer the context becomes.
    pub factor: f64,
    /// Tokens of the context before stretching.
    pub original_max_position: f64,
    /// Scales cosine and sine.
    pub attention_factor: f64,
    /// Dimensions that turn more often than this over the original context keep their frequency.
    pub beta_fast: f64,
    /// Dimensions that turn less often than this are fully interpolated.
    pub beta_slow: f64,
    /// Round the borders between the two to whole dimensions.
    pub truncate: bool,
}

impl Yarn {
    /// What Qwen's model cards say to add for texts longer than 32768 tokens.
    pub fn published() -> Self {
        Self::new(4.0, 32_768.0)
    }

    /// As transformers and llama.cpp have it where only these two are given.
    pub fn usual(factor: f64, original_max_position: f64) -> Result<Self, ConfigError> {
        let is_positive = |value: f64| value > 0.0 && value.is_finite();
        let given = is_positive(factor) && is_positive(original_max_position);
        given.then(|| Self::new(factor, original_max_position)).ok_or(ConfigError::Yarn)
    }

    fn new(factor: f64, original_max_position: f64) -> Self {
        let attention_factor = attention_scale(factor, 1.0);
        Self { factor, original_max_position, attention_factor, beta_fast: 32.0, beta_slow: 1.0, truncate: true }
    }
}

/// `get_mscale` of transformers: attention's temperature for a stretched context.
fn attention_scale(factor: f64, mscale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 }
}

impl ModelConfig {
    /// One of the collection's models. YaRN is on when `max_length` tokens exceed what the model was published for.
    pub fn published(model: &Model, max_length: usize) -> Self {
        let mut config = Self { shape: model.clone(), yarn: None, grouping: Grouping::published(model) };
        config.stretch_published(max_length);
        config
    }

    /// Turns YaRN on, as Qwen's model cards describe, when `max_length` tokens exceed the published context.
    ///
    /// Only right for the collection's own models; any other config.json means what it says.
    pub fn stretch_published(&mut self, max_length: usize) {
        if self.yarn.is_none() && max_length > self.shape.max_position_embeddings {
            self.yarn = Some(Yarn::published());
        }
    }

    /// Reads `directory/config.json`; `name` becomes the model's id.
    pub fn read(directory: &Path, name: &str) -> Result<Self, EngineError> {
        let path = directory.join("config.json");
        if path.symlink_metadata().is_err() {
            let what = if directory.is_dir() { "no config.json" } else { "there is no such directory" };
            return Err(EngineError::refused(format!("{}: {what}", directory.display()), "name a model's directory"));
        }
        let text = model_file::read(&path).map_err(EngineError::at(&path))?;
        Self::parse(&text, name).map_err(EngineError::at(path))
    }

    /// Parses the text of a config.json; `name` becomes the model's id.
    pub fn parse(text: &[u8], name: &str) -> Result<Self, ConfigError> {
        let file = File::of(&Fields::parse(text)?)?;
        file.check_supported()?;
        let rope = file.rope()?;
        let grouping = file.quantization_config.as_ref().map(QuantizationFile::read).transpose()?;
        let config = Self { shape: file.shape(name, rope.theta, grouping.as_ref())?, yarn: rope.yarn, grouping };
        config.check()?;
        grouping.map(|grouping| grouping.check(&config.shape)).transpose()?;
        Ok(config)
    }

    /// Every weight's name in a checkpoint and its shape.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let shape = &self.shape;
        let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
        let (query, key) = (shape.query_values(), shape.key_values());
        let layer = [
            ("input_layernorm.weight", vec![hidden]),
            ("self_attn.q_proj.weight", vec![query, hidden]),
            ("self_attn.q_proj.bias", vec![query]),
            ("self_attn.k_proj.weight", vec![key, hidden]),
            ("self_attn.k_proj.bias", vec![key]),
            ("self_attn.v_proj.weight", vec![key, hidden]),
            ("self_attn.v_proj.bias", vec![key]),
            ("self_attn.o_proj.weight", vec![hidden, query]),
            ("post_attention_layernorm.weight", vec![hidden]),
            ("mlp.gate_proj.weight", vec![inner, hidden]),
            ("mlp.up_proj.weight", vec![inner, hidden]),
            ("mlp.down_proj.weight", vec![hidden, inner]),
        ];
        let mut tensors = vec![
            ("model.embed_tokens.weight".to_owned(), vec![shape.vocab_size, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        if !shape.tie_word_embeddings {
            tensors.push(("lm_head.weight".to_owned(), vec![shape.vocab_size, hidden]));
        }
        for index in 0..shape.num_hidden_layers {
            tensors.extend(layer.iter().map(|(part, shape)| (format!("model.layers.{index}.{part}"), shape.clone())));
        }
        tensors
    }

    /// Numbers that no model has: they would divide by zero or overflow further on.
    pub fn check(&self) -> Result<(), ConfigError> {
        let shape = &self.shape;
        let sizes = [
            ("hidden_size", shape.hidden_size, 1 << 20),
            ("intermediate_size", shape.intermediate_size, 1 << 24),
            ("num_hidden_layers", shape.num_hidden_layers, 1 << 12),
            ("num_attention_heads", shape.num_attention_heads, MOST_HEADS),
            ("num_key_value_heads", shape.num_key_value_heads, 1 << 12),
            ("head_dim", shape.head_dim, 1 << 12),
            ("vocab_size", shape.vocab_size, 1 << 24),
            ("max_position_embeddings", shape.max_position_embeddings, 1 << 28),
        ];
        for (name, value, most) in sizes {
            if value == 0 || value > most {
                return Err(ConfigError::OutOfRange { name, value, most });
            }
        }
        let (heads, kv_heads) = (shape.num_attention_heads, shape.num_key_value_heads);
        if !heads.is_multiple_of(kv_heads) {
            return Err(ConfigError::UnevenHeads { heads, kv_heads });
        }
        if !shape.head_dim.is_multiple_of(2) {
            return Err(ConfigError::OddHeadDim(shape.head_dim));
        }
        if !(shape.rope_theta > 1.0 && shape.rope_theta.is_finite()) {
            return Err(ConfigError::RopeTheta(shape.rope_theta));
        }
        if !(shape.rms_norm_eps >= 0.0 && shape.rms_norm_eps.is_finite()) {
            return Err(ConfigError::Epsilon(shape.rms_norm_eps));
        }
        Ok(())
    }
}

struct Rope {
    theta: f64,
    yarn: Option<Yarn>,
}

impl File {
    fn check_supported(&self) -> Result<(), ConfigError> {
        match self.model_type.as_deref() {
            None | Some("qwen2") => {}
            Some(other) => return Err(ConfigError::ModelType(other.to_owned())),
        }
        match self.hidden_act.as_deref() {
            None | Some("silu" | "swish") => {}
            Some(other) => return Err(ConfigError::Activation(other.to_owned())),
        }
        if self.slides() {
            return Err(ConfigError::SlidingWindow);
        }
        Ok(())
    }

    /// Some layer attends to a window only, by the rules of transformers' `Qwen2Config`.
    fn slides(&self) -> bool {
        if let Some(types) = &self.layer_types {
            return types.iter().any(|kind| kind == "sliding_attention");
        }
        // An explicit null means no window; an absent one 4096, which the same condition covers.
        self.use_sliding_window == Some(true)
            && self.sliding_window.is_some()
            && self.max_window_layers.unwrap_or(28) < self.num_hidden_layers.unwrap_or(32)
    }

    fn shape(&self, name: &str, rope_theta: f64, grouping: Option<&Grouping>) -> Result<Model, ConfigError> {
        let need = |field, value: Option<usize>| value.ok_or(ConfigError::Missing(field));
        let headless = ConfigError::OutOfRange { name: "num_attention_heads", value: 0, most: MOST_HEADS };
        let hidden_size = need("hidden_size", self.hidden_size)?;
        let num_attention_heads = need("num_attention_heads", self.num_attention_heads)?;
        Ok(Model {
            id: name.to_owned(),
            quantization: grouping.map_or(Quantization::None, Grouping::quantization),
            packing: grouping.map(|grouping| grouping.packing),
            torch_dtype: self.dtype()?,
            hidden_size,
            intermediate_size: need("intermediate_size", self.intermediate_size)?,
            num_hidden_layers: need("num_hidden_layers", self.num_hidden_layers)?,
            num_attention_heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(num_attention_heads),
            head_dim: match self.head_dim {
                Some(head_dim) => head_dim,
                None => hidden_size.checked_div(num_attention_heads).ok_or(headless)?,
            },
            vocab_size: need("vocab_size", self.vocab_size)?,
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(false),
            max_position_embeddings: self.max_position_embeddings.unwrap_or(32_768),
            rope_theta,
            rms_norm_eps: self.rms_norm_eps.unwrap_or(1e-6),
        })
    }

    fn dtype(&self) -> Result<Option<Dtype>, ConfigError> {
        let dtype = under_two_names(("dtype", &self.dtype), ("torch_dtype", &self.torch_dtype))?;
        Ok(match dtype {
            Some("bfloat16") => Some(Dtype::Bf16),
            Some("float16") => Some(Dtype::F16),
            Some("float32") => Some(Dtype::F32),
            _ => None,
        })
    }

    /// `rope_scaling` wins over `rope_parameters`, and a theta inside over one at the top, as in transformers.
    fn rope(&self) -> Result<Rope, ConfigError> {
        let none = RopeFile::default();
        let file = self.rope_scaling.as_ref().or(self.rope_parameters.as_ref()).unwrap_or(&none);
        let theta = file.rope_theta.or(self.rope_theta).unwrap_or(10_000.0);
        let kind = under_two_names(("rope_type", &file.rope_type), ("type", &file.old_type))?;
        let yarn = match kind.unwrap_or("default") {
            "default" => None,
            "yarn" => Some(file.yarn(self.max_position_embeddings.unwrap_or(32_768) as f64)?),
            other => return Err(ConfigError::RopeType(other.to_owned())),
        };
        Ok(Rope { theta, yarn })
    }
}

/// A field and its older name: files have either, or both with one value.
fn under_two_names<'a>(
    (name, value): (&'static str, &'a Option<String>),
    (old_name, old_value): (&'static str, &'a Option<String>),
) -> Result<Option<&'a str>, ConfigError> {
    match (value.as_deref(), old_value.as_deref()) {
        (Some(value), Some(old)) if value != old => {
            Err(ConfigError::TwoNames { name, value: value.into(), old_name, old_value: old.into() })
        }
        (value, old) => Ok(value.or(old)),
    }
}

impl RopeFile {
    fn yarn(&self, max_position: f64) -> Result<Yarn, ConfigError> {
        let original = self.original_max_position_embeddings.unwrap_or(max_position);
        let factor = self.factor.ok_or(ConfigError::Missing("YaRN's factor"))?;
        let mut yarn = Yarn::new(factor, original);
        // A zero counts as absent in transformers.
        let given = |value: Option<f64>| value.filter(|&value| value != 0.0);
        if let (Some(mscale), Some(all)) = (given(self.mscale), given(self.mscale_all_dim)) {
            yarn.attention_factor = attention_scale(factor, mscale) / attention_scale(factor, all);
        }
        yarn.attention_factor = self.attention_factor.unwrap_or(yarn.attention_factor);
        yarn.beta_fast = given(self.beta_fast).unwrap_or(yarn.beta_fast);
        yarn.beta_slow = given(self.beta_slow).unwrap_or(yarn.beta_slow);
        yarn.truncate = self.truncate.unwrap_or(true);
        let positive = [factor, original, yarn.attention_factor, yarn.beta_fast, yarn.beta_slow];
        if positive.iter().any(|value| !(*value > 0.0 && value.is_finite())) {
            return Err(ConfigError::Yarn);
        }
        Ok(yarn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    const PUBLISHED: &str = r#"{
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
        "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 21,
        "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers_version": "4.43.1", "use_cache": true,
        "use_sliding_window": false, "vocab_size": 151936 EXTRA }"#;

    fn published(extra: &str) -> Result<ModelConfig, ConfigError> {
        ModelConfig::parse(PUBLISHED.replace("EXTRA", extra).as_bytes(), "Qwen/Qwen2.5-0.5B-Instruct")
    }

    #[test]
    fn the_published_file_is_the_built_in_shape() {
        let config = published("").unwrap();
        assert_eq!(&config.shape, models::find("Qwen/Qwen2.5-0.5B-Instruct").unwrap());
        assert_eq!(config.yarn, None);
    }

    #[test]
    fn newer_transformers_spell_it_otherwise() {
        let newer = PUBLISHED
            .replace(
                "\"rope_theta\": 1000000.0",
                r#""rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}"#,
            )
            .replace("torch_dtype", "dtype")
            .replace("\"sliding_window\": 32768", "\"sliding_window\": null")
            .replace("EXTRA", "");
        assert_eq!(ModelConfig::parse(newer.as_bytes(), "Qwen/Qwen2.5-0.5B-Instruct").unwrap(), published("").unwrap());
    }

    #[test]
    fn yarn_is_read_in_both_spellings() {
        let old = published(
            r#", "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}"#,
        );
        assert_eq!(old.unwrap().yarn, Some(Yarn::published()));
        let new = published(
            r#", "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 5e5,
                 "original_max_position_embeddings": 32768}"#,
        )
        .unwrap();
        assert_eq!((new.yarn, new.shape.rope_theta), (Some(Yarn::published()), 5e5));
        let lacking = published(r#", "rope_scaling": {"type": "yarn", "original_max_position_embeddings": 8192}"#);
        assert_eq!(lacking.unwrap_err().to_string(), "YaRN's factor is missing");
    }

    #[test]
    fn tensors_are_all_parameters() {
        for id in ["Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-7B"] {
            let config = ModelConfig::published(models::find(id).unwrap(), 1);
            let elements: usize = config.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
            assert_eq!(elements as u64, config.shape.parameters(), "{id}");
        }
    }

    #[test]
    fn the_collection_is_stretched_only_where_it_must_be() {
        let instruct = models::find("Qwen/Qwen2.5-7B-Instruct").unwrap();
        assert_eq!(ModelConfig::published(instruct, 32_768).yarn, None);
        assert_eq!(ModelConfig::published(instruct, 32_769).yarn, Some(Yarn::published()));
        let base = models::find("Qwen/Qwen2.5-7B").unwrap();
        assert_eq!(ModelConfig::published(base, 131_072).yarn, None, "published for 131072");
    }

    #[test]
    fn what_it_cannot_run_is_said() {
        let sliding = PUBLISHED.replace("\"use_sliding_window\": false", "\"use_sliding_window\": true");
        let error = ModelConfig::parse(sliding.replace("EXTRA", "").as_bytes(), "x").unwrap_err();
        assert!(matches!(error, ConfigError::SlidingWindow), "{error}");
        let error = published(r#", "rope_scaling": {"type": "longrope", "factor": 2.0}"#).unwrap_err();
        assert!(error.to_string().contains("`longrope`"), "{error}");
        let error =
            ModelConfig::parse(PUBLISHED.replace("\"qwen2\"", "\"llama\"").replace("EXTRA", "").as_bytes(), "x");
        assert!(error.unwrap_err().to_string().contains("`llama`"));
        let zero = PUBLISHED.replace("\"num_attention_heads\": 14", "\"num_attention_heads\": 0");
        let error = ModelConfig::parse(zero.replace("EXTRA", "").as_bytes(), "x").unwrap_err();
        assert_eq!(error.to_string(), "num_attention_heads is 0; it must be between 1 and 4096");
    }
}
