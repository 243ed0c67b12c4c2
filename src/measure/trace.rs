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

#[derive(Serialize)]
pub struct TraceLine<'a> {
    pub session: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub side: &'a str,
    pub case: &'a str,
    pub round: u32,
    pub itl_ms: &'a [f64],
}

impl Trace {
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::usage(format!("can't write the trace to {}: {error}", path.display()));
        files::append(path).map(|file| Self { file }).map_err(failed)
    }

    pub fn add(&mut self, line: &TraceLine) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }
}
