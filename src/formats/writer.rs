//! What a format of another tool is that can be written.

use serde::Serialize;

use super::cells::Cell;
use crate::error::{Error, Result};

/// A format of another tool, as it is written.
#[derive(Debug)]
pub struct Writer {
    /// The word for it on the command line: that of the format that is read.
    pub name: &'static str,
    /// What comes of it.
    pub what: &'static str,
    /// Each cell has a value at least.
    pub(super) write: fn(&[Cell]) -> Result<Written>,
}

/// What is written, and what a reader of it doesn't learn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub text: String,
    /// One sentence each.
    pub warnings: Vec<String>,
}

impl Writer {
    /// The file that holds the cells. Those without a value are left out.
    pub fn write(&self, mut cells: Vec<Cell>) -> Result<Written> {
        cells.retain_mut(|cell| {
            cell.values.retain(|value| value.is_finite());
            !cell.values.is_empty()
        });
        (self.write)(&cells)
    }
}

/// JSON, as people read it.
pub(super) fn pretty(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(Error::usage)
}
