//! What a machine can tell apart, in a table and in a sentence.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};

use super::escape;
use crate::calibrate::{CHANGES, Calibration, Sensitivity};
use crate::compare::wording::{percent, smallest_change};
use crate::metric;

const STYLE: TableStyle = presets::UTF8_NO_BORDERS.row_separator(LineStyle::none());

/// The table of `bench-diff calibrate`, and its verdict.
pub fn table(calibration: &Calibration) -> String {
    let runs = calibration.runs;
    let mut table = Table::new();
    let mut header = vec!["metric".into(), "spread".into(), format!("shows with {runs} runs"), "threshold".into()];
    header.extend(CHANGES.map(|change| format!("runs for {}", percent(change))));
    table.load_style(STYLE).set_header(header);
    for metric in &calibration.metrics {
        let mut row = vec![title(metric).to_owned()];
        row.extend([percent(metric.spread), smallest_change(metric.detectable), percent(metric.margin)]);
        row.extend(metric.runs_for.map(|runs| runs.map_or_else(|| "over 200".into(), |runs| runs.to_string())));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!(
        "Suite {} on {}, the same build as base and head, {} runs each. For each metric its noisiest case:\n\n{}\n\n{}\n",
        escape::line(&calibration.suite),
        calibration.hardware,
        calibration.rounds,
        table.trim_fmt(),
        verdict(calibration)
    )
}

/// Is the machine quiet enough, and if not, what would help?
fn verdict(calibration: &Calibration) -> String {
    let runs = calibration.runs;
    let mut text = match calibration.quiet {
        true => format!("Quiet enough: with {runs} runs, changes beyond the noise thresholds show."),
        false => String::new(),
    };
    let noisy: Vec<_> = calibration.metrics.iter().filter(|metric| !metric.suffices()).map(title).collect();
    if !noisy.is_empty() {
        text.push_str(&format!(
            "Not quiet enough for {runs} runs: in {} a change of the noise threshold's size can stay inconclusive. Make \
             the machine quieter, measure more runs (--runs), or raise the threshold.",
            noisy.join(", ")
        ));
    }
    if !calibration.false_alarms.is_empty() {
        let cells = escape::line(&calibration.false_alarms.join(", "));
        text.push_str(&format!("\nThe build seemed to differ from itself in {cells}: something else was going on."));
    }
    text.trim_start().to_owned()
}

fn title(metric: &Sensitivity) -> &str {
    metric::find(&metric.metric).map_or(&metric.metric, |known| known.title)
}
