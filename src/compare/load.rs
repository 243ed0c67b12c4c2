//! Reads both files of a comparison: ours, plain samples, or another tool's.

use std::io;
use std::path::Path;
use std::thread;

use super::side::Side;
use super::{foreign_side, plain_samples};
use crate::error::{Error, Result};
use crate::formats::{self, Format};
use crate::recognize::{Foreign, recognize};
use crate::results;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Results,
    /// Of another tool or by hand: the file's name goes on with these words.
    Samples(String),
}

/// Base and head, read side by side: large files take seconds. `-` is standard input. `from` is the format of both, if
/// somebody says it.
pub fn load(base: &Path, head: &Path, from: Option<&'static Format>) -> Result<(Side, Side)> {
    if is_stdin(base) && is_stdin(head) {
        return Err(Error::usage("standard input can be only one of the two files").hint("name the other file"));
    }
    let (base_read, head_read) = thread::scope(|scope| {
        let base_read = scope.spawn(|| load_one(base, from));
        let head_read = load_one(head, from);
        (base_read.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), head_read)
    });
    let ((base_kind, base_side), (head_kind, head_side)) = (base_read?, head_read?);
    match (base_kind, head_kind) {
        (Kind::Results, Kind::Samples(what)) => Err(mixed(&base_side, &head_side, &what)),
        (Kind::Samples(what), Kind::Results) => Err(mixed(&head_side, &base_side, &what)),
        _ => Ok((base_side, head_side)),
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
    if is_stdin(path) {
        let name = "standard input";
        return parse(name, results::read_bounded(io::stdin().lock(), Path::new(name))?, from);
    }
    let name = path.display().to_string();
    if path.is_dir() {
        let reading = formats::read_folder(path, from, results::read_bytes)?;
        return Ok((Kind::Samples("is a folder of other tools' files".to_owned()), foreign_side::side(&name, reading)));
    }
    parse(&name, results::read_bytes(path)?, from)
}

fn parse(name: &str, text: Vec<u8>, from: Option<&'static Format>) -> Result<(Kind, Side)> {
    let ours = || text.trim_ascii_start().starts_with(b"{") && results::schema_of(&text).is_some();
    if let Some(format) = from.or_else(|| if ours() { None } else { formats::recognize(&text) }) {
        let reading = format.read(name, &text).map_err(|error| mistaken(name, &text, format).unwrap_or(error))?;
        let side = foreign_side::side(name, reading);
        return Ok((Kind::Samples(format!("is of {}", format.tool)), side));
    }
    match text.trim_ascii_start().first() {
        Some(b'{') => Ok((Kind::Results, Side::from_results(name, &results::parse(name, text)?))),
        Some(b'[') => Ok((Kind::Samples("is plain samples".to_owned()), plain_samples::parse(name, text)?)),
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
