//! The report: all that a comment, a summary and a check run are made from, in one file (`report.json`).
//!
//! `ci` writes it where the measuring happens; `publish` reads it on a machine that trusts nothing in it. Here is what it
//! is in memory; `report_v3` is the file, and `conversion` goes between them.

mod caveats;
mod conversion;
mod equal_builds;
mod report_v3;
mod reproduction;

use std::fmt::{self, Write as _};
use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use equal_builds::EqualBuilds;
pub use reproduction::{Contenders, Reproduction};

use crate::calibrate::{Calibration, calibrate};
use crate::compare::{self, Comparison};
use crate::error::{Error, Result};
use crate::files;
use crate::results::{self, Level, Results};
pub use caveats::{Caveats, SuiteChange};

/// The schema that is written; 1 and 2 are read as well. 1 held results of schema 1; both had older names of a row's noise
/// threshold and minimum detectable effect.
pub const SCHEMA: u32 = 3;

/// A larger file is refused unread. 2,000 rows with their samples take about 10 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// One suite on one kind of hardware.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its name in the configuration.
    pub suite: String,
    /// The fingerprint that names the baseline file, such as `nvidia-h100-80gb-hbm3`.
    pub hardware: String,
    /// What was measured.
    pub head: Results,
    /// What came of it.
    pub answer: Answer,
    /// The pull request, as the measuring job knew it. A claim: `publish` checks it.
    pub pull_request: Option<u64>,
    /// What was measured where, as the measuring job knew it. `publish` refuses what is of something else.
    pub origin: Option<Origin>,
    /// What keeps it from being the verdict that was asked for.
    pub caveats: Caveats,
    /// The runs that decided what looked changed, base and head in turn. Absent where nothing was measured again.
    pub measured_again: Option<MeasuredAgain>,
    /// How to measure the same again. Absent in reports of older versions, and where nothing was measured.
    pub reproduction: Option<Reproduction>,
}

/// Base and head of one session: the cases that looked changed against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasuredAgain {
    /// What the head was measured against.
    pub base: Results,
    /// What is judged.
    pub head: Results,
}

/// What came of a measurement.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Answer {
    /// Nothing could be measured.
    Failed {
        /// The reason, in words.
        why: String,
    },
    /// There was no baseline.
    FirstRun {
        /// The same build measured as base and head: what this machine can tell apart. Old reports have none.
        self_check: Option<Comparison>,
        /// Against the last release.
        release: Option<ReleaseComparison>,
    },
    /// The head was compared.
    Compared {
        /// What it was compared with.
        base: Results,
        /// Of head and base.
        comparison: Comparison,
        /// Against the last release: shows what creeps in over many pull requests.
        release: Option<ReleaseComparison>,
    },
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
    /// Measured at somebody's desk: neither in a workflow nor for a pull request. Reports of older versions don't say it.
    pub fn is_local(&self) -> bool {
        self.pull_request.is_none() && self.origin.as_ref().is_some_and(|origin| origin.run_id.is_none())
    }

    /// Of what was measured, and what came of it.
    pub fn of(head: Results, hardware: String, answer: Answer) -> Self {
        Self {
            suite: head.suite.clone(),
            hardware,
            head,
            answer,
            pull_request: None,
            origin: None,
            caveats: Caveats::default(),
            measured_again: None,
            reproduction: None,
        }
    }

    /// Nothing is known but what it should have been of.
    pub fn of_nothing(subject: &Subject, why: &str) -> Self {
        let answer = Answer::Failed { why: why.to_owned() };
        Self::of(nothing_of(&subject.suite), subject.hardware.clone(), answer)
    }

    /// Why nothing could be measured.
    pub fn failure(&self) -> Option<&str> {
        match &self.answer {
            Answer::Failed { why } => Some(why),
            Answer::FirstRun { .. } | Answer::Compared { .. } => None,
        }
    }

    /// There was nothing to compare with.
    pub fn is_first_run(&self) -> bool {
        matches!(self.answer, Answer::FirstRun { .. })
    }

    /// A comparison was promised, and none took place.
    pub fn is_unjudged(&self) -> bool {
        self.failure().is_some() || self.caveats.break_a_promise()
    }

    /// Of head and base.
    pub fn comparison(&self) -> Option<&Comparison> {
        match &self.answer {
            Answer::Compared { comparison, .. } => Some(comparison),
            Answer::Failed { .. } | Answer::FirstRun { .. } => None,
        }
    }

    /// The runs behind the comparison's confirmed rows, or behind the others: base and head.
    pub fn deciding(&self, confirmed: bool) -> (Option<&Results>, &Results) {
        match &self.measured_again {
            Some(again) if confirmed => (Some(&again.base), &again.head),
            _ => (self.base(), &self.head),
        }
    }

    /// What the head was compared with.
    pub fn base(&self) -> Option<&Results> {
        match &self.answer {
            Answer::Compared { base, .. } => Some(base),
            Answer::Failed { .. } | Answer::FirstRun { .. } => None,
        }
    }

    /// Against the last release.
    pub fn release(&self) -> Option<&ReleaseComparison> {
        match &self.answer {
            Answer::FirstRun { release, .. } | Answer::Compared { release, .. } => release.as_ref(),
            Answer::Failed { .. } => None,
        }
    }

    /// The same build as base and head.
    pub fn self_check(&self) -> Option<&Comparison> {
        match &self.answer {
            Answer::FirstRun { self_check, .. } => self_check.as_ref(),
            Answer::Failed { .. } | Answer::Compared { .. } => None,
        }
    }

    /// What follows from a measurement of one program on both sides.
    pub fn calibration(&self) -> Option<Calibration> {
        let runs = self.head.settings.runs;
        let same = self.comparison().filter(|comparison| comparison.same_program.is_some());
        self.self_check().or(same).map(|check| calibrate(&self.suite, &self.hardware, runs, runs, check))
    }

    /// How often the comparison was wrong about builds that are equal, as far as the report holds such.
    pub fn equal_builds(&self) -> Option<EqualBuilds> {
        match &self.answer {
            Answer::Compared { base, comparison, .. } => EqualBuilds::of(base, comparison),
            Answer::FirstRun { self_check, .. } => EqualBuilds::of_self_check(self_check.as_ref()?),
            Answer::Failed { .. } => None,
        }
    }

    /// Without a comparison, what was measured in the last session, case by case.
    pub fn levels(&self) -> Vec<Level> {
        match (&self.answer, self.head.sessions.last()) {
            (Answer::Failed { .. } | Answer::FirstRun { .. }, Some(session)) => {
                results::levels(&self.head.cases, session)
            }
            _ => Vec::new(),
        }
    }

    /// With everything that follows from the rows of its comparisons, whatever these held of it: nobody's word is taken
    /// for a sum.
    #[must_use]
    pub fn derived(mut self) -> Self {
        let (compared, release) = match &mut self.answer {
            Answer::Failed { .. } => (None, None),
            Answer::FirstRun { self_check, release } => (self_check.as_mut(), release.as_mut()),
            Answer::Compared { base, comparison, release } => {
                comparison.acquit(compare::same_program_of(base, &self.head));
                (Some(comparison), release.as_mut())
            }
        };
        let release = release.map(|release| &mut release.comparison);
        for comparison in compared.into_iter().chain(release) {
            comparison.summarize();
            let alpha = comparison.alpha;
            comparison.attributed.iter_mut().for_each(|attributed| attributed.bound(alpha));
        }
        self.explain();
        self
    }

    /// The cause of each row that changed, by the runs that decided it.
    fn explain(&mut self) {
        let sides = |(base, head): (Option<&Results>, &Results)| {
            let base = base.map(|base| compare::Side::from_results("base", base)).unwrap_or_default();
            [base, compare::Side::from_results("head", head)]
        };
        if self.comparison().is_none_or(|comparison| !comparison.has_changes()) {
            return;
        }
        let first = sides(self.deciding(false));
        let confirmed = self.measured_again.is_some().then(|| sides(self.deciding(true)));
        if let Answer::Compared { comparison, .. } = &mut self.answer {
            comparison.explain(first.each_ref(), confirmed.as_ref().unwrap_or(&first).each_ref());
        }
    }
}

/// Results without a session or a case.
fn nothing_of(suite: &str) -> Results {
    Results {
        suite: suite.to_owned(),
        label: None,
        cases: Vec::new(),
        settings: Default::default(),
        sessions: Vec::new(),
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
