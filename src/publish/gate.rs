//! What a report fails by.

use std::collections::BTreeSet;

use crate::compare::{CaseNote, Failing, NoteKind};
use crate::report::{Answer, Report};

/// All reasons to fail. A maintainer's word covers what was decided or left undecided on purpose: a regression, and what
/// the pull request made incomparable or took out of the suite. What failed to be measured, nobody knows.
pub fn failings(report: &Report, accepted: bool) -> BTreeSet<Failing> {
    let mut found = match &report.answer {
        Answer::Failed { .. } => BTreeSet::from([Failing::Missing, Failing::NotComparable]),
        Answer::FirstRun { .. } => BTreeSet::new(),
        Answer::Compared { comparison, .. } => comparison.failings(),
    };
    if report.is_unjudged() {
        found.insert(Failing::NotComparable);
    }
    if accepted && report.failure().is_none() {
        found.retain(|failing| match failing {
            Failing::Regression | Failing::NotComparable | Failing::Counters => false,
            Failing::Missing => lost(report).any(|note| !is_taken_out(report, note)),
            Failing::Inconclusive => true,
        });
    }
    found
}

/// Is there something that a maintainer's word covers?
pub fn can_be_accepted(report: &Report) -> bool {
    failings(report, false) != failings(report, true)
}

fn lost(report: &Report) -> impl Iterator<Item = &CaseNote> {
    report.comparison().into_iter().flat_map(|comparison| &comparison.notes).filter(|note| note.fails)
}

/// The head wasn't to measure it.
fn is_taken_out(report: &Report, note: &CaseNote) -> bool {
    note.kind == NoteKind::Missing && !report.head.cases.iter().any(|case| case.id == note.case)
}
