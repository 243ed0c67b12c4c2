//! Reads both files of a comparison.

use std::path::Path;
use std::thread;

use super::plain_samples;
use super::side::Side;
use crate::error::{Error, Result};
use crate::recognize::{Foreign, recognize};
use crate::results;

/// Which of the two formats a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Results,
    Samples,
}

/// Base and head, read side by side: large files take seconds.
pub fn load(base: &Path, head: &Path) -> Result<(Side, Side)> {
    let (base_read, head_read) = thread::scope(|scope| {
        let base_read = scope.spawn(|| load_one(base));
        let head_read = load_one(head);
        (base_read.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), head_read)
    });
    let ((base_format, base_side), (head_format, head_side)) = (base_read?, head_read?);
    match (base_format, head_format) {
        (Format::Results, Format::Samples) => Err(mixed(base, head)),
        (Format::Samples, Format::Results) => Err(mixed(head, base)),
        _ => Ok((base_side, head_side)),
    }
}

fn mixed(results: &Path, samples: &Path) -> Error {
    Error::usage(format!("{} is a results file and {} is plain samples", results.display(), samples.display()))
        .hint("compare two files of the same kind")
}

fn load_one(path: &Path) -> Result<(Format, Side)> {
    let name = path.display().to_string();
    let text = results::read_bytes(path)?;
    match text.trim_ascii_start().first() {
        Some(b'{') => Ok((Format::Results, Side::from_results(&*name, &results::parse(&name, text)?))),
        Some(b'[') => Ok((Format::Samples, plain_samples::parse(&name, text)?)),
        None => Err(Error::usage(format!("{name} is empty"))),
        _ => Err(foreign(&name, &text)),
    }
}

/// Not JSON at all.
fn foreign(name: &str, text: &[u8]) -> Error {
    match recognize(text) {
        Some(Foreign { what, hint }) => Error::usage(format!("{name} {what}")).hint(hint),
        None => Error::usage(format!("{name} is neither a results file nor plain samples: both are JSON")),
    }
}
