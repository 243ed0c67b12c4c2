//! The table of `bench-diff run`: absolute numbers for each case.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};

use super::{escape, value};
use crate::case::{Case, WeightsSource};
use crate::metric::{self, Metric, MetricName};
use crate::results::{Measurement, Outcome, Results, Roofline, Session};

const STYLE: TableStyle = presets::UTF8_NO_BORDERS.row_separator(LineStyle::none());

/// The columns that every case has; units are in the heading.
const COLUMNS: [&Metric; 4] = [&metric::DECODE_THROUGHPUT, &metric::TTFT, &metric::ITL_P99, &metric::PEAK_MEMORY];

/// The last session's numbers: mean ± standard deviation over its runs.
pub fn table(results: &Results) -> String {
    let Some(session) = results.sessions.last() else { return "no session\n".to_owned() };
    let mut table = Table::new();
    let roofline = session.runs.iter().any(|run| measured(&run.outcome).is_some_and(|m| m.roofline.is_some()));
    table.load_style(STYLE).set_header(header(roofline));
    for case in &results.cases {
        table.add_row(row(case, session, roofline));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}\n\n{}\n", heading(results, session), table.trim_fmt());
    for line in notes(results, session) {
        text.push_str(&format!("{line}\n"));
    }
    text
}

fn heading(results: &Results, session: &Session) -> String {
    let environment = &session.environment;
    let device = environment.gpus.first().map_or(environment.cpu.as_str(), |gpu| gpu.name.as_str());
    let generated = results.cases.iter().any(|case| case.weights == WeightsSource::Generated);
    let weights = if generated { ", generated weights" } else { "" };
    escape::line(&format!("Suite {} on {device}: {}{weights}", results.suite, session.program.describe()))
}

fn header(roofline: bool) -> Vec<String> {
    let mut header = vec!["case".to_owned()];
    header.extend(COLUMNS.iter().map(|metric| format!("{} ({})", metric.title, metric.unit)));
    if roofline {
        // Share of what the device's memory and arithmetic allow.
        header.extend(["decode limit".to_owned(), "prefill limit".to_owned()]);
    }
    header.push("runs".to_owned());
    header
}

fn row(case: &Case, session: &Session, roofline: bool) -> Vec<String> {
    let runs = || session.runs.iter().filter(|run| run.case == case.id).filter_map(|run| measured(&run.outcome));
    let mut row = vec![escape::line(&case.id)];
    for metric in COLUMNS {
        let name = MetricName::from(metric);
        row.push(cell(runs().filter_map(|run| run.metrics.get(&name).copied()).collect()));
    }
    if roofline {
        let share = |of: fn(&Roofline) -> Option<f64>| {
            let shares: Vec<f64> = runs().filter_map(|run| run.roofline.as_ref().and_then(of)).collect();
            mean(&shares).map_or_else(String::new, |share| format!("{:.0}%", share * 100.0))
        };
        row.extend([share(|roofline| roofline.decode), share(|roofline| roofline.prefill)]);
    }
    row.push(runs().count().to_string());
    row
}

fn cell(values: Vec<f64>) -> String {
    match mean(&values) {
        Some(mean) => mean_sd(mean, sd(&values, mean)),
        None => String::new(),
    }
}

/// Failures and what the engine warned of, each once for a case.
fn notes(results: &Results, session: &Session) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for case in &results.cases {
        for run in session.runs.iter().filter(|run| run.case == case.id) {
            let said: Vec<String> = match &run.outcome {
                Outcome::Failed(failure) => vec![format!("failed: {}: {}", case.id, failure.reason)],
                Outcome::Ok(measurement) => {
                    let device = measurement.device.as_ref();
                    let throttled = device.map(|device| device.throttle_reasons.join(", ")).filter(|r| !r.is_empty());
                    let throttled = throttled.map(|reasons| format!("clocks were held down: {reasons}"));
                    let said = measurement.warnings.iter().cloned().chain(throttled);
                    said.map(|warning| format!("note: {}: {warning}", case.id)).collect()
                }
            };
            notes.extend(said.iter().map(|line| escape::line(line)));
        }
    }
    notes.dedup();
    notes
}

/// The deviation has the mean's decimals: more would pretend to know it.
fn mean_sd(mean: f64, sd: Option<f64>) -> String {
    let mean = value(mean);
    let decimals = mean.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    match sd {
        Some(sd) => format!("{mean} ± {sd:.decimals$}"),
        None => mean,
    }
}

fn measured(outcome: &Outcome) -> Option<&Measurement> {
    match outcome {
        Outcome::Ok(measurement) => Some(measurement),
        Outcome::Failed(_) => None,
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn sd(values: &[f64], mean: f64) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}
