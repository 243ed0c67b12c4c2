//! The report: all that a comment, a summary and a check run are made from, in one file (`report.json`).
//!
//! `ci` writes it where the measuring happens; `publish` reads it on a machine that trusts nothing in it.

use std::fmt::{self, Write as _};
use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calibrate::{Calibration, calibrate};
use crate::compare::Comparison;
use crate::error::{Error, Result};
use crate::files;
use crate::results::{self, Level, Results};

/// The schema that is written; 1 is read as well. It held results of schema 1, and was the same otherwise.
pub const SCHEMA: u32 = 2;

/// A larger file is refused unread. 2,000 rows with their samples take about 10 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// One suite on one kind of hardware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this format: 2.
    pub schema: u32,
    /// Its name in the configuration.
    pub suite: String,
    /// The fingerprint that names the baseline file, such as `nvidia-h100-80gb-hbm3`.
    pub hardware: String,
    /// What was measured.
    pub head: Results,
    /// What it was compared with; absent on a first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Results>,
    /// Of head and base; absent where there is no base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Against the last release: shows what creeps in over many pull requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseComparison>,
    /// Without a baseline, the same build measured as base and head: what this machine can tell apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_check: Option<Comparison>,
    /// What follows from the self-check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Without a baseline, what was measured in the last session, case by case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Level>,
    /// The pull request, as the measuring job knew it. A claim: `publish` checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// What was measured where, as the measuring job knew it. `publish` refuses what is of something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Why nothing could be measured: then there are neither numbers nor a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What reports are about, from run to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Its name in the configuration.
    pub suite: String,
    /// The fingerprint of what it ran on.
    pub hardware: String,
}

/// The commit and the workflow run that a measurement is of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Origin {
    /// The head of the pull request, or what was checked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Absent outside of a workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<u64>,
    /// Counted from 1; absent outside of a workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_attempt: Option<u64>,
}

impl Origin {
    /// Can this be of `wanted`? What one of them doesn't say is no contradiction. Another attempt is the same run: a job
    /// that publishes may be run again alone.
    pub fn may_be(&self, wanted: &Self) -> bool {
        let commits = self.commit.as_ref().zip(wanted.commit.as_ref());
        let runs = self.run_id.zip(wanted.run_id);
        commits.is_none_or(|(a, b)| a.eq_ignore_ascii_case(b)) && runs.is_none_or(|(a, b)| a == b)
    }
}

/// `1111111 in workflow run 41`
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.as_deref().unwrap_or("an unnamed commit");
        commit.chars().take(40).try_for_each(|c| f.write_char(c))?;
        self.run_id.map_or(Ok(()), |run| write!(f, " in workflow run {run}"))
    }
}

impl Report {
    /// Of what was measured, compared with nothing yet.
    pub fn of(head: Results, hardware: String) -> Self {
        Self {
            schema: SCHEMA,
            suite: head.suite.clone(),
            hardware,
            head,
            base: None,
            comparison: None,
            release: None,
            self_check: None,
            calibration: None,
            levels: Vec::new(),
            pull_request: None,
            origin: None,
            failure: None,
        }
    }

    /// Nothing is known but what it should have been of.
    pub fn of_nothing(subject: &Subject, why: &str) -> Self {
        let head = Results {
            suite: subject.suite.clone(),
            label: None,
            cases: Vec::new(),
            settings: Default::default(),
            sessions: Vec::new(),
        };
        Self { failure: Some(why.to_owned()), ..Self::of(head, subject.hardware.clone()) }
    }

    /// With everything that follows from what was measured, whatever the report held of it: nobody's word is taken for a
    /// sum.
    #[must_use]
    pub fn derived(mut self) -> Self {
        let compared = self.comparison.iter_mut().chain(self.release.iter_mut().map(|release| &mut release.comparison));
        compared.chain(&mut self.self_check).for_each(Comparison::summarize);
        let runs = self.head.settings.runs;
        let calibrate = |check| calibrate(&self.suite, &self.hardware, runs, runs, check);
        self.calibration = self.self_check.as_ref().map(calibrate);
        self.levels = match (&self.comparison, self.head.sessions.last()) {
            (None, Some(session)) => results::levels(&self.head.cases, session),
            _ => Vec::new(),
        };
        self
    }
}

/// The head, compared with a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseComparison {
    /// The release's tag.
    pub label: String,
    /// What came of it.
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
    let report: Report = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(report.derived())
}

/// Writes a report, whole or not at all.
pub fn write(report: &Report, path: &Path) -> Result<()> {
    files::write(path, |out| {
        serde_json::to_writer(out, report)?;
        Ok(())
    })
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

/// A maintainer's word that a regression is intended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Their login.
    pub by: String,
    /// Why it is intended, in their words.
    pub reason: String,
    /// The comment that says so.
    pub url: String,
}
