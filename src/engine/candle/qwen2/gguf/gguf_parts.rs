//! Which GGUF files make up a model: one, or all parts of one that llama.cpp has split.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::engine::EngineError;
use crate::hub::gguf_name::{self, Part};

/// All files of the model that `path` is: one of its files, or a directory with no other model.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, EngineError> {
    if !path.is_dir() {
        return parts(path);
    }
    let models = models(path);
    match &models[..] {
        [] => Err(EngineError::refused(format!("{}: no GGUF file", path.display()), "is it a model's directory?")),
        [model] => parts(model),
        [first, ..] => {
            let why = format!("{} has GGUF files of several models: {}", path.display(), names(&models));
            Err(EngineError::refused(why, format!("name one of the files, such as {}", first.display())))
        }
    }
}

/// The model of `directory` whose file's name ends with the quantization `kind`.
pub fn of_kind(directory: &Path, kind: &str) -> Result<PathBuf, EngineError> {
    let models = models(directory);
    let named = |model: &&PathBuf| {
        let name = model.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| gguf_name::is_of_kind(name, kind))
    };
    match models.iter().filter(named).collect::<Vec<_>>()[..] {
        [model] => Ok(model.clone()),
        [] => {
            let why = format!("{} has no GGUF file of the quantization {kind}", directory.display());
            Err(EngineError::refused(why, format!("it has {}", names(&models))))
        }
        [one, other, ..] => {
            let why = format!("{} and {} are both of the quantization {kind}", one.display(), other.display());
            Err(EngineError::refused(why, "name one of the files"))
        }
    }
}

/// Does it have GGUF files?
pub fn has_any(directory: &Path) -> bool {
    !models(directory).is_empty()
}

/// Does it have those of one model, and no other's?
pub fn has_one(directory: &Path) -> bool {
    models(directory).len() == 1
}

/// The only file of each model in `directory`, or its first.
fn models(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let firsts: BTreeSet<_> = names.filter_map(|name| gguf_name::first(&name)).collect();
    firsts.iter().map(|name| directory.join(name)).collect()
}

fn names(models: &[PathBuf]) -> String {
    const SHOWN: usize = 20;
    let names: Vec<_> = models.iter().take(SHOWN).filter_map(|model| model.file_name()?.to_str()).collect();
    let more = if models.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.join(", "))
}

/// The file and, if it is a part, the others; all are there.
fn parts(file: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let part = file.file_name().and_then(|name| Part::of(name.to_str()?));
    let files: Vec<_> = match part {
        None if file.is_file() => return Ok(vec![file.to_owned()]),
        None => return Err(EngineError::Failed(format!("{}: there is no such file", file.display()))),
        Some(part) => part.all().map(|name| file.with_file_name(name)).collect(),
    };
    // A pipe would be waited for.
    match files.iter().find(|file| !file.is_file()) {
        None => Ok(files),
        Some(missing) => {
            let why = format!("{} is missing, or is no file", missing.display());
            Err(EngineError::refused(why, "all parts of a model lie together"))
        }
    }
}
