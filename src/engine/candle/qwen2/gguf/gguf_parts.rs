//! Which GGUF files make up a model: one, or all parts of one that llama.cpp has split (`NAME-00001-of-00003.gguf`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::engine::EngineError;

const ENDING: &str = ".gguf";

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

/// The model of `directory` whose file's name ends with the quantization `kind`, in any case: `q4_k_m`.
pub fn of_kind(directory: &Path, kind: &str) -> Result<PathBuf, EngineError> {
    let models = models(directory);
    let mut fitting = models.iter().filter(|model| is_of_kind(model, kind));
    match (fitting.next(), fitting.next()) {
        (Some(model), None) => Ok(model.clone()),
        (Some(one), Some(other)) => {
            let why = format!("{} and {} are both {kind}", one.display(), other.display());
            Err(EngineError::refused(why, "name one of the files"))
        }
        (None, _) => {
            let why = format!("{} has no GGUF file of the quantization {kind}", directory.display());
            Err(EngineError::refused(why, format!("it has {}", names(&models))))
        }
    }
}

/// Does it have GGUF files?
pub fn has_any(directory: &Path) -> bool {
    !models(directory).is_empty()
}

/// The only file of each model in `directory`, or its first.
fn models(directory: &Path) -> Vec<PathBuf> {
    let names =
        directory.read_dir().into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let first = |name: String| match Part::of(&name) {
        Some(part) => Some(part.named(1)),
        None => name.to_ascii_lowercase().ends_with(ENDING).then_some(name),
    };
    names.filter_map(first).collect::<BTreeSet<_>>().iter().map(|name| directory.join(name)).collect()
}

fn names(models: &[PathBuf]) -> String {
    const SHOWN: usize = 20;
    let names: Vec<_> = models.iter().take(SHOWN).filter_map(|model| model.file_name()?.to_str()).collect();
    let more = if models.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.join(", "))
}

fn is_of_kind(model: &Path, kind: &str) -> bool {
    let Some(name) = model.file_name().and_then(|name| name.to_str()) else { return false };
    let whole = Part::of(name).map(|part| part.name);
    let name = whole.as_deref().unwrap_or(name).to_ascii_lowercase();
    let name = name.strip_suffix(ENDING).unwrap_or(&name);
    match name.strip_suffix(&kind.to_ascii_lowercase()) {
        Some(before) => before.is_empty() || before.ends_with(['-', '.', '_']),
        None => false,
    }
}

/// The file and, if it is a part, the others; all are there.
fn parts(file: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let part = file.file_name().and_then(|name| Part::of(name.to_str()?));
    let files = match part {
        None => vec![file.to_owned()],
        Some(part) => (1..=part.count).map(|number| file.with_file_name(part.named(number))).collect(),
    };
    // A pipe would be waited for.
    match files.iter().find(|file| !file.is_file()) {
        None => Ok(files),
        Some(missing) => {
            let why = format!("{} is missing, or no file", missing.display());
            Err(EngineError::refused(why, "all parts of a model must lie together"))
        }
    }
}

/// The name of a part.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    name: String,
    /// From 1.
    pub number: usize,
    pub count: usize,
}

impl Part {
    /// `None` for the name of a whole file.
    pub fn of(name: &str) -> Option<Self> {
        let (start, count) = name.strip_suffix(ENDING)?.rsplit_once("-of-")?;
        let (name, number) = start.rsplit_once('-')?;
        let five = |digits: &str| (digits.len() == 5).then(|| digits.parse::<usize>().ok()).flatten();
        let (number, count) = (five(number)?, five(count)?);
        (1..=count).contains(&number).then(|| Self { name: name.to_owned(), number, count })
    }

    fn named(&self, number: usize) -> String {
        format!("{}-{number:05}-of-{:05}{ENDING}", self.name, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_names() {
        let part = Part::of("qwen-q4_k_m-00002-of-00003.gguf").unwrap();
        assert_eq!((part.number, part.count, part.named(1).as_str()), (2, 3, "qwen-q4_k_m-00001-of-00003.gguf"));
        for name in ["qwen.gguf", "q-00004-of-00003.gguf", "q-00000-of-00001.gguf", "q-1-of-2.gguf", "a-of-00001.gguf"]
        {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }

    #[test]
    fn a_quantization_is_a_whole_word_of_the_name() {
        for name in ["a-q4_k_m.gguf", "a.Q4_K_M.gguf", "q4_k_m.gguf", "a-q4_k_m-00001-of-00002.gguf"] {
            assert!(is_of_kind(Path::new(name), "q4_k_m"), "{name}");
        }
        for name in ["a-iq4_k_m.gguf", "a-q4_k_m_l.gguf", "a-q4_k.gguf"] {
            assert!(!is_of_kind(Path::new(name), "q4_k_m"), "{name}");
        }
    }
}
