//! The tables of a comment.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

use crate::compare::{CaseNote, Difference, Row, Summary, Verdict};
use crate::metric::{self, Better};
use crate::render::escape;
use crate::report::Report;
use crate::results::{Outcome, Results};

/// A longer name is cut.
const NAME: usize = 80;
const REASON: usize = 300;
/// Samples shown of one side of a cell.
const SAMPLES: usize = 20;

/// A Markdown table before it is known how much of it fits.
pub struct Table {
    header: &'static [&'static str],
    /// The columns from this one on hold numbers.
    numbers_from: usize,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The first `count` rows as Markdown; nothing when there are none.
    pub fn first(&self, count: usize) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.header.iter().copied())
            .add_rows(self.rows.iter().take(count).cloned());
        for column in table.column_iter_mut().skip(self.numbers_from) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if count == 0 {
            return String::new();
        }
        let mut lines: Vec<String> = table.lines().collect();
        lines[1] = self.align(&lines[1]);
        lines.join("\n") + "\n"
    }

    /// comfy-table pads, but GitHub aligns by colons in the second line.
    fn align(&self, separator: &str) -> String {
        let columns = separator.trim_matches('|').split('|').enumerate();
        let aligned = columns.map(
            |(i, dashes)| {
                if i < self.numbers_from { dashes.to_owned() } else { format!("{}:", &dashes[1..]) }
            },
        );
        format!("|{}|", aligned.collect::<Vec<_>>().join("|"))
    }
}

/// Regressions first, then improvements; the largest first.
pub fn changed(rows: &[Row]) -> Vec<&Row> {
    let mut changed: Vec<&Row> =
        rows.iter().filter(|row| matches!(row.verdict, Verdict::Regressed | Verdict::Improved)).collect();
    let size = |row: &Row| row.change.unwrap_or(0.0).abs();
    changed.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(size(b).total_cmp(&size(a))));
    changed
}

pub fn rows(rows: &[&Row]) -> Table {
    let rows = rows.iter().map(|row| {
        vec![
            verdict(row),
            case(&row.case),
            metric(row),
            mean(row.base),
            mean(row.head),
            change(row),
            p(row),
            format!("±{}", unsigned(row.margin)),
        ]
    });
    Table {
        header: &["", "Case", "Metric", "Base", "PR", "Change (interval)", "Adj. p", "Floor"],
        numbers_from: 3,
        rows: rows.collect(),
    }
}

/// Rows that have no change to show, but a reason.
pub fn reasons(rows: &[&Row]) -> Table {
    let rows = rows.iter().map(|row| {
        vec![case(&row.case), metric(row), change(row), escape::markdown(&escape::short_line(&row.reason, REASON))]
    });
    Table { header: &["Case", "Metric", "Change (interval)", "Why"], numbers_from: usize::MAX, rows: rows.collect() }
}

pub fn notes(notes: &[&CaseNote]) -> Table {
    let rows =
        notes.iter().map(|note| vec![case(&note.case), escape::markdown(&escape::short_line(&note.reason, REASON))]);
    Table { header: &["Case", "Why"], numbers_from: usize::MAX, rows: rows.collect() }
}

/// The runs that gave no numbers.
pub fn failures(results: &Results) -> Table {
    let runs = results.sessions.iter().flat_map(|session| &session.runs);
    let rows = runs.filter_map(|run| match &run.outcome {
        Outcome::Failed(failure) => {
            Some(vec![case(&run.case), escape::markdown(&escape::short_line(&failure.reason, REASON))])
        }
        Outcome::Ok(_) => None,
    });
    Table { header: &["Case", "Why"], numbers_from: usize::MAX, rows: rows.collect() }
}

pub fn differences(differences: &[&Difference]) -> Table {
    let cell = |text: &str| escape::code_cell(&escape::short_line(text, NAME));
    let rows = differences.iter().map(|difference| {
        vec![
            escape::markdown(&escape::short_line(&difference.field, NAME)),
            cell(&difference.base),
            cell(&difference.head),
        ]
    });
    Table { header: &["", "Base", "PR"], numbers_from: usize::MAX, rows: rows.collect() }
}

/// What this machine could tell apart.
pub fn detectable(rows: &[Row]) -> Table {
    let rows = rows.iter().map(|row| {
        let detectable = row.detectable.map_or_else(absent, |share| percent(share).trim_start_matches('+').to_owned());
        vec![case(&row.case), metric(row), change(row), detectable]
    });
    Table {
        header: &["Case", "Metric", "Apparent change", "Smallest change that shows"],
        numbers_from: 2,
        rows: rows.collect(),
    }
}

/// First run: what was measured, with nothing to compare it with.
pub fn absolute(results: &Results) -> Table {
    let mut rows = Vec::new();
    for id in results.cases.iter().map(|case| &case.id) {
        for metric in metric::METRICS.iter().filter(|metric| metric.default) {
            let samples = samples_of(results, id, metric.name);
            if samples.is_empty() {
                continue;
            }
            let n = samples.len() as f64;
            let mean = samples.iter().sum::<f64>() / n;
            let spread = samples.iter().copied().fold(0.0_f64, |spread, sample| spread.max((sample - mean).abs()));
            rows.push(vec![
                case(id),
                metric_name(metric.name, metric.unit, metric.better),
                number(mean),
                if samples.len() > 1 { format!("±{}", unsigned(spread / mean)) } else { absent() },
                samples.len().to_string(),
            ]);
        }
    }
    Table { header: &["Case", "Metric", "Mean", "Spread", "Runs"], numbers_from: 2, rows }
}

/// Every value of the rows that a reader may doubt.
pub fn samples(report: &Report) -> Table {
    let rows = report.comparison.as_ref().map_or(&[][..], |comparison| &comparison.rows);
    let doubtful = rows.iter().filter(|row| !matches!(row.verdict, Verdict::Unchanged | Verdict::NotComparable));
    let list = |results: &Results, row: &Row| {
        let samples = samples_of(results, &row.case, &row.metric);
        let mut text = samples.iter().take(SAMPLES).map(|sample| number(*sample)).collect::<Vec<_>>().join(" ");
        if samples.len() > SAMPLES {
            text.push_str(" …");
        }
        if text.is_empty() { absent() } else { text }
    };
    let rows = doubtful.map(|row| {
        let base = report.base.as_ref().map_or_else(absent, |base| list(base, row));
        vec![case(&row.case), metric(row), base, list(&report.head, row)]
    });
    Table { header: &["Case", "Metric", "Base", "PR"], numbers_from: usize::MAX, rows: rows.collect() }
}

fn samples_of(results: &Results, case: &str, metric: &str) -> Vec<f64> {
    let runs = results.sessions.iter().flat_map(|session| &session.runs).filter(|run| run.case == case);
    runs.filter_map(|run| match &run.outcome {
        Outcome::Ok(measurement) => {
            measurement.metrics.iter().find(|(name, _)| name.as_str() == metric).map(|(_, value)| *value)
        }
        Outcome::Failed(_) => None,
    })
    .collect()
}

fn verdict(row: &Row) -> String {
    let icon = match row.verdict {
        Verdict::Regressed => "🔴 regressed",
        Verdict::Improved => "🟢 improved",
        Verdict::Inconclusive => "🟡 inconclusive",
        Verdict::Unchanged => "⚪ unchanged",
        Verdict::NotComparable => "🚫 not comparable",
    };
    let mark = if row.confirmed { " ✓" } else { "" };
    unbroken(&format!("{icon}{mark}"))
}

fn case(id: &str) -> String {
    escape::code_cell(&escape::short_line(id, NAME))
}

fn metric(row: &Row) -> String {
    metric_name(&row.metric, &row.unit, row.better)
}

fn metric_name(name: &str, unit: &str, better: Better) -> String {
    let arrow = match better {
        Better::Higher => '↑',
        Better::Lower => '↓',
    };
    let unit = escape::markdown(&escape::short_line(unit, 16));
    match metric::find(name) {
        Some(metric) => unbroken(&format!("{} {arrow} {unit}", metric.title)),
        None => format!("{} {arrow} {unit}", escape::code_cell(&escape::short_line(name, NAME))),
    }
}

fn mean(summary: Option<Summary>) -> String {
    summary.map_or_else(absent, |summary| number(summary.mean))
}

fn change(row: &Row) -> String {
    match (row.change, row.interval) {
        (Some(change), Some([low, high])) => {
            unbroken(&format!("**{}** ({} … {})", percent(change), percent(low), percent(high)))
        }
        (Some(change), None) => format!("**{}**", percent(change)),
        (None, _) => absent(),
    }
}

fn p(row: &Row) -> String {
    match row.p_adjusted {
        Some(p) if p < 0.001 => "<0.001".replace('<', "&lt;"),
        Some(p) => format!("{p:.3}"),
        None => absent(),
    }
}

/// With spaces at which a browser breaks no line.
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

fn absent() -> String {
    "–".to_owned()
}

/// `-2.9%`, with a real minus sign.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let text = match percent.abs() {
        size if size < 99.95 => format!("{percent:+.1}%"),
        size if size < 10_000.0 => format!("{percent:+.0}%"),
        _ => format!("{percent:+.0e}%"),
    };
    let text = if matches!(text.as_str(), "+0.0%" | "-0.0%") { "0.0%".to_owned() } else { text };
    text.replace('-', "−")
}

fn unsigned(share: f64) -> String {
    percent(share.abs()).trim_start_matches('+').to_owned()
}

/// Four significant digits, thousands apart.
fn number(value: f64) -> String {
    let size = value.abs();
    if !(1e-4..1e9).contains(&size) && size != 0.0 {
        return format!("{value:.3e}");
    }
    let decimals = match size {
        size if size >= 999.95 => 0,
        size if size >= 99.995 => 1,
        size if size >= 9.9995 => 2,
        size if size >= 0.1 || size == 0.0 => 3,
        _ => 6,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if whole.starts_with('-') { "−" } else { "" };
    fraction.map_or_else(|| format!("{sign}{grouped}"), |part| format!("{sign}{grouped}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0.000"),
            (63.123, "63.12"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (0.0123, "0.012300"),
            (-1500.0, "−1,500"),
            (1e300, "1.000e300"),
            (999.96, "1,000"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(percent(-0.0291), "−2.9%");
        assert_eq!(percent(0.125), "+12.5%");
        assert_eq!(percent(-0.0001), "0.0%");
        assert_eq!(percent(f64::MAX), "+inf%");
    }
}
