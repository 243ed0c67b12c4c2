//! The tables of a comment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

use crate::compare::{CaseNote, Difference, Row, Verdict, wording};
use crate::escape;
use crate::metric::{Better, Metric, MetricName};
use crate::render::columns::{self, Shown};
use crate::report::Report;
use crate::results::{Outcome, Results};
use crate::stats::Share;

/// A longer name is cut.
const NAME: usize = 80;
const REASON: usize = 300;
/// Samples shown of one side of a cell.
const SAMPLES: usize = 20;
/// No place shows more; a hostile report may have millions.
const MOST_ROWS: usize = 20_000;
/// The first column of numbers in a table without any.
const NO_NUMBERS: usize = usize::MAX;

/// A Markdown table before it is known how much of it fits.
pub struct Table {
    header: Vec<&'static str>,
    /// The columns from this one on hold numbers.
    numbers_from: usize,
    rows: Vec<Vec<String>>,
    /// How many there are, shown or not.
    pub total: usize,
}

impl Table {
    fn new<T>(header: &[&'static str], numbers_from: usize, items: &[T], row: impl Fn(&T) -> Vec<String>) -> Self {
        let rows = items.iter().take(MOST_ROWS).map(row).collect();
        Self { header: header.to_vec(), numbers_from, rows, total: items.len() }
    }

    /// How many rows there are to show.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

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

/// Regressions first, then what looks changed, then improvements; the largest first.
pub fn changed(rows: &[Row]) -> Vec<&Row> {
    let mut changed: Vec<&Row> = rows.iter().filter(|row| row.looks_changed()).collect();
    let size = |row: &Row| row.change().unwrap_or_default().get().abs();
    changed.sort_by(|a, b| b.verdict().cmp(&a.verdict()).then(size(b).total_cmp(&size(a))));
    changed
}

pub fn rows(rows: &[&Row]) -> Table {
    let columns = columns::in_table(|column| column.comment);
    let headings: Vec<_> = columns.iter().map(|(place, _)| place.heading).collect();
    let numbers_from = columns.iter().position(|(place, _)| place.right).unwrap_or(NO_NUMBERS);
    Table::new(&headings, numbers_from, rows, |row| {
        columns.iter().map(|(_, column)| cell((column.cell)(row))).collect()
    })
}

fn cell(shown: Shown) -> String {
    match shown {
        Shown::Verdict(row) => verdict(row),
        Shown::Case(id) => case(id),
        Shown::Metric(cell) => metric_name(&cell.metric, &cell.unit, cell.better),
        Shown::Mean(summary, _) => summary.map_or_else(absent, |summary| number(summary.mean)),
        Shown::Unit(unit) => unit_cell(unit),
        Shown::Change(row) => change(row),
        Shown::P(p) => p_value(p),
        Shown::Threshold(margin) => format!("±{}", unsigned(margin)),
    }
}

/// Rows that have no change to show, but a reason.
pub fn reasons(rows: &[&Row]) -> Table {
    Table::new(&["Case", "Metric", "Change (interval)", "Why"], NO_NUMBERS, rows, |row| {
        vec![case(&row.cell.case), metric(row), change(row), reason(&wording::reason(row))]
    })
}

pub fn notes(notes: &[&CaseNote]) -> Table {
    Table::new(&["Case", "Why"], NO_NUMBERS, notes, |note| vec![case(&note.case), reason(&note.reason)])
}

/// The runs that gave no numbers.
pub fn failures(results: &Results) -> Table {
    let runs = results.sessions.iter().flat_map(|session| &session.runs);
    let failed: Vec<_> = runs
        .filter_map(|run| match &run.outcome {
            Outcome::Failed(failure) => Some((&run.case, &failure.reason)),
            Outcome::Ok(_) => None,
        })
        .collect();
    Table::new(&["Case", "Why"], NO_NUMBERS, &failed, |(id, why)| vec![case(id), reason(why)])
}

pub fn differences(differences: &[&Difference]) -> Table {
    let cell = |text: &str| escape::code_cell(&escape::short_line(text, NAME));
    Table::new(&["", "Base", "PR"], NO_NUMBERS, differences, |difference| {
        let field = escape::markdown(&escape::short_line(&difference.field, NAME));
        vec![field, cell(&difference.base), cell(&difference.head)]
    })
}

/// A self-check: the same build on both sides, so that every difference is noise.
pub fn self_check(rows: &[Row]) -> Table {
    const HEADER: &[&str] = &["Case", "Metric", "Reads as", "Apparent change", "Smallest change that shows"];
    Table::new(HEADER, 3, rows, |row| {
        let reading = if row.seems_to_differ() { "noise of this machine" } else { "no difference" };
        let smallest = row.detectable().map_or_else(absent, unsigned);
        vec![case(&row.cell.case), metric(row), reading.to_owned(), change(row), smallest]
    })
}

/// First run: what was measured, with nothing to compare it with. Where the machine was checked, the metrics of the suite.
pub fn absolute(report: &Report) -> Table {
    let samples = Samples::of(&report.head);
    let of_suite = |metric: Metric| match &report.self_check {
        Some(check) if !check.rows.is_empty() => check.rows.iter().any(|row| row.cell.metric.known() == Some(metric)),
        _ => metric.definition().default,
    };
    let metrics: Vec<Metric> = Metric::ALL.iter().copied().filter(|metric| of_suite(*metric)).collect();
    let mut seen = BTreeSet::new();
    let ids = report.head.cases.iter().map(|case| case.id.as_str()).filter(|id| seen.insert(*id));
    let cells =
        ids.flat_map(|id| metrics.iter().map(move |metric| (id, MetricName::from(*metric), metric.definition())));
    let measured: Vec<_> = cells.filter(|(id, metric, _)| samples.get(id, metric).next().is_some()).collect();
    Table::new(&["Case", "Metric", "Mean", "Spread", "Runs"], 2, &measured, |(id, metric, known)| {
        let samples: Vec<f64> = samples.get(id, metric).collect();
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        let spread = samples.iter().copied().fold(0.0_f64, |spread, sample| spread.max((sample - mean).abs()));
        vec![
            case(id),
            metric_name(metric, known.unit, known.better),
            number(mean),
            if samples.len() > 1 { format!("±{}", unsigned(Share::new(spread / mean))) } else { absent() },
            samples.len().to_string(),
        ]
    })
}

/// Every value of the rows that a reader may doubt.
pub fn samples(report: &Report) -> Table {
    let rows = report.comparison.as_ref().map_or(&[][..], |comparison| &comparison.rows);
    let is_doubtful = |row: &&Row| !matches!(row.verdict(), Verdict::Unchanged | Verdict::NotComparable);
    let doubtful: Vec<_> = rows.iter().filter(is_doubtful).collect();
    let (base, head) = (report.base.as_ref().map(Samples::of), Samples::of(&report.head));
    Table::new(&["Case", "Metric", "Base", "PR"], NO_NUMBERS, &doubtful, |row| {
        let base = base.as_ref().map_or_else(absent, |base| base.list(row));
        vec![case(&row.cell.case), metric(row), base, head.list(row)]
    })
}

/// The values of results by case: looked up once for each row.
struct Samples<'a>(HashMap<&'a str, Vec<&'a BTreeMap<MetricName, f64>>>);

impl<'a> Samples<'a> {
    fn of(results: &'a Results) -> Self {
        let mut samples: HashMap<_, Vec<_>> = HashMap::new();
        for run in results.sessions.iter().flat_map(|session| &session.runs) {
            if let Outcome::Ok(measurement) = &run.outcome {
                samples.entry(run.case.as_str()).or_default().push(&measurement.metrics);
            }
        }
        Self(samples)
    }

    fn get(&self, case: &str, metric: &MetricName) -> impl Iterator<Item = f64> {
        self.0.get(case).into_iter().flatten().filter_map(move |metrics| metrics.get(metric).copied())
    }

    fn list(&self, row: &Row) -> String {
        let mut shown: Vec<_> = self.get(&row.cell.case, &row.cell.metric).take(SAMPLES + 1).map(number).collect();
        if shown.len() > SAMPLES {
            shown[SAMPLES] = "…".to_owned();
        }
        if shown.is_empty() { absent() } else { shown.join(" ") }
    }
}

fn reason(text: &str) -> String {
    escape::markdown(&escape::short_line(text, REASON))
}

/// Fresh runs a side that confirmed the row.
fn confirming_runs(row: &Row) -> Option<usize> {
    let (base, head) = row.sides.base.zip(row.sides.head).filter(|_| row.is_confirmed())?;
    Some(base.n.min(head.n))
}

fn verdict(row: &Row) -> String {
    let icon = match row.verdict() {
        Verdict::Regressed => "🔴 regressed",
        Verdict::Improved => "🟢 improved",
        Verdict::Inconclusive if row.is_unconfirmed() => "🟠 unconfirmed",
        Verdict::Inconclusive => "🟡 inconclusive",
        Verdict::Unchanged => "⚪ unchanged",
        Verdict::NotComparable => "🚫 not comparable",
    };
    let mark = confirming_runs(row).map_or_else(String::new, |runs| format!(" ✓{runs}"));
    unbroken(&format!("{icon}{mark}"))
}

fn case(id: &str) -> String {
    escape::code_cell(&escape::short_line(id, NAME))
}

fn metric(row: &Row) -> String {
    metric_name(&row.cell.metric, &row.cell.unit, row.cell.better)
}

fn metric_name(name: &MetricName, unit: &str, better: Better) -> String {
    let arrow = match better {
        Better::Higher => '↑',
        Better::Lower => '↓',
    };
    let unit = unit_cell(unit);
    match name.known() {
        Some(metric) => unbroken(&format!("{} {arrow} {unit}", metric.definition().title)),
        None => format!("{} {arrow} {unit}", escape::code_cell(&escape::short_line(name.as_str(), NAME))),
    }
}

fn change(row: &Row) -> String {
    match (row.change(), row.interval()) {
        (Some(change), Some([low, high])) => {
            unbroken(&format!("**{}** ({} … {})", percent(change), percent(low), percent(high)))
        }
        (Some(change), None) => format!("**{}**", percent(change)),
        (None, _) => absent(),
    }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "<0.001".replace('<', "&lt;"),
        Some(p) => format!("{p:.3}"),
        None => absent(),
    }
}

fn unit_cell(unit: &str) -> String {
    escape::markdown(&escape::short_line(unit, 16))
}

/// With spaces at which a browser breaks no line.
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

fn absent() -> String {
    "–".to_owned()
}

/// `-2.9%`, with a real minus sign.
pub fn percent(share: Share) -> String {
    let percent = share.percent();
    let text = match percent.abs() {
        size if size < 99.95 => format!("{percent:+.1}%"),
        size if size < 10_000.0 => format!("{percent:+.0}%"),
        _ => format!("{percent:+.0e}%"),
    };
    let text = if matches!(text.as_str(), "+0.0%" | "-0.0%") { "0.0%".to_owned() } else { text };
    text.replace('-', "−")
}

fn unsigned(share: Share) -> String {
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
        assert_eq!(percent(Share::new(-0.0291)), "−2.9%");
        assert_eq!(percent(Share::new(0.125)), "+12.5%");
        assert_eq!(percent(Share::new(-0.0001)), "0.0%");
        assert_eq!(percent(Share::new(f64::MAX)), "+inf%");
    }
}
