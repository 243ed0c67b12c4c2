//! For a terminal: fits its width, with colour where that is seen.

use std::env;
use std::io::IsTerminal;

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table};

use super::columns::{self, Shown};
use super::{metric_heading, p_value, signed_percent, summary, value};
use crate::compare::wording::percent;
use crate::compare::{Comparison, Row, Verdict};
use crate::escape;

/// More rows are only counted: nobody reads them here, and laying them out takes long.
const MAX_ROWS: usize = 200;
/// So are more notes.
const MAX_NOTES: usize = 50;
/// Longer names are cut.
const MAX_NAME: usize = 100;
/// Columns when it isn't a terminal.
const DEFAULT_WIDTH: u16 = 100;

/// What the output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// In columns.
    pub width: u16,
    /// Does it show colours?
    pub color: bool,
}

impl Screen {
    /// Of standard output. `COLUMNS` and `NO_COLOR` win over what the terminal says.
    #[expect(clippy::disallowed_methods, reason = "what a terminal shows is no setting of ours")]
    pub fn detect() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&width| width > 0);
        let color = std::io::stdout().is_terminal()
            && !is_set("NO_COLOR")
            && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { width: columns.or_else(|| Table::new().width()).unwrap_or(DEFAULT_WIDTH), color }
    }
}

/// The comparison as text.
pub fn render(comparison: &Comparison, screen: Screen) -> String {
    let mut lines = vec![summary::headline(comparison, |_| ""), summary::tier_sentence(comparison)];
    let rows = summary::ordered_rows(comparison);
    if !rows.is_empty() {
        lines.push(String::new());
        lines.push(rows_table(comparison, &rows[..rows.len().min(MAX_ROWS)], screen));
        lines.extend(rest(rows.len(), MAX_ROWS, "rows"));
    }
    let notes: Vec<String> = comparison
        .notes
        .iter()
        .map(|note| {
            format!("{} {}: {}", summary::note_word(note.kind), escape::short_line(&note.case, MAX_NAME), note.reason)
        })
        .collect();
    let differences = comparison.differences.iter().map(|difference| {
        format!("{}: {} in the base, {} in the head", difference.field, difference.base, difference.head)
    });
    section(&mut lines, "Notes", notes);
    section(&mut lines, "Different", differences);
    section(&mut lines, "Warnings", comparison.warnings.iter().cloned());
    section(&mut lines, "Next", summary::next_step(comparison));
    lines.join("\n") + "\n"
}

fn section(lines: &mut Vec<String>, heading: &str, entries: impl IntoIterator<Item = String>) {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return;
    }
    lines.push(String::new());
    lines.push(format!("{heading}:"));
    let mut count = 0;
    for entry in entries {
        count += 1;
        if count <= MAX_NOTES {
            lines.push(format!("  {}", escape::short_line(&entry, 500)));
        }
    }
    lines.extend(rest(count, MAX_NOTES, "lines"));
}

fn rest(count: usize, shown: usize, what: &str) -> Option<String> {
    (count > shown).then(|| format!("... and {} more {what}: `--format json` or `csv` shows all", count - shown))
}

fn rows_table(comparison: &Comparison, rows: &[&Row], screen: Screen) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
    if screen.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let columns = columns::in_table(|column| column.terminal);
    table.set_header(columns.iter().map(|(place, _)| Cell::new(place.heading).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(columns.iter().map(|(_, column)| cell(comparison, (column.cell)(row))));
    }
    for (place, column) in columns.iter().map(|(place, _)| place).zip(table.column_iter_mut()) {
        column.set_cell_alignment(if place.right { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.trim_fmt()
}

fn cell(comparison: &Comparison, shown: Shown) -> Cell {
    match shown {
        Shown::Verdict(row) => verdict(row),
        Shown::Case(id) => Cell::new(escape::short_line(id, MAX_NAME)),
        Shown::Metric(cell) => Cell::new(escape::short_line(&metric_heading(&cell.metric, cell.better), MAX_NAME)),
        Shown::Mean(summary, _) => Cell::new(summary.map_or_else(absent, |summary| value(summary.mean))),
        Shown::Unit(unit) => Cell::new(escape::short_line(unit, 20)),
        Shown::Change(row) => Cell::new(change(comparison, row)),
        Shown::P(p) => Cell::new(p.map_or_else(absent, p_value)),
        Shown::Threshold(margin) => Cell::new(percent(margin)),
    }
}

fn absent() -> String {
    "-".to_owned()
}

fn verdict(row: &Row) -> Cell {
    let confirmed = if row.is_confirmed() { " (confirmed)" } else { "" };
    let cell = Cell::new(format!("{}{confirmed}", row.verdict_word()));
    match color(row.verdict()) {
        Some(color) => cell.fg(color),
        None => cell,
    }
}

fn color(verdict: Verdict) -> Option<Color> {
    match verdict {
        Verdict::Regressed => Some(Color::Red),
        Verdict::Improved => Some(Color::Green),
        Verdict::Inconclusive => Some(Color::Yellow),
        Verdict::NotComparable => Some(Color::Magenta),
        Verdict::Unchanged => None,
    }
}

/// `-2.9% [-3.6%, -2.2%] slower`, and on the next line what else must be said.
fn change(comparison: &Comparison, row: &Row) -> String {
    let mut text = row.change().map(signed_percent).unwrap_or_default();
    if let Some([low, high]) = row.interval() {
        text += &format!(" [{}, {}]", signed_percent(low), signed_percent(high));
    }
    if row.looks_changed() {
        let words = row.change_in_words().unwrap_or_default();
        text += &format!(" {}", words.rsplit(' ').next().unwrap_or_default());
    }
    if let Some(remark) = summary::remark(comparison, row) {
        text += &format!("\n{}", escape::short_line(&remark, 300));
    }
    text
}
