//! For a pull request's comment, a job's summary or a file: GitHub's Markdown.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};

use super::columns::{self, Shown};
use super::{metric_heading, p_value, signed_percent, summary, value};
use crate::compare::wording::percent;
use crate::compare::{Comparison, Row, Verdict};
use crate::escape;

/// More rows are only counted.
const MAX_ROWS: usize = 500;
const MAX_NOTES: usize = 100;
const MAX_NAME: usize = 100;
const MAX_SENTENCE: usize = 500;

/// The comparison as a document.
pub fn render(comparison: &Comparison) -> String {
    let rows = summary::ordered_rows(comparison);
    let mut parts = vec![format!("**{}**", headline(comparison)), summary::tier_sentence(comparison)];
    if !rows.is_empty() {
        parts.push(rows_table(comparison, &rows[..rows.len().min(MAX_ROWS)]));
        parts.extend(rest(rows.len(), MAX_ROWS, "rows"));
    }
    parts.extend(notes(comparison, MAX_NOTES));
    parts.extend(differences(comparison));
    parts.extend(warnings(comparison));
    parts.extend(summary::next_step(comparison).map(|step| format!("Next: {}.", sentence(&step))));
    parts.join("\n\n") + "\n"
}

/// `🔴 1 regressed · 🟢 2 improved · 🟡 1 inconclusive · ⚪ 20 unchanged`
pub fn headline(comparison: &Comparison) -> String {
    summary::headline(comparison, |verdict| match verdict {
        Verdict::Regressed => "🔴 ",
        Verdict::Improved => "🟢 ",
        Verdict::Inconclusive => "🟡 ",
        Verdict::NotComparable => "🚫 ",
        Verdict::Unchanged => "⚪ ",
    })
}

/// A table of a comparison's rows, in the order given.
pub fn rows_table(comparison: &Comparison, rows: &[&Row]) -> String {
    let columns = columns::in_table(|column| column.markdown);
    let mut table = plain_table(&columns.iter().map(|(place, _)| place.heading).collect::<Vec<_>>());
    for row in rows {
        table.add_row(columns.iter().map(|(_, column)| cell(comparison, (column.cell)(row))));
    }
    table.trim_fmt()
}

/// What has no row, as a list.
pub fn notes(comparison: &Comparison, max: usize) -> Option<String> {
    let lines = comparison.notes.iter().take(max).map(|note| {
        let kind = summary::note_word(note.kind);
        format!("- {kind}: {}: {}", escape::code(&cut(&note.case, MAX_NAME)), sentence(&note.reason))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.extend(rest(comparison.notes.len(), max, "notes").map(|rest| format!("- {rest}")));
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Fields of hardware and settings that differ, as a table.
pub fn differences(comparison: &Comparison) -> Option<String> {
    let mut table = plain_table(&["Different", "Base", "Head"]);
    for difference in &comparison.differences {
        table.add_row(
            [&difference.field, &difference.base, &difference.head].map(|text| escape::code_cell(&cut(text, MAX_NAME))),
        );
    }
    (!comparison.differences.is_empty()).then(|| table.trim_fmt())
}

/// What weakens the verdict, as a list.
pub fn warnings(comparison: &Comparison) -> Option<String> {
    let lines: Vec<_> =
        comparison.warnings.iter().take(MAX_NOTES).map(|warning| format!("- ⚠️ {}", sentence(warning))).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// A table whose cells are Markdown already.
pub fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    table.set_header(header.iter().copied());
    table
}

fn rest(count: usize, shown: usize, what: &str) -> Option<String> {
    (count > shown).then(|| format!("... and {} more {what}: `--format json` or `csv` shows all", count - shown))
}

fn cut(text: &str, max: usize) -> String {
    escape::short_line(text, max)
}

fn sentence(text: &str) -> String {
    escape::markdown(&cut(text, MAX_SENTENCE))
}

fn cell(comparison: &Comparison, shown: Shown) -> String {
    match shown {
        Shown::Verdict(row) if row.is_confirmed() => format!("{} (confirmed)", row.verdict_word()),
        Shown::Verdict(row) => row.verdict_word().to_owned(),
        Shown::Case(id) => escape::code_cell(&cut(id, MAX_NAME)),
        Shown::Metric(cell) => escape::markdown(&cut(&metric_heading(&cell.metric, cell.better), MAX_NAME)),
        Shown::Mean(Some(summary), unit) => format!("{} {}", value(summary.mean), unit_cell(unit)),
        Shown::Mean(None, _) | Shown::P(None) => "-".to_owned(),
        Shown::Unit(unit) => unit_cell(unit),
        Shown::Change(row) => change(comparison, row),
        Shown::P(Some(p)) => p_value(p),
        Shown::Threshold(margin) => percent(margin),
    }
}

fn unit_cell(unit: &str) -> String {
    escape::markdown(&cut(unit, 20))
}

/// `-2.9% [-3.6%, -2.2%]`, with what else must be said.
fn change(comparison: &Comparison, row: &Row) -> String {
    let mut text = row.change().map(signed_percent).unwrap_or_default();
    if let Some([low, high]) = row.interval() {
        text += &format!(" \\[{}, {}\\]", signed_percent(low), signed_percent(high));
    }
    if let Some(remark) = summary::remark(comparison, row) {
        let separator = if text.is_empty() { "" } else { "; " };
        text += &format!("{separator}{}", sentence(&remark));
    }
    text
}
