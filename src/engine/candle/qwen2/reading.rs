//! The configuration of a model on this machine: of a config.json, or of a GGUF file.

use std::path::Path;

use super::config::ModelConfig;
use super::gguf::mixture::{self, Mixture};
use super::gguf::{self, GgufError, GgufFiles, TensorTypes};
use crate::engine::EngineError;
use crate::hub::{self, INDEX, SINGLE};
use crate::models;

/// Of the model at `path`: a directory or a GGUF file. `name` becomes its id.
pub fn config(path: &Path, name: &str) -> Result<ModelConfig, EngineError> {
    if !is_gguf(path) {
        return ModelConfig::read(path, name);
    }
    let files = GgufFiles::open(path)?;
    let config = files.config(name)?;
    if let Some(stated) = stated_beside(path, name)? {
        check_agree(&config, &stated, "config.json").map_err(|error| files.wrong(error))?;
    }
    Ok(config)
}

/// Is the model at `path` a GGUF file's? Where a directory has safetensors as well, they are the model.
pub fn is_gguf(path: &Path) -> bool {
    match path.is_dir() {
        true => !has_safetensors(path) && gguf::has_any(path),
        false => hub::gguf_name::is_named(path),
    }
}

/// Has the directory safetensors, and GGUF files beside them?
pub fn has_both(path: &Path) -> bool {
    has_safetensors(path) && gguf::has_any(path)
}

fn has_safetensors(directory: &Path) -> bool {
    [SINGLE, INDEX].iter().any(|file| directory.join(file).symlink_metadata().is_ok())
}

/// What the config.json beside a GGUF model says. In a directory of several models it is nobody's; and beside a file that was
/// named it may say less than a model needs, as some hubs' do.
fn stated_beside(path: &Path, name: &str) -> Result<Option<ModelConfig>, EngineError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = if path.is_dir() { path } else { parent.unwrap_or(Path::new(".")) };
    let has_config = directory.join("config.json").symlink_metadata().is_ok();
    if !has_config || !gguf::has_one(directory) {
        return Ok(None);
    }
    match ModelConfig::read(directory, name) {
        Err(_) if !path.is_dir() => Ok(None),
        stated => stated.map(Some),
    }
}

/// The types of a GGUF model's matrices: of the file at `path`, or those that the model's name stands for.
pub fn tensor_types(config: &ModelConfig, path: Option<&Path>) -> Result<TensorTypes, EngineError> {
    if let Some(path) = path {
        return Ok(TensorTypes::of_file(GgufFiles::open(path)?.tensors(), config));
    }
    let name = &config.shape.id;
    let mixture = models::of_file(name).1.and_then(Mixture::named).ok_or_else(|| {
        let why = format!("{name}: it isn't known which types this quantization has");
        EngineError::refused(
            why,
            format!("after the id, name one of {}", mixture::words().collect::<Vec<_>>().join(", ")),
        )
    })?;
    Ok(TensorTypes::of_mixture(mixture, config))
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
