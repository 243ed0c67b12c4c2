//! `--trace FILE`: every gap between tokens, one JSON object a line for each run.

use std::fs::File;
use std::io::{self, Write};
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
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::usage(format!("can't write the trace to {}", path.display())).because(error);
        files::append(path).map(|file| Self { file }).map_err(failed)
    }

    pub fn add(&mut self, line: &TraceLine) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}
