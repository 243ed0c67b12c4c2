//! Where a model's files are on this machine.

use std::path::{Path, PathBuf};

use super::qwen2::config::ModelConfig;
use super::qwen2::{gguf, reading};
use crate::case::{Quantization, WeightsSource};
use crate::engine::{EngineError, ModelSpec, Progress};
use crate::models::Model;
use crate::{hub, models};

/// A model's files on this machine.
pub enum Files {
    /// Generated weights of a built-in shape.
    None,
    /// config.json, and the weights unless they are generated; or a GGUF file.
    Directory {
        path: PathBuf,
        /// The commit, where the hub told one.
        revision: Option<String>,
    },
}

/// Who loads a model wants to know of downloading it, too.
struct Loading<'a>(Progress<'a>);

impl hub::Watcher for Loading<'_> {
    fn progress(&mut self, done: u64, total: u64) {
        (self.0)(done, total);
    }

    fn notice(&mut self, what: &str) {
        tracing::warn!("{what}");
    }
}

impl Files {
    /// Those that `spec` names; downloads what isn't in the cache yet.
    pub fn find(spec: &ModelSpec, progress: Progress) -> Result<Self, EngineError> {
        match (spec.weights, &spec.directory) {
            (WeightsSource::Hub, _) => {
                let snapshot = hub::find(spec.hub, &spec.model, spec.revision.as_deref(), &mut Loading(progress))?;
                let path = match models::of_file(&spec.model) {
                    (_, Some(kind)) => gguf::of_kind(&snapshot.directory, kind)?,
                    (_, None) => snapshot.directory,
                };
                Ok(Self::Directory { path, revision: snapshot.commit })
            }
            (WeightsSource::Local | WeightsSource::Generated, Some(directory)) => {
                Ok(Self::Directory { path: directory.clone(), revision: None })
            }
            (WeightsSource::Local, None) => {
                Err(EngineError::Failed(format!("{}: local weights need the model's directory", spec.model)))
            }
            (WeightsSource::Generated, None) => Ok(Self::None),
        }
    }

    /// The model's shape and position encoding. Refuses quantized weights.
    pub fn config(&self, spec: &ModelSpec) -> Result<ModelConfig, EngineError> {
        let published = models::find(&spec.model);
        let config = match self {
            Self::None => {
                let model = published.ok_or_else(|| {
                    let name = &spec.model;
                    let why = format!("{name} is not a model of the Qwen2.5 collection, so its shape is unknown");
                    EngineError::refused(why, "give a directory with its config.json")
                })?;
                ModelConfig::published(model, spec.max_length)
            }
            Self::Directory { path, .. } => {
                let mut config = reading::config(path, &spec.model)?;
                if let Some(model) = published.filter(|_| spec.weights == WeightsSource::Hub) {
                    check_published(path, &config, model)?;
                    config.stretch_published(spec.max_length);
                }
                config
            }
        };
        // Generated weights, too: numbers of unquantized ones would go by the quantized model's name.
        if !matches!(config.shape.quantization, Quantization::None | Quantization::Gguf) {
            let (name, quantization) = (&spec.model, config.shape.quantization);
            let why = format!("{name}: its weights are quantized ({quantization}), which can't be run yet");
            return Err(EngineError::refused(why, "use the unquantized model"));
        }
        Ok(config)
    }

    pub fn revision(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Directory { revision, .. } => revision.clone(),
        }
    }
}

/// A GGUF file of a model of the collection has that model in it.
fn check_published(path: &Path, config: &ModelConfig, model: &Model) -> Result<(), EngineError> {
    if config.shape.quantization != Quantization::Gguf {
        return Ok(());
    }
    let published = ModelConfig { yarn: config.yarn.clone(), ..ModelConfig::published(model, 0) };
    reading::check_agree(config, &published, "the model's name")
        .map_err(|error| EngineError::refused(format!("weights: {} {error}", path.display()), error.hint()))
}
