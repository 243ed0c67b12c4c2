//! Where a kernel is written: found by its name in sources, which a compiler doesn't have to be asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files;

/// What CUDA is written in.
const ENDINGS: [&str; 5] = ["cu", "cuh", "h", "hpp", "inl"];
/// Of sources, more files or longer ones aren't read.
const MOST_FILES: usize = 20_000;

/// A longer file is no source of kernels.
const MOST_BYTES: u64 = 16 << 20;
const MAX_BYTES: u64 = 4 << 20;
/// Between the word and the name of a kernel there are its attributes.
const MOST_BETWEEN: usize = 500;

/// Names that stand in files of CUDA, and where first.
#[derive(Debug, Default)]
pub struct Sources {
    /// `__global__ ... NAME(`
    definitions: HashMap<String, Place>,
    /// `MACRO(..., NAME, ...)`: a macro makes the kernel.
    arguments: HashMap<String, Place>,
    /// `__global__ ... prefix_##NUMBER(`: a macro makes its name.
    patterns: Vec<(Pattern, Place)>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// From the folder of the sources.
    pub path: String,
    pub line: usize,
}

impl Sources {
    /// Of a folder and those in it.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut paths = files_under(folder)?;
        paths.sort();
        let mut sources = Self::default();
        for path in paths.iter().take(MOST_FILES) {
            if let (Ok(text), Ok(inner)) = (files::read_at_most(path, MOST_BYTES), path.strip_prefix(folder)) {
                sources.add(&slashes(inner), &String::from_utf8_lossy(&text));
            }
        }
        Ok(sources)
    }

    /// What stands in one of them.
    fn add(&mut self, path: &str, text: &str) {
        for (at, line) in lines(text) {
            let place = || Place { path: path.to_owned(), line: at };
            for argument in arguments(line) {
                self.arguments.entry(argument.to_owned()).or_insert_with(place);
            }
        }
        let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        for (at, _) in text.match_indices("__global__") {
            for (word, offset) in called(head(&text[at..])) {
                let line = starts.partition_point(|start| *start < at + offset) + 1;
                let place = Place { path: path.to_owned(), line };
                match Pattern::of(word) {
                    Some(pattern) => self.patterns.push((pattern, place)),
                    None => drop(self.definitions.entry(word.to_owned()).or_insert(place)),
                }
            }
        }
    }

    /// Of a kernel by the name that traces show.
    pub fn place(&self, kernel: &str) -> Option<&Place> {
        let name = own_name(kernel)?;
        let pattern = || self.patterns.iter().find(|(pattern, _)| pattern.fits(name)).map(|(_, place)| place);
        self.definitions.get(name).or_else(|| self.arguments.get(name)).or_else(pattern)
    }
}

fn files_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(inner) = folders.pop() {
        for entry in inner.read_dir().map_err(|error| Error::reading(&inner, error))? {
            let entry = entry.map_err(|error| Error::reading(&inner, error))?;
            let (path, kind) = (entry.path(), entry.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && is_source(&path) => found.push(path),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    let of_cuda = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
    of_cuda && path.metadata().is_ok_and(|data| data.len() <= MAX_BYTES)
}

impl Place {
    /// On GitHub, of the folder `within` the repository.
    pub fn link(&self, repository: &str, commit: &str, within: &str) -> Option<String> {
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c));
        let path = [within, &self.path].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        let is_commit = commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit());
        (is_commit && is_plain(&path)).then(|| format!("{repository}/blob/{commit}/{path}#L{}", self.line))
    }
}

/// The page of a repository that was cloned from there: `https://github.com/OWNER/NAME`.
pub fn page_of(origin: &str) -> Option<String> {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let path = rest.strip_prefix("github.com/").or_else(|| rest.strip_prefix("github.com:"))?;
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) && name != ".."
    };
    let (owner, name) = path.split_once('/')?;
    (is_name(owner) && is_name(name)).then(|| format!("https://github.com/{owner}/{name}"))
}

fn slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Of `ns::gemv<float>` it is `gemv`.
fn own_name(kernel: &str) -> Option<&str> {
    let name = kernel.split('<').next()?.rsplit("::").next()?;
    (!name.is_empty() && name.chars().all(is_part_of_name)).then_some(name)
}

fn is_part_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Up to where something else begins.
fn head(text: &str) -> &str {
    let head = &text[..text.floor_char_boundary(MOST_BETWEEN)];
    &head[..head.find(['{', '}', ';']).unwrap_or(head.len())]
}

/// Words before a parenthesis, and where they are.
fn called(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.match_indices('(').filter_map(|(at, _)| {
        let before = text[..at].trim_end();
        let word = before.char_indices().rev().take_while(|(_, c)| is_part_of_name(*c) || *c == '#');
        word.last().map(|(start, _)| (&before[start..], start))
    })
}

/// Without their comments, and their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = |line: &'_ str| !line.trim_start().starts_with(['*', '/']);
    let lines = text.lines().enumerate().filter(move |(_, line)| code(line));
    lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

/// Words that stand alone between commas or parentheses.
fn arguments(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split([',', '(', ')']).map(str::trim);
    parts.filter(|part| {
        !part.is_empty() && part.chars().all(is_part_of_name) && !part.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// How a macro makes names: what is written out of them.
#[derive(Debug, PartialEq, Eq)]
struct Pattern {
    first: String,
    last: String,
}

impl Pattern {
    /// `name_##NUMBER##_end`, where what is written out has an underscore to its parameter.
    fn of(word: &str) -> Option<Self> {
        let (first, rest) = word.split_once("##")?;
        let last = rest.rsplit("##").next().unwrap_or_default();
        let first = if first.ends_with('_') { first } else { "" };
        let last = if last.starts_with('_') { last } else { "" };
        Some(Self { first: first.to_owned(), last: last.to_owned() })
    }

    fn fits(&self, name: &str) -> bool {
        let Self { first, last } = self;
        let written = first.len() + last.len();
        written > 0 && name.len() > written && name.starts_with(first.as_str()) && name.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As candle's and our own kernels are written.
    const TEXT: &str = r#"
// CAST_OP(float, cast_only_said, x) isn't code
#define CAST_OP(FROM, TO, FN_NAME) \
extern "C" __global__ void FN_NAME(  \
    const size_t numel) { }
CAST_OP(float, half, cast_f32_f16)
extern "C" __global__ void __launch_bounds__(256)
    norm(const float* x) { helper(x, other); }
template <int N> __global__ void gemv(float* x);
#define ATTENTION(head_dim)                                                    \
    extern "C" __global__ void __launch_bounds__(kThreads, 1) attention_##head_dim( \
        const float* x) {}
"#;

    fn line(kernel: &str) -> Option<usize> {
        let mut sources = Sources::default();
        sources.add("src/a.cu", TEXT);
        sources.place(kernel).map(|place| place.line)
    }

    #[test]
    fn a_kernel_is_found_where_it_is_written() {
        for (kernel, expected) in [
            ("norm", Some(8)),
            ("ns::gemv<32>", Some(9)),
            ("cast_f32_f16", Some(6)),
            ("attention_64", Some(11)),
            ("cast_only_said", None),
            ("attention_", None),
            ("other_library_kernel", None),
            ("", None),
            ("<>", None),
        ] {
            assert_eq!(line(kernel), expected, "{kernel}");
        }
    }

    #[test]
    fn links_lead_to_github_alone() {
        let place = Place { path: "src/reduce.cu".into(), line: 7 };
        let link = |page: &str, commit: &str| place.link(page, commit, "candle-kernels");
        let expected = "https://github.com/huggingface/candle/blob/0123abc/candle-kernels/src/reduce.cu#L7";
        assert_eq!(link("https://github.com/huggingface/candle", "0123abc").as_deref(), Some(expected));
        assert_eq!(link("https://github.com/huggingface/candle", "main"), None);
        let odd = Place { path: "a b](x).cu".into(), line: 1 };
        assert_eq!(odd.link("https://github.com/a/b", "0123abc", ""), None);
        for (origin, page) in [
            ("https://github.com/a/b.git", Some("https://github.com/a/b")),
            ("https://user:secret@github.com/a/b", Some("https://github.com/a/b")),
            ("git@github.com:a/b.git", Some("https://github.com/a/b")),
            ("ssh://git@github.com/a/b/", Some("https://github.com/a/b")),
            ("https://github.com.evil.org/a/b", None),
            ("https://evil.org/github.com/a/b", None),
            ("/home/me/github.com/a", None),
            ("https://github.com/a/b/c", None),
            ("https://github.com/a/..", None),
        ] {
            assert_eq!(page_of(origin).as_deref(), page, "{origin}");
        }
    }

    #[test]
    fn any_text_is_source() {
        for text in
            ["__global__", "__global__(", "__global__ ##(", "__global__ é##é(é", "((((,,,,))))", "__global__ a##b##c("]
        {
            let mut sources = Sources::default();
            sources.add("a.cu", text);
            assert_eq!(sources.place("kernel"), None, "{text}");
        }
    }
}
