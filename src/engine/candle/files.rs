//! Where a model's files are on this machine.

use std::path::{Path, PathBuf};

use super::kind;
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

    /// The model's shape, position encoding and quantization, which is the one that was asked for.
    pub fn config(&self, spec: &ModelSpec) -> Result<ModelConfig, EngineError> {
        let published = models::find(&spec.model);
        let config = match self {
            Self::None => {
                let model = published.ok_or_else(|| {
                    let name = &spec.model;
                    let why = format!("{name} is not a model of the Qwen2.5 collection, so its shape is unknown");
                    EngineError::refused(why, "give a directory with its config.json")
                })?;
                let mut config = ModelConfig::published(model, spec.max_length);
                config.shape.id.clone_from(&spec.model);
                config
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
        // Generated weights, too: their numbers go by the model's name.
        let (asked, found) = (spec.quantization, config.shape.quantization);
        if asked != Quantization::None && asked != found {
            let why = format!(
                "{}: its weights should be {asked}, and by its config.json they are {}",
                spec.model,
                kind(found)
            );
            return Err(EngineError::refused(why, "name the model that has them"));
        }
        if let Some(named) = models::quantization_in_name(&spec.model).filter(|named| *named != found) {
            let (named, found) = (kind(named), kind(found));
            let why = format!("{}: by its name its weights are {named}, and by its config.json {found}", spec.model);
            return Err(EngineError::refused(why, "rename it, or name the model that is meant"));
        }
        Ok(config)
    }

    /// Where the weights are, unless they are generated.
    pub fn weights(&self, spec: &ModelSpec) -> Option<&Path> {
        match self {
            Self::Directory { path, .. } if spec.weights != WeightsSource::Generated => Some(path),
            Self::Directory { .. } | Self::None => None,
        }
    }

    /// What else could have been meant.
    pub fn other_kind(&self, spec: &ModelSpec) -> Option<String> {
        let path = self.weights(spec).filter(|path| reading::has_both(path))?;
        let place = path.display();
        Some(format!("{place} has GGUF files as well: its safetensors were loaded; name one of the files to load that"))
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
