//! The table of `bench-diff run`: absolute numbers for each case.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};

use super::value;
use crate::case::WeightsSource;
use crate::escape;
use crate::metric::{Metric, MetricName};
use crate::results::{Discarded, Measurement, Outcome, Results, Roofline, Run, Session};

const STYLE: TableStyle = presets::UTF8_NO_BORDERS.row_separator(LineStyle::none());

/// The headline numbers; everything else is in the file.
const METRICS: [Metric; 4] = [Metric::DecodeThroughput, Metric::Ttft, Metric::ItlP99, Metric::PeakMemory];

/// The last session's numbers: mean ± standard deviation over its runs.
pub fn table(results: &Results) -> String {
    let Some(session) = results.sessions.last() else { return "no session\n".to_owned() };
    let columns = columns(session);
    let mut table = Table::new();
    let headings = columns.iter().map(|column| column.heading.clone());
    table.load_style(STYLE).set_header(["case".to_owned()].into_iter().chain(headings).chain(["runs".to_owned()]));
    for case in &results.cases {
        let runs: Vec<&Measurement> =
            session.runs.iter().filter(|run| run.case == case.id).filter_map(measured).collect();
        let cells = columns.iter().map(|column| (column.cell)(&runs));
        let mut row = vec![escape::line(&case.id)];
        row.extend(cells);
        row.push(runs.len().to_string());
        table.add_row(row);
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
    let device = environment.gpus.first().map(|gpu| gpu.name.as_str());
    let device = device.or(environment.cpu.as_deref()).unwrap_or("an unknown device");
    let generated = results.cases.iter().any(|case| case.weights == WeightsSource::Generated);
    let weights = if generated { ", generated weights" } else { "" };
    escape::line(&format!("Suite {} on {device}: {}{weights}", results.suite, session.program.describe()))
}

/// A column between the case and its number of runs.
struct Column {
    heading: String,
    cell: Box<Cell>,
}

/// Shows a column's value over a case's runs; empty where there is none.
type Cell = dyn Fn(&[&Measurement]) -> String;

/// One of the shares of the device's limits.
type Share = fn(&Roofline) -> Option<f64>;

/// The columns that at least one case has something for.
fn columns(session: &Session) -> Vec<Column> {
    let all: Vec<&Measurement> = session.runs.iter().filter_map(measured).collect();
    let metrics = METRICS.iter().map(|metric| Column {
        heading: format!("{} ({})", metric.definition().title, metric.definition().unit),
        cell: Box::new(move |runs| {
            let name = MetricName::from(*metric);
            mean_sd(&runs.iter().filter_map(|run| run.metrics.get(&name).copied()).collect::<Vec<_>>())
        }),
    });
    let shares: [(&str, Share); 2] =
        [("decode of limit", |roofline| roofline.decode), ("prefill of limit", |roofline| roofline.prefill)];
    let shares = shares.into_iter().map(|(heading, share)| Column {
        heading: heading.to_owned(),
        cell: Box::new(move |runs| {
            let shares: Vec<f64> = runs.iter().filter_map(|run| run.roofline.as_ref().and_then(share)).collect();
            mean(&shares).map_or_else(String::new, |share| format!("{:.0}%", share * 100.0))
        }),
    });
    metrics.chain(shares).filter(|column| !(column.cell)(&all).is_empty()).collect()
}

/// Failures and what the engine warned of, each once for a case.
fn notes(results: &Results, session: &Session) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for case in &results.cases {
        for run in session.runs.iter().filter(|run| run.case == case.id) {
            let said: Vec<String> = match &run.outcome {
                Outcome::Failed(failure) => vec![format!("failed: {}: {}", case.id, failure.reason)],
                Outcome::Ok(measurement) => {
                    let reasons = measurement.throttle_reasons().join(", ");
                    let throttled = (!reasons.is_empty()).then(|| format!("clocks were held down: {reasons}"));
                    let said = measurement.warnings.iter().cloned().chain(throttled);
                    said.map(|warning| format!("note: {}: {warning}", case.id)).collect()
                }
            };
            notes.extend(said.iter().map(|line| escape::line(line)));
        }
    }
    notes.dedup();
    notes.extend(session.discarded.iter().map(|discarded| {
        let Discarded { why, run } = discarded;
        escape::line(&format!("measured again: {}, run {}: {why}", run.case, run.round))
    }));
    notes
}

/// The deviation has the mean's decimals: more would pretend to know it.
fn mean_sd(values: &[f64]) -> String {
    let Some(mean) = mean(values) else { return String::new() };
    let shown = value(mean);
    let decimals = shown.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    match sd(values, mean) {
        Some(sd) => format!("{shown} ± {sd:.decimals$}"),
        None => shown,
    }
}

fn measured(run: &Run) -> Option<&Measurement> {
    match &run.outcome {
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
