//! What to do now.

use std::collections::BTreeSet;

use super::reproduce::Again;
use super::{SENTENCE, calibration, caveat_lines, other_work, what_moved};
use crate::compare::{CauseWord, Comparison, NoteKind, Outlook, ReasonCode, Tier, Verdict};
use crate::number::count;
use crate::page::{Block, Line, command, foreign, line};
use crate::report::{Answer, Report};
use crate::results::occasions::MoreOccasions;

/// What to do, in words; and the command that does it, where one does.
struct Step {
    words: Line,
    command: Option<String>,
}

impl From<Line> for Step {
    fn from(words: Line) -> Self {
        Self { words, command: None }
    }
}

impl From<&'static str> for Step {
    fn from(words: &'static str) -> Self {
        Line::from(words).into()
    }
}

impl Step {
    /// The words, and under them the command.
    fn blocks(self) -> Vec<Block> {
        std::iter::once(Block::Next(self.words)).chain(self.command.map(Block::Commands)).collect()
    }
}

/// For who compares files, or with `again` programs; nothing when there is nothing to do.
pub fn of_comparison(comparison: &Comparison, again: Option<&Again>) -> Vec<Block> {
    let step: Option<Step> = if noted(comparison, NoteKind::FellBack) {
        Some(FELL_BACK.into())
    } else if other_work::applies(comparison) {
        Some(other_work::step().into())
    } else if comparison.counts.not_comparable > 0 {
        Some(same_conditions(again).into())
    } else if let Some(step) = untestable(comparison) {
        Some(step.into())
    } else if looks_changed(comparison) || comparison.counts.inconclusive > 0 {
        settle(comparison, again)
    } else {
        None
    };
    step.map_or_else(Vec::new, Step::blocks)
}

/// Two files may differ on purpose; what is measured in turn differs by accident.
fn same_conditions(again: Option<&Again>) -> Line {
    let same = "measure base and head on the same hardware with the same settings";
    match again {
        Some(_) => line![same, "."],
        None => {
            line![same, "; or, if they differ on purpose, compare them with ", command("--allow-mismatch"), "."]
        }
    }
}

/// Where no row was tested, what a test takes: neither interleaving nor sessions of the same give it.
fn untestable(comparison: &Comparison) -> Option<&'static str> {
    let open = || comparison.rows.iter().filter(|row| row.verdict() == Verdict::Inconclusive);
    let all = |code: ReasonCode| open().all(|row| row.finding.reason_code().is_some_and(|found| found == code));
    match () {
        () if open().next().is_none() => None,
        () if all(ReasonCode::OnlyAverages) => {
            Some("give the samples of both sides: an average alone doesn't say how much it varies.")
        }
        () if all(ReasonCode::SingleRuns) => Some("measure both sides again, with 3 or more runs each."),
        () => None,
    }
}

/// For who compares what another tool measured.
pub fn of_samples(comparison: &Comparison) -> Option<Line> {
    if comparison.counts.not_comparable > 0 {
        return Some("give each metric the same unit and direction in both files.".into());
    }
    if !looks_changed(comparison) && comparison.counts.inconclusive == 0 {
        return None;
    }
    if let Some(step) = untestable(comparison) {
        return Some(step.into());
    }
    if comparison.tier == Tier::SingleBaseline {
        return Some(line![
            "to be sure, measure base and head in turn and compare with ",
            command("--same-session"),
            ", or give ",
            foreign(&missing(comparison).in_words(" of the base"), SENTENCE),
            ", as ",
            command("sessions"),
            "."
        ]);
    }
    let (what, runs) = open_rows(comparison)?;
    Some(line!["to settle ", what, ", take ", count(runs as usize), " samples per side."])
}

/// For who reads a pull request.
pub fn of_pull_request(report: &Report, accepted: bool) -> Vec<Block> {
    if let Some(step) = caveat_lines::next_step(report, accepted) {
        return vec![Block::Next(step)];
    }
    let again = Again::of_report(report);
    let step: Step = match &report.answer {
        Answer::Failed { .. } => {
            "find out why in the run's log, and run it again; until then nothing is known about this commit.".into()
        }
        Answer::FirstRun { .. } if report.is_local() => line![
            "run this again after a change: it is measured beside this build. For pull requests, commit a baseline: ",
            update(),
            "."
        ]
        .into(),
        Answer::FirstRun { .. } => line![
            "commit a baseline, and the next pull request is compared with it: download ",
            command("results.json"),
            " from the run, then ",
            update(),
            "."
        ]
        .into(),
        Answer::Compared { comparison, .. } => of_change(report, comparison, accepted, &again),
    };
    step.blocks()
}

fn of_change(report: &Report, comparison: &Comparison, accepted: bool, again: &Again) -> Step {
    let counts = comparison.counts;
    if counts.regressed > 0 {
        return of_regression(report, accepted).into();
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
    if other_work::applies(comparison) {
        return of_other_work(report, accepted).into();
    }
    if counts.not_comparable > 0 {
        // A baseline with other settings takes no sessions.
        return line![
            "measure the base on this hardware with these settings, and start its baseline anew: ",
            replace(),
            "."
        ]
        .into();
    }
    if let Some(step) = settle(comparison, Some(again)) {
        return step;
    }
    if report.calibration().is_some_and(|calibration| calibration::asks_for_more(&calibration)) {
        return "see above what would make this machine tell smaller changes.".into();
    }
    match (counts.inconclusive, counts.improved) {
        (0, 0) => "nothing to do.".into(),
        (0, _) => line!["after merging, keep the gain: ", replace(), "."].into(),
        _ => "see above what would settle the inconclusive rows.".into(),
    }
}

fn of_regression(report: &Report, accepted: bool) -> Line {
    if accepted {
        return line![
            "nothing: the regression is accepted for this pull request. After merging, start the baseline anew with ",
            replace(),
            "."
        ];
    }
    let look = look(report);
    if report.is_local() {
        return line![look, "."];
    }
    line![
        look,
        ", or, if it is worth it, a maintainer comments ",
        command("bench-accept: <reason>"),
        " and re-runs the check."
    ]
}

/// Where all that got slower has one kind of cause, the next look is at that.
fn look(report: &Report) -> Line {
    let comparison = report.comparison();
    let rows = comparison.iter().flat_map(|comparison| &comparison.rows);
    let slower = rows.filter(|row| row.verdict() == Verdict::Regressed);
    let causes: BTreeSet<Option<CauseWord>> = slower.map(|row| row.cause.as_ref().map(|cause| cause.word)).collect();
    let of = |words: &[CauseWord]| causes.iter().all(|cause| cause.is_some_and(|word| words.contains(&word)));
    let traced = comparison.and_then(|comparison| comparison.attributed.as_ref());
    match traced {
        Some(traced) if of(&[CauseWord::Code]) => what_moved::look_at(traced),
        _ if of(&[CauseWord::Card, CauseWord::Host]) => "look at the machine before the code".into(),
        _ => "find the cause".into(),
    }
}

fn of_other_work(report: &Report, accepted: bool) -> Line {
    match report.is_local() {
        true => other_work::step(),
        false if accepted => {
            line!["nothing: it is accepted. After merging, start the baseline anew with ", replace(), "."]
        }
        false => other_work::step_of_pull_request(replace()),
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

/// The open rows that more runs can settle, and how many runs per side.
fn open_rows(comparison: &Comparison) -> Option<(Line, u32)> {
    let Outlook { runs, settled, open } = comparison.outlook();
    let what = match settled == open {
        true => "what is inconclusive".into(),
        false => line![count(settled), " of ", count(open), " inconclusive rows"],
    };
    Some((what, runs?))
}

/// What would make sure of what isn't.
fn settle(comparison: &Comparison, again: Option<&Again>) -> Option<Step> {
    let unconfirmed = comparison.by_metric.iter().any(|tally| tally.what.unconfirmed);
    let screened =
        comparison.tier == Tier::SingleBaseline && (looks_changed(comparison) || comparison.counts.inconclusive > 0);
    if unconfirmed && comparison.tier == Tier::History {
        return Some("to be sure, measure base and head interleaved in one session.".into());
    }
    if unconfirmed || screened {
        return Some(confirm(comparison, again));
    }
    let (what, runs) = open_rows(comparison)?;
    Some(match again {
        Some(again) => {
            let command = Some(again.command(Some(runs)));
            Step { words: line!["to settle ", what, ", measure again:"], command }
        }
        None => line!["to settle ", what, ", measure again with ", count(runs as usize), " runs per side."].into(),
    })
}

/// Occasions of the base that would make it a history: one at least, where something is open.
fn missing(comparison: &Comparison) -> MoreOccasions {
    let missing = MoreOccasions::beside(comparison.base_occasions.unwrap_or(1), comparison.base_shared_process);
    MoreOccasions { count: missing.count.max(1), ..missing }
}

/// More sessions of the base tell, and so does measuring both in turn.
fn confirm(comparison: &Comparison, again: Option<&Again>) -> Step {
    let in_turn = again.filter(|again| again.in_turn);
    let words = line![
        "to be sure, measure base and head interleaved in one session",
        if in_turn.is_some() { " (below)" } else { "" },
        ", or add ",
        foreign(&missing(comparison).in_words(""), SENTENCE),
        ", to the baseline with ",
        update(),
        "."
    ];
    Step { words, command: in_turn.map(|again| again.command(None)) }
}
