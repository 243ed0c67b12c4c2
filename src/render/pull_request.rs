//! A report as a page: a pull request's comment, a check run's text and a step's summary.
//!
//! They are the same page under different limits: what doesn't fit the comment is in the summary, and what doesn't fit
//! that is in the results file. All names and reasons are foreign text.

use std::collections::BTreeMap;

use super::case_table::{self, Cases};
use super::commit_names::short_commit;
use super::comparison::{self, changed};
use super::reproduce::Again;
pub use super::surroundings::Surroundings;
use super::{SENTENCE, Sides, calibration, caveat_lines, details, facts, headline, next_step, published, run};
use crate::compare::Comparison;
use crate::metric::Metric;
use crate::number::{count, counted};
use crate::page::github::{self, COMMENT, SUMMARY};
use crate::page::{Block, Icon, Line, Page, Url, code, foreign, line, link, strong};
use crate::report::{Acceptance, Answer, Report};
use crate::results::{FailureKind, Outcome, Results};

/// Warnings shown; a hostile report may have any number.
const WARNINGS: usize = 8;

/// The comment's text, under 60,000 bytes whatever the report holds.
pub fn comment(report: &Report, surroundings: &Surroundings) -> String {
    github::write(&page(report, surroundings), COMMENT)
}

/// The step summary: every row, as far as GitHub shows it.
pub fn summary(report: &Report, surroundings: &Surroundings) -> String {
    github::write(&page(report, surroundings), SUMMARY)
}

/// What is said where GitHub refuses the comment as too long after all: the verdict, and where the rest is.
pub fn too_long(report: &Report, surroundings: &Surroundings) -> String {
    let where_it_is = "The report is too long for a comment: it is in the step's summary and in the artifact.";
    let short = Page {
        headline: answer(report),
        top: vec![Block::Paragraph(where_it_is.into())],
        body: Vec::new(),
        end: end(report, surroundings),
    };
    github::write(&short, COMMENT)
}

/// The verdict in one line of plain text: a check run's title.
pub fn title(report: &Report) -> String {
    github::title(&Page { headline: answer(report), ..Page::default() })
}

fn page(report: &Report, surroundings: &Surroundings) -> Page {
    Page {
        headline: answer(report),
        top: top(report, surroundings),
        body: body(report),
        end: end(report, surroundings),
    }
}

fn answer(report: &Report) -> Line {
    let verdict = (!caveat_lines::answer_all(report)).then(|| verdict(report));
    caveat_lines::headline(report, verdict)
}

fn verdict(report: &Report) -> Line {
    match &report.answer {
        Answer::Failed { .. } if report.caveats.unrelated => {
            line![Icon::Failed, "Nothing of this pull request would be measured"]
        }
        Answer::Failed { .. } => {
            every_run_failed(&report.head).unwrap_or_else(|| line![Icon::Failed, "Nothing could be measured"])
        }
        Answer::Compared { comparison, .. } => headline::of_comparison(comparison),
        Answer::FirstRun { .. } => {
            let cases = counted(report.head.cases.len(), "case");
            line![Icon::FirstRun, "First measurement of ", cases, ": no baseline yet"]
        }
    }
}

/// `Every run failed: out of memory in 4 of 4 cases`; `None` where there was no run.
fn every_run_failed(head: &Results) -> Option<Line> {
    let mut cases: BTreeMap<&str, FailureKind> = BTreeMap::new();
    for run in &head.sessions.last()?.runs {
        let Outcome::Failed(failure) = &run.outcome else { return None };
        cases.insert(&run.case, failure.kind);
    }
    let mut kinds: Vec<(&'static str, usize)> = Vec::new();
    for kind in cases.values().map(|kind| failed_how(*kind)) {
        match kinds.iter_mut().find(|(word, _)| *word == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let of = cases.len();
    let phrase = |(how, cases): (&'static str, usize)| match of {
        1 => how.into(),
        _ => line![how, " in ", count(cases), " of ", count(of), " cases"],
    };
    (of > 0).then(|| line![Icon::Failed, "Every run failed: ", Line::listed(kinds.into_iter().map(phrase))])
}

fn failed_how(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::DoesNotFit => "doesn't fit",
        FailureKind::OutOfMemory => "out of memory",
        FailureKind::TimedOut => "timed out",
        FailureKind::Crashed => "crashed",
        FailureKind::Error => "error",
    }
}

/// What belongs to the answer, and what was measured where.
fn top(report: &Report, surroundings: &Surroundings) -> Vec<Block> {
    let mut blocks: Vec<Block> = surroundings.accepted.as_ref().map(accepted).into_iter().collect();
    let mut sentences = Vec::new();
    // Nobody knows of what, where there is no report.
    if !report.suite.is_empty() {
        sentences.push(line![strong(foreign(&report.suite, 60)), " on ", strong(facts::device(report)), "."]);
    }
    if let Some(comparison) = report.comparison() {
        sentences.extend(headline::sentences(comparison, Sides::of(report)));
    }
    if !sentences.is_empty() {
        blocks.push(Block::Paragraph(Line::joined(sentences, " ")));
    }
    blocks.extend(report.failure().map(|why| failure(why, surroundings)));
    blocks.extend(caveat_lines::explained(report, surroundings));
    blocks.extend(report.comparison().map(|comparison| comparison::warnings(comparison, WARNINGS)));
    blocks
}

fn accepted(acceptance: &Acceptance) -> Block {
    let comment = Url::checked(&acceptance.url).map(|url| line![" (", link("comment", url), ")"]);
    let by = line![Icon::Accepted, "Accepted by ", code(&acceptance.by, 60), comment.unwrap_or_default()];
    Block::Quote(line![by, ": ", foreign(&acceptance.reason, SENTENCE)])
}

/// An earlier verdict of this comment is gone: it was another commit's.
fn failure(why: &str, surroundings: &Surroundings) -> Block {
    let commit = surroundings.commit.as_deref().map(short_commit).filter(|hex| !hex.is_empty());
    let what = commit.map_or_else(|| "This commit".into(), |hex| line!["Commit ", code(&hex, 20)]);
    Block::Quote(line![what, " could not be measured: ", foreign(why, 600)])
}

fn body(report: &Report) -> Vec<Block> {
    let mut blocks = Vec::new();
    match &report.answer {
        Answer::Failed { .. } => blocks.extend(details::failures(&report.head)),
        Answer::FirstRun { self_check, .. } => {
            blocks.extend(first_run(report, self_check.as_ref()));
            blocks.extend(details::failures(&report.head));
        }
        Answer::Compared { comparison, .. } => blocks.extend(comparison::body(comparison, Sides::of(report))),
    }
    if let Some(release) = report.release() {
        let (changed, table) = changed(&release.comparison);
        let since = line![" changed since ", foreign(&release.label, 60), ", the last release"];
        blocks.extend(Block::fold(line![Icon::Release, counted(changed, "case"), since], table));
    }
    blocks.extend(report.self_check().and_then(self_check));
    blocks.extend(published::fold(&report.head));
    blocks.extend(details::samples(report));
    if report.failure().is_none() {
        let title = line![Icon::Commands, "Reproduce locally"];
        blocks.push(Block::Fold { title, blocks: vec![Block::Commands(Again::of_report(report).command(None))] });
    }
    blocks
}

/// What was measured, with nothing to compare it with, and what a self-check found out about the machine.
fn first_run(report: &Report, self_check: Option<&Comparison>) -> Vec<Block> {
    let checked = self_check.map_or(&[][..], |check| &check.rows);
    // Where the machine was checked, the metrics of the suite.
    let of_suite = |metric: Metric| match checked {
        [] => metric.definition().default,
        rows => rows.iter().any(|row| row.cell.metric.known() == Some(metric)),
    };
    let mut blocks = run::numbers(&report.levels(), of_suite);
    if let Some(calibration) = report.calibration() {
        let question = strong("How quiet is this machine?");
        blocks
            .push(Block::Paragraph(line![question, " The same build was measured as base and as head, interleaved."]));
        blocks.push(Block::List(calibration::verdict(&calibration)));
    }
    blocks
}

/// The same build on both sides, so that every difference is noise.
fn self_check(check: &Comparison) -> Option<Block> {
    let cases = Cases::of(&check.rows);
    let all = cases.ranked(|_| true);
    let title =
        line![Icon::SelfCheck, "Self-check, the same build as base and head (", counted(all.len(), "case"), ")"];
    Block::fold(title, cases.table(&all, case_table::noise))
}

/// The next step, the facts, and where the rest is.
fn end(report: &Report, surroundings: &Surroundings) -> Vec<Block> {
    let mut sources = facts::of_machine(report, surroundings);
    sources.extend(report.comparison().into_iter().flat_map(facts::of_numbers));
    sources.extend(facts::of_equal_builds(report));
    let url = surroundings.run_url.as_deref().and_then(Url::checked);
    sources.extend(url.map(|url| link("full report and results", url)));
    sources.push(concat!("bench-diff ", env!("CARGO_PKG_VERSION")).into());
    let mut blocks = next_step::of_pull_request(report, surroundings.accepted.is_some());
    blocks.push(Block::Facts(sources));
    blocks
}
