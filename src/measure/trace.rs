//! `--trace FILE`: every gap between tokens, one JSON object a line for each run.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files;

/// A trace file that is being added to; a resumed session goes on in the same file.
pub struct Trace {
    file: File,
}

/// The gaps of one run: a line of the file.
#[derive(Serialize)]
pub struct TraceLine<'a> {
    /// Its id.
    pub session: &'a str,
    /// `base` or `head`; absent when there is only one side.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub side: &'a str,
    /// The case's id.
    pub case: &'a str,
    /// Counted from 1.
    pub round: u32,
    /// Every gap between tokens, in ms.
    pub itl_ms: &'a [f64],
}

impl Trace {
    /// A file that holds anything else is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        if holds_something_else(path) {
            return Err(Error::usage(format!("{} is there and is no trace", path.display()))
                .hint("name another file; a trace is only added to"));
        }
        let failed = |error| Error::usage(format!("can't write the trace to {}", path.display())).because(error);
        files::append(path).map(|file| Self { file }).map_err(failed)
    }

    /// A line.
    pub fn add(&mut self, line: &TraceLine) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}

/// What can't be read is told of when it is opened.
fn holds_something_else(path: &Path) -> bool {
    const START: &[u8] = b"{\"session\":";
    let mut start = Vec::new();
    let regular = path.metadata().is_ok_and(|file| file.is_file());
    let read = |file: File| file.take(START.len() as u64).read_to_end(&mut start);
    regular && File::open(path).and_then(read).is_ok() && !start.is_empty() && start != START
}
