//! Names of GGUF files: the quantization is their last word, and parts of a split file are numbered.

use std::path::Path;

const ENDING: &str = ".gguf";

/// Is it the name of a GGUF file of this quantization, `q4_k_m` say? Case doesn't matter, as hubs have both.
pub fn is_of_kind(name: &str, kind: &str) -> bool {
    let whole = Part::of(name).map(|part| part.name);
    let name = whole.as_deref().unwrap_or(name).to_ascii_lowercase();
    let stem = if whole.is_some() { Some(name.as_str()) } else { name.strip_suffix(ENDING) };
    match stem.and_then(|stem| stem.strip_suffix(&kind.to_ascii_lowercase())) {
        Some(before) => before.is_empty() || before.ends_with(['-', '.', '_']),
        None => false,
    }
}

/// Of a model, the name of its only file or of its first part; `None` for the name of no GGUF file.
pub fn first(name: &str) -> Option<String> {
    match Part::of(name) {
        Some(part) => Some(part.named(1)),
        None => name.to_ascii_lowercase().ends_with(ENDING).then(|| name.to_owned()),
    }
}

/// Is it the name of a GGUF file?
pub fn is_named(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| first(name).is_some())
}

/// A part of a file that llama.cpp has split: `NAME-00001-of-00003.gguf`.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    name: String,
    /// From 1.
    pub number: usize,
    /// How many there are.
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

    /// The name of another part, or of this.
    pub fn named(&self, number: usize) -> String {
        format!("{}-{number:05}-of-{:05}{ENDING}", self.name, self.count)
    }

    /// The names of all parts.
    pub fn all(&self) -> impl Iterator<Item = String> {
        (1..=self.count).map(|number| self.named(number))
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
            assert!(is_of_kind(name, "q4_k_m"), "{name}");
        }
        for name in ["a-iq4_k_m.gguf", "a-q4_k_m_l.gguf", "a-q4_k.gguf", "a-q4_k_m", "a-q4_k_m.txt"] {
            assert!(!is_of_kind(name, "q4_k_m"), "{name}");
        }
    }
}
