//! The report: all that a comment, a summary and a check run are made from, in one file (`report.json`).
//!
//! `ci` writes it where the measuring happens; `publish` reads it on a machine that trusts nothing in it.

use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::error::{Error, Result};
use crate::results::{self, Results};

/// The schema that is written; 1 is read as well. It held results of schema 1, and was the same otherwise.
pub const SCHEMA: u32 = 2;

/// A larger file is refused unread. 2,000 rows with their samples take about 10 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// One suite on one kind of hardware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: u32,
    pub suite: String,
    /// The fingerprint that names the baseline file, such as `nvidia-h100-80gb-hbm3`.
    pub hardware: String,
    /// What was measured.
    pub head: Results,
    /// What it was compared with; absent on a first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Results>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Against the last release: shows what creeps in over many pull requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseComparison>,
    /// Without a baseline, the same build measured as base and head: what this machine can tell apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_check: Option<Comparison>,
    /// The pull request, as the measuring job knew it. A claim: `publish` checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseComparison {
    /// The release's tag.
    pub label: String,
    pub comparison: Comparison,
}

/// Reads a report, whoever wrote it: bounded in size, checked in shape.
pub fn read(path: &Path) -> Result<Report> {
    let name = path.display();
    let wrong = |why: String| Error::usage(format!("can't read the report {name}: {why}"));
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let version: Version = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if !(1..=SCHEMA).contains(&version.schema) {
        return Err(wrong(format!("it has schema {}, this bench-diff reads 1 to {SCHEMA}", version.schema)));
    }
    serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
}

/// Writes a report, whole or not at all.
pub fn write(report: &Report, path: &Path) -> Result<()> {
    let written = results::write_atomically(path, |out| Ok(serde_json::to_writer(out, report)?));
    written.map_err(|error| Error::usage(format!("can't write the report {}: {error}", path.display())))
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}
