//! Which files of a model are wanted.

use std::fs;
use std::path::Path;

use super::directory::{INDEX, SINGLE, is_whole};
use super::gguf_name::{self, Part};
use super::{HubError, ModelId};
use crate::models;

/// Which files of a model are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// What the engine reads: config.json and the safetensors.
    Weights,
    /// What any program needs to run it: its tokenizer and templates, too.
    Model,
    /// The GGUF files of this quantization, and config.json if there is one.
    Gguf(String),
    /// config.json, and files whose paths match one of these, in which `*` stands for anything.
    Matching(Vec<String>),
}

/// What is neither weights nor read by a program (pictures, say) isn't needed; other formats would be the weights again.
const READ: [&str; 6] = [".json", ".safetensors", ".txt", ".model", ".tiktoken", ".jinja"];

impl Selection {
    /// What the engine reads of a model, and the hub's id: `OWNER/NAME`, or `OWNER/NAME:q4_k_m` for a GGUF file.
    pub fn of(model: &str) -> Result<(ModelId, Self), HubError> {
        let (id, kind) = models::of_file(model);
        let wanted = kind.map_or(Self::Weights, |kind| Self::Gguf(kind.to_ascii_lowercase()));
        Ok((ModelId::parse(id)?, wanted))
    }

    /// Is all of it in this directory? Of a split file all parts are.
    pub fn is_in(&self, directory: &Path) -> bool {
        let Self::Gguf(kind) = self else { return is_whole(directory) };
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let name = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut fitting = name.filter(|name| gguf_name::is_of_kind(name, kind));
        fitting.any(|name| match Part::of(&name) {
            Some(part) => part.all().all(|part| directory.join(part).is_file()),
            None => directory.join(name).is_file(),
        })
    }

    /// Is this file wanted?
    pub fn takes(&self, path: &str) -> bool {
        match self {
            Self::Weights => path == "config.json" || path == INDEX || is_weights(path),
            Self::Model => !path.contains('/') && READ.iter().any(|end| path.ends_with(end)),
            Self::Gguf(kind) => path == "config.json" || !path.contains('/') && gguf_name::is_of_kind(path, kind),
            Self::Matching(patterns) => path == "config.json" || patterns.iter().any(|pattern| matches(pattern, path)),
        }
    }

    /// Are these files what was wanted? `all` is what the model has.
    pub fn check(&self, model: &ModelId, all: &[&str]) -> Result<(), HubError> {
        let taken = || all.iter().copied().filter(|path| self.takes(path));
        let gguf = || all.iter().copied().filter(|path| path.ends_with(".gguf"));
        let found = match self {
            Self::Weights | Self::Model => taken().any(is_weights),
            Self::Gguf(_) | Self::Matching(_) => taken().any(|path| path != "config.json"),
        };
        let shown = |paths: Vec<&str>| paths.into_iter().take(20).collect::<Vec<_>>().join(", ");
        match (found, gguf().next()) {
            (true, _) => Ok(()),
            (false, Some(_)) if let Self::Gguf(kind) = self => {
                Err(HubError::new(format!("{model} has no GGUF file of the quantization {kind}"))
                    .hint(format!("it has {}", shown(gguf().collect()))))
            }
            (false, Some(_)) => Err(HubError::new(format!("{model} has GGUF files of several quantizations"))
                .hint(format!("choose some with --include: {}", shown(gguf().collect())))),
            (false, None) if matches!(self, Self::Matching(_)) => {
                Err(HubError::new(format!("{model} has no file that --include names"))
                    .hint(format!("it has {}", shown(all.to_vec()))))
            }
            (false, None) => Err(HubError::new(format!("{model} has no safetensors"))
                .hint("use a model that has: the 42 of the Qwen2.5 collection do, but for GGUF")),
        }
    }
}

/// `model.safetensors`, or a part of it.
fn is_weights(path: &str) -> bool {
    path == SINGLE || path.starts_with("model-") && path.ends_with(".safetensors") && !path.contains('/')
}

/// `*` stands for any letters, also none; case doesn't matter, as hubs spell quantizations in both.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.to_lowercase(), path.to_lowercase());
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = &parts[..] else { return pattern == path };
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for pattern in ["*q4_k_m*", "qwen*Q4_K_M.gguf", "*", "qwen-q4_k_m.gguf", "q*-*.gguf"] {
            assert!(matches(pattern, "qwen-q4_k_m.gguf"), "{pattern}");
        }
        for pattern in ["q4_k_m", "*q4_0*", "", "qwen*Q8.gguf", "qwen-q4_k_m.gguf*gguf"] {
            assert!(!matches(pattern, "qwen-q4_k_m.gguf"), "{pattern}");
        }
    }
}
