//! What to do now.

use crate::compare::{Comparison, NoteKind, Row, Tier, Verdict};
use crate::number::count;
use crate::page::{Line, command, foreign, line};
use crate::report::{Answer, Report};
use crate::results::occasions::{HISTORY, more_sessions};

/// For who compares files; `None` when there is nothing to do.
pub fn of_files(comparison: &Comparison) -> Option<Line> {
    if noted(comparison, NoteKind::FellBack) {
        return Some(FELL_BACK.into());
    }
    if comparison.counts.not_comparable > 0 {
        return Some("measure base and head on the same hardware with the same settings.".into());
    }
    if looks_changed(comparison) || comparison.counts.inconclusive > 0 {
        return settle(comparison);
    }
    None
}

/// For who reads a pull request.
pub fn of_pull_request(report: &Report, accepted: bool) -> Line {
    match &report.answer {
        Answer::Failed { .. } => {
            "find out why in the run's log, and run it again; until then nothing is known about this commit.".into()
        }
        Answer::FirstRun { .. } => line![
            "commit a baseline, and the next pull request is compared with it: download ",
            command("results.json"),
            " from the run, then ",
            update(),
            "."
        ],
        Answer::Compared { comparison, .. } => of_change(comparison, accepted),
    }
}

fn of_change(comparison: &Comparison, accepted: bool) -> Line {
    let counts = comparison.counts;
    if counts.regressed > 0 && accepted {
        return line![
            "nothing: the regression is accepted for this pull request. After merging, start the baseline anew with ",
            replace(),
            "."
        ];
    }
    if counts.regressed > 0 {
        return line![
            "find the cause, or, if it is worth it, a maintainer comments ",
            command("bench-accept: <reason>"),
            " and re-runs the check."
        ];
    }
    if noted(comparison, NoteKind::Failed) || noted(comparison, NoteKind::Missing) {
        return "see above why cases gave no numbers: they are not covered by this verdict.".into();
    }
    if noted(comparison, NoteKind::FellBack) {
        return FELL_BACK.into();
    }
    if noted(comparison, NoteKind::OutputChanged) {
        return "check that the changed output is intended: the same input gave other tokens than before.".into();
    }
    if counts.not_comparable > 0 {
        // A baseline with other settings takes no sessions.
        return line![
            "measure the base on this hardware with these settings, and start its baseline anew: ",
            replace(),
            "."
        ];
    }
    if let Some(step) = settle(comparison) {
        return step;
    }
    match (counts.inconclusive, counts.improved) {
        (0, 0) => "nothing to do.".into(),
        (0, _) => line!["after merging, keep the gain: ", replace(), "."],
        _ => "see above what would settle the inconclusive rows.".into(),
    }
}

const FELL_BACK: &str = "find out why what was asked for didn't run: the results of the head say so in their warnings.";

fn update() -> Line {
    command("bench-diff baseline update results.json")
}

/// After a change of speed: sessions of both levels in one history would be taken for drift.
fn replace() -> Line {
    command("bench-diff baseline update --replace results.json")
}

fn noted(comparison: &Comparison, kind: NoteKind) -> bool {
    comparison.notes.iter().any(|note| note.kind == kind)
}

fn looks_changed(comparison: &Comparison) -> bool {
    let changed = |verdict| matches!(verdict, Verdict::Regressed | Verdict::Improved);
    comparison.by_metric.iter().any(|tally| tally.what.unconfirmed || changed(tally.what.verdict))
}

/// What would make sure of what isn't.
fn settle(comparison: &Comparison) -> Option<Line> {
    let unconfirmed = comparison.by_metric.iter().any(|tally| tally.what.unconfirmed);
    let screened =
        comparison.tier == Tier::SingleBaseline && (looks_changed(comparison) || comparison.counts.inconclusive > 0);
    if unconfirmed && comparison.tier == Tier::History {
        return Some("to be sure, measure base and head interleaved in one session.".into());
    }
    if unconfirmed || screened {
        let missing = HISTORY.saturating_sub(comparison.base_occasions.unwrap_or(1)).max(1);
        return Some(line![
            "to be sure, measure base and head interleaved in one session, or add ",
            foreign(&more_sessions(missing, ""), 100),
            ", to the baseline with ",
            command("bench-diff baseline update"),
            "."
        ]);
    }
    let runs = comparison.rows.iter().filter_map(|row| row.runs_needed()).max()?;
    let hopeless = |row: &Row| row.verdict() == Verdict::Inconclusive && row.runs_needed().is_none();
    let what = if comparison.rows.iter().any(hopeless) { "what more runs can settle" } else { "what is inconclusive" };
    Some(line!["to settle ", what, ", measure again with ", command(line!["--runs ", count(runs as usize)]), "."])
}
