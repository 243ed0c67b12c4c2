//! The report as Markdown, for a pull request's comment and for a step's summary.
//!
//! Both are the same text under two limits: what doesn't fit the comment is in the summary, and what doesn't fit that
//! is in the results file. All names and reasons are foreign text.

mod tables;
mod words;

use crate::compare::{NoteKind, Row, Verdict};
use crate::escape;
use crate::report::{Acceptance, Report};

pub use words::headline;

/// GitHub refuses comments of more than 65,536 characters; a check run's text has the same limit.
const COMMENT: Limits = Limits { bytes: 58_000, rows: 40, folded_rows: 150 };
/// GitHub shows at most 1 MiB of summaries for a step.
const SUMMARY: Limits = Limits { bytes: 960_000, rows: 20_000, folded_rows: 20_000 };

/// What surrounds the report.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The workflow run that measured, with its summary and its artifacts.
    pub run_url: Option<String>,
    /// The measured commit of the pull request.
    pub commit: Option<String>,
    /// A maintainer's word that the regressions are intended.
    pub accepted: Option<Acceptance>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes: usize,
    /// In the table that everybody sees.
    rows: usize,
    /// In one fold.
    folded_rows: usize,
}

/// The comment's text, under 60,000 bytes whatever the report holds.
pub fn comment(report: &Report, surroundings: &Surroundings) -> String {
    render(report, surroundings, COMMENT)
}

/// What is said where GitHub refuses the comment as too long after all: the verdict, and where the rest is.
pub fn too_long(report: &Report, surroundings: &Surroundings) -> String {
    format!(
        "### {}\n\nThe report is too long for a comment: it is in the step's summary and in the artifact.\n\n{}",
        headline(report),
        words::end(report, surroundings)
    )
}

/// The step summary: every row, as far as GitHub shows it.
pub fn summary(report: &Report, surroundings: &Surroundings) -> String {
    render(report, surroundings, SUMMARY)
}

fn render(report: &Report, surroundings: &Surroundings, limits: Limits) -> String {
    let top = words::top(report, surroundings);
    let end = words::end(report, surroundings);
    let mut body = Body { room: limits.bytes.saturating_sub(top.len() + end.len()), limits, text: top };
    match &report.comparison {
        Some(comparison) => compared(&mut body, report, &comparison.rows),
        None if report.failure.is_some() => {}
        None => {
            body.table("", tables::absolute(report), limits.rows);
            body.push(&words::sensitivity(report));
        }
    }
    folds(&mut body, report);
    body.text.push_str(&end);
    body.text
}

/// What everybody sees: what changed, and what keeps the sides from being compared.
fn compared(body: &mut Body, report: &Report, rows: &[Row]) {
    let blocking = report.comparison.iter().flat_map(|comparison| &comparison.differences).filter(|it| it.blocks);
    body.table("", tables::differences(&blocking.collect::<Vec<_>>()), body.limits.rows);
    let changed = tables::changed(rows);
    if changed.is_empty() {
        return;
    }
    let confirmed = changed.iter().any(|row| row.is_confirmed());
    body.table("", tables::rows(&changed), body.limits.rows);
    let legend = words::legend(report, confirmed);
    body.push(&legend);
}

fn folds(body: &mut Body, report: &Report) {
    let rows = report.comparison.as_ref().map_or(&[][..], |comparison| &comparison.rows);
    let notes = report.comparison.as_ref().map_or(&[][..], |comparison| &comparison.notes);
    let of =
        |verdict| rows.iter().filter(move |row| row.verdict() == verdict && !row.is_unconfirmed()).collect::<Vec<_>>();

    body.fold("🟡 {} inconclusive", tables::reasons(&of(Verdict::Inconclusive)));
    for (kind, title) in [
        (NoteKind::Failed, "❌ {} failed"),
        (NoteKind::Missing, "❓ {} missing: in the base, not in this pull request"),
        (NoteKind::FellBack, "↩️ {} fell back: another implementation ran than was asked for"),
        (NoteKind::OutputChanged, "⚠️ {} with changed output: other tokens than the base for the same input"),
        (NoteKind::New, "🆕 {} new: nothing to compare with"),
    ] {
        let notes: Vec<_> = notes.iter().filter(|note| note.kind == kind).collect();
        body.fold(title, tables::notes(&notes));
    }
    if report.comparison.is_none() {
        body.fold("❌ {} failed", tables::failures(&report.head));
    }
    body.fold("🚫 {} not comparable", tables::reasons(&of(Verdict::NotComparable)));
    if let Some(release) = &report.release {
        let label = escape::html(&escape::short_line(&release.label, 60));
        let title = format!("📈 {{}} changed since {label}, the last release");
        body.fold(&title, tables::rows(&tables::changed(&release.comparison.rows)));
    }
    if let Some(check) = &report.self_check {
        body.fold("🔬 Self-check, the same build as base and head ({})", tables::self_check(&check.rows));
    }
    body.fold("⚪ {} unchanged", tables::rows(&of(Verdict::Unchanged)));
    if let Some(comparison) = &report.comparison {
        let others: Vec<_> = comparison.differences.iter().filter(|it| !it.blocks).collect();
        body.fold("🖥️ Differences in environment or settings ({})", tables::differences(&others));
    }
    body.fold("🔢 Samples, a value for each run ({})", tables::samples(report));
    if report.failure.is_none() {
        body.push(&words::reproduce(report));
    }
}

/// Grows within a limit.
struct Body {
    text: String,
    room: usize,
    limits: Limits,
}

impl Body {
    /// All or nothing.
    fn push(&mut self, text: &str) {
        if text.len() <= self.room {
            self.room -= text.len();
            self.text.push_str(text);
        }
    }

    /// As many rows as fit, and how many there are beyond them.
    fn table(&mut self, title: &str, table: tables::Table, most: usize) {
        let total = table.total;
        let mut count = table.len().min(most);
        loop {
            let shown = table.first(count);
            let rest = match total - count {
                0 => String::new(),
                rest => format!("*{rest} more in the full report.*\n\n"),
            };
            let text = format!("{title}{shown}\n{rest}");
            if text.len() <= self.room {
                self.push(&text);
                return;
            }
            if count == 0 {
                return;
            }
            count /= 2;
        }
    }

    /// `{}` in the title stands for the number of rows.
    fn fold(&mut self, title: &str, table: tables::Table) {
        const END: &str = "</details>\n\n";
        if table.len() == 0 || self.room < END.len() {
            return;
        }
        let title = title.replacen("{}", &table.total.to_string(), 1);
        let start = format!("<details><summary>{title}</summary>\n\n");
        let before = self.text.len();
        self.room -= END.len();
        self.table(&start, table, self.limits.folded_rows);
        if self.text.len() > before {
            self.text.push_str(END);
        } else {
            self.room += END.len();
        }
    }
}
