//! The configuration of a model on this machine: of a config.json, or of a GGUF file.

use std::path::Path;

use super::config::ModelConfig;
use super::gguf::{self, GgufError, GgufFiles};
use crate::engine::EngineError;
use crate::hub::{INDEX, SINGLE};

/// Of the model at `path`: a directory or a GGUF file. `name` becomes its id.
pub fn config(path: &Path, name: &str) -> Result<ModelConfig, EngineError> {
    let has = |file: &str| path.join(file).is_file();
    let is_gguf = !path.is_dir() && path.exists() || !has(SINGLE) && !has(INDEX) && gguf::has_any(path);
    if !is_gguf {
        return ModelConfig::read(path, name);
    }
    let files = GgufFiles::open(path)?;
    let config = files.config(name)?;
    if has("config.json") {
        let stated = ModelConfig::read(path, name)?;
        check_agree(&config, &stated, "config.json").map_err(|error| files.wrong(error))?;
    }
    Ok(config)
}

/// A GGUF file has the shape that `other` says.
pub fn check_agree(file: &ModelConfig, stated: &ModelConfig, other: &'static str) -> Result<(), GgufError> {
    let whole =
        |key: &'static str, get: fn(&ModelConfig) -> usize| (key, get(file).to_string(), get(stated).to_string());
    // GGUF has these in 32 bits.
    let real = |key: &'static str, get: fn(&ModelConfig) -> f64| {
        (key, (get(file) as f32).to_string(), (get(stated) as f32).to_string())
    };
    let fields = [
        whole("hidden_size", |config| config.shape.hidden_size),
        whole("intermediate_size", |config| config.shape.intermediate_size),
        whole("num_hidden_layers", |config| config.shape.num_hidden_layers),
        whole("num_attention_heads", |config| config.shape.num_attention_heads),
        whole("num_key_value_heads", |config| config.shape.num_key_value_heads),
        whole("head_dim", |config| config.shape.head_dim),
        whole("vocab_size", |config| config.shape.vocab_size),
        real("rope_theta", |config| config.shape.rope_theta),
        real("rms_norm_eps", |config| config.shape.rms_norm_eps),
        real("YaRN's factor", |config| config.yarn.as_ref().map_or(1.0, |yarn| yarn.factor)),
    ];
    match fields.into_iter().find(|(_, value, expected)| value != expected) {
        Some((key, value, expected)) => Err(GgufError::Disagrees { key, value, other, expected }),
        None => Ok(()),
    }
}
