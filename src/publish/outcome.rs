//! What a step's reports come to: the gate, the outputs, the annotations.

use std::collections::BTreeSet;
use std::io;

use super::gate;
use super::policy::{FailOn, IfNoBaseline, Options};
use crate::compare::{Comparison, Counts, Failing, Row, Verdict};
use crate::error::Exit;
use crate::escape;
use crate::github::checks::Conclusion;
use crate::github::outputs::{Annotation, Files, Level};
use crate::number::signed_percent;
use crate::render::pull_request;
use crate::report::Report;

/// Over all reports of a step.
#[derive(Default)]
pub struct StepOutcome {
    verdict: Option<Verdict>,
    counts: Counts,
    failings: BTreeSet<Failing>,
    /// There is a report without a baseline.
    uncompared: bool,
    /// There is a report of nothing.
    unmeasured: bool,
    pub comments: Vec<String>,
}

impl StepOutcome {
    pub fn add(&mut self, report: &Report, accepted: bool) {
        self.failings.extend(gate::failings(report, accepted));
        self.unmeasured |= report.failure().is_some();
        self.uncompared |= report.is_first_run();
        // Also of a comparison without a row.
        if gate::failings(report, false).contains(&Failing::NotComparable) {
            self.verdict = self.verdict.max(Some(Verdict::NotComparable));
        }
        for row in rows(report) {
            *self.counts.of_mut(row.verdict()) += 1;
            self.verdict = self.verdict.max(Some(row.verdict()));
        }
    }

    pub fn exit(&self, options: &Options) -> Exit {
        let unjudged = self.uncompared && options.if_no_baseline == IfNoBaseline::Fail;
        if unjudged || options.fail_on.fails(&self.failings) { Exit::Regression } else { Exit::Success }
    }

    pub fn write(&self, files: &Files) -> io::Result<()> {
        for (name, value) in [
            ("verdict", self.word()),
            ("regressed", self.counts.regressed.to_string()),
            ("improved", self.counts.improved.to_string()),
            ("at-threshold", self.counts.at_threshold.to_string()),
            ("inconclusive", self.counts.inconclusive.to_string()),
            ("unchanged", self.counts.unchanged.to_string()),
            ("failing", self.failings.iter().map(|failing| failing.word()).collect::<Vec<_>>().join(",")),
            ("comment-url", self.comments.join("\n")),
        ] {
            files.set(name, &value)?;
        }
        Ok(())
    }

    /// A measurement that failed outweighs all others: what it would have said is not known.
    fn word(&self) -> String {
        match self.verdict {
            _ if self.unmeasured => "failed".to_owned(),
            None => "no_baseline".to_owned(),
            // As in the report.
            Some(verdict) => serde_json::json!(verdict).as_str().unwrap_or_default().to_owned(),
        }
    }
}

fn rows(report: &Report) -> impl Iterator<Item = &Row> {
    report.comparison().into_iter().flat_map(|comparison| &comparison.rows)
}

fn regressed(report: &Report) -> impl Iterator<Item = &Row> {
    rows(report).filter(|row| row.verdict() == Verdict::Regressed)
}

/// How a report's own check run ends.
pub fn conclusion(report: &Report, accepted: bool, options: &Options) -> Conclusion {
    let unjudged = report.is_first_run() && options.if_no_baseline == IfNoBaseline::Fail;
    let mut failings = gate::failings(report, accepted);
    if unjudged || options.fail_on.fails(&failings) {
        return Conclusion::Failure;
    }
    failings.remove(&Failing::Inconclusive);
    if failings.is_empty() { Conclusion::Success } else { Conclusion::Neutral }
}

/// Something changed, perhaps unconfirmed, or nothing was compared.
pub fn worth_saying(report: &Report) -> bool {
    let says = |comparison: &Comparison| comparison.rows.iter().any(Row::looks_changed) || !comparison.notes.is_empty();
    report.is_unjudged() || report.comparison().is_none_or(says)
}

/// As loud as the gate.
fn level(report: &Report, fail_on: &FailOn, accepted: bool) -> Level {
    if fail_on.fails(&gate::failings(report, accepted)) { Level::Error } else { Level::Warning }
}

/// Where nothing says of which suite, the message says it all.
pub fn annotation_of_failure(report: &Report, fail_on: &FailOn) -> Option<Annotation> {
    let (level, why) = (level(report, fail_on, false), escape::short_line(report.failure()?, 300));
    Some(match report.suite.as_str() {
        "" => Annotation { level, title: "bench-diff".to_owned(), message: format!("nothing was measured: {why}") },
        suite => Annotation {
            level,
            title: format!("bench-diff: nothing could be measured of {}", escape::short_line(suite, 80)),
            message: why,
        },
    })
}

/// A comparison was promised, and all or a part of it didn't take place.
fn unjudged(report: &Report, level: Level) -> Option<Annotation> {
    let incomparable = gate::failings(report, false).contains(&Failing::NotComparable);
    (incomparable && report.failure().is_none()).then(|| Annotation {
        level,
        title: format!("bench-diff: no verdict on {}", escape::short_line(&report.suite, 80)),
        message: pull_request::title(report),
    })
}

pub fn annotations(report: &Report, fail_on: &FailOn, accepted: bool) -> Vec<Annotation> {
    let level = level(report, fail_on, accepted);
    let unmeasured = annotation_of_failure(report, fail_on).into_iter();
    let regressions = regressed(report).map(|row| {
        let change = row.change().map_or_else(String::new, |change| format!(" changed by {}", signed_percent(change)));
        Annotation {
            level,
            title: format!("bench-diff: regression in {}", escape::short_line(&row.cell.case, 80)),
            message: format!("{}{change}", escape::short_line(row.cell.metric.as_str(), 60)),
        }
    });
    let notes = report.comparison().into_iter().flat_map(|comparison| &comparison.notes);
    let lost = notes.filter(|note| note.fails).map(|note| Annotation {
        level: Level::Warning,
        title: format!("bench-diff: no numbers for {}", escape::short_line(&note.case, 80)),
        message: escape::short_line(&note.reason, 300),
    });
    unmeasured.chain(unjudged(report, level)).chain(regressions).chain(lost).collect()
}
