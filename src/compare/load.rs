//! Reads the files of a comparison: ours, plain samples, or another tool's.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use super::side::Side;
use super::{foreign_side, plain_samples};
use crate::error::{Error, Result};
use crate::formats::{self, Format};
use crate::recognize::{Foreign, recognize};
use crate::results::{self, Results};

/// What a file holds.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are as many as files")]
pub enum Content {
    /// Results that bench-diff wrote.
    Results(Box<Results>),
    /// Samples, of another tool or by hand: the file's name goes on with these words.
    Samples(Side, String),
}

/// What a file is, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Results,
    Samples(String),
}

/// Base and head, read side by side: large files take seconds. `-` is standard input. `from` is the format of both, if
/// somebody says it.
pub fn load(base: &Path, head: &Path, from: Option<&'static Format>) -> Result<(Side, Side)> {
    let mut sides = load_all(&[base.to_owned(), head.to_owned()], from)?.into_iter();
    let mut next = || sides.next().expect("two files were named");
    Ok((next(), next()))
}

/// Files of one kind, in their order.
pub fn load_all(files: &[PathBuf], from: Option<&'static Format>) -> Result<Vec<Side>> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        return Err(Error::usage("standard input can be only one of the files").hint("name the other file"));
    }
    let loaded: Vec<Result<(Kind, Side)>> = thread::scope(|scope| {
        let reading: Vec<_> = files.iter().map(|file| scope.spawn(|| load_one(file, from))).collect();
        let end = |thread: thread::ScopedJoinHandle<_>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        reading.into_iter().map(end).collect()
    });
    let loaded = loaded.into_iter().collect::<Result<Vec<_>>>()?;
    let results = loaded.iter().find(|(kind, _)| *kind == Kind::Results);
    let samples = loaded.iter().find_map(|(kind, side)| match kind {
        Kind::Samples(what) => Some((what, side)),
        Kind::Results => None,
    });
    match (results, samples) {
        (Some((_, results)), Some((what, samples))) => Err(mixed(results, samples, what)),
        _ => Ok(loaded.into_iter().map(|(_, side)| side).collect()),
    }
}

fn mixed(results: &Side, samples: &Side, what: &str) -> Error {
    Error::usage(format!("{} is a results file and {} {what}", results.name, samples.name))
        .hint("compare two files of the same kind")
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn load_one(path: &Path, from: Option<&'static Format>) -> Result<(Kind, Side)> {
    Ok(match read(path, from)? {
        Content::Results(results) => (Kind::Results, Side::from_results(name_of(path), &results)),
        Content::Samples(side, what) => (Kind::Samples(what), side),
    })
}

/// What errors call it.
fn name_of(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// What a file or folder holds; `-` is standard input. `from` is its format, if somebody says it.
pub fn read(path: &Path, from: Option<&'static Format>) -> Result<Content> {
    let name = name_of(path);
    if is_stdin(path) {
        return parse(&name, results::read_bounded(io::stdin().lock(), Path::new(&name))?, from);
    }
    if path.is_dir() {
        let reading = formats::read_folder(path, from, results::read_bytes)?;
        let what = "is a folder of other tools' files".to_owned();
        return Ok(Content::Samples(foreign_side::side(&name, reading), what));
    }
    parse(&name, results::read_bytes(path)?, from)
}

fn parse(name: &str, text: Vec<u8>, from: Option<&'static Format>) -> Result<Content> {
    let ours = || text.trim_ascii_start().starts_with(b"{") && results::schema_of(&text).is_some();
    if let Some(format) = from.or_else(|| if ours() { None } else { formats::recognize(&text) }) {
        let reading = format.read(name, &text).map_err(|error| mistaken(name, &text, format).unwrap_or(error))?;
        let side = foreign_side::side(name, reading);
        return Ok(Content::Samples(side, format!("is of {}", format.tool)));
    }
    match text.trim_ascii_start().first() {
        Some(b'{') => Ok(Content::Results(Box::new(results::parse(name, text)?))),
        Some(b'[') => Ok(Content::Samples(plain_samples::parse(name, text)?, "is plain samples".to_owned())),
        None => Err(Error::usage(format!("{name} is empty"))),
        _ => Err(foreign(name, &text)),
    }
}

/// A file that holds nothing of the format that it is said to have, but looks like another.
fn mistaken(name: &str, text: &[u8], said: &Format) -> Option<Error> {
    let error = |what: &str| Error::usage(format!("{name} is {what}, not a file of {}", said.tool));
    if text.trim_ascii_start().starts_with(b"{") && results::schema_of(text).is_some() {
        return Some(error("a results file of bench-diff").hint("leave out --from"));
    }
    let looks = formats::recognize(text).filter(|looks| looks.tool != said.tool)?;
    Some(error(&format!("of {}", looks.tool)).hint(format!("leave out --from, or say `--from {}`", looks.name)))
}

/// Nothing that can be compared.
fn foreign(name: &str, text: &[u8]) -> Error {
    match recognize(text) {
        Some(Foreign { what, hint }) => Error::usage(format!("{name} {what}")).hint(hint),
        None => Error::usage(format!("{name} is neither a results file nor plain samples: both are JSON")),
    }
}
