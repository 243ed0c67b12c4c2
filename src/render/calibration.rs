//! What a machine can tell apart, in a table and in a sentence.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};

use crate::calibrate::{Apparent, CHANGES, Calibration, Sensitivity};
use crate::compare::wording::{percent, smallest_change};
use crate::escape;
use crate::metric;
use crate::plural::counted;

/// More runs are no practical advice.
const MANY_RUNS: u32 = 30;

const STYLE: TableStyle = presets::UTF8_NO_BORDERS.row_separator(LineStyle::none());

/// The table of `bench-diff calibrate`, and its verdict.
pub fn table(calibration: &Calibration) -> String {
    let runs = calibration.runs;
    let mut table = Table::new();
    let mut header = vec!["metric".into(), "spread".into(), format!("shows with {runs} runs"), "threshold".into()];
    header.extend(CHANGES.map(|change| format!("runs for {}", percent(change))));
    table.load_style(STYLE).set_header(header);
    for metric in &calibration.metrics {
        let mut row = vec![title(metric)];
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
        verdict(calibration).join("\n")
    )
}

/// Is the machine quiet enough, and if not, what would help? A sentence or two each, the same in every format.
pub fn verdict(calibration: &Calibration) -> Vec<String> {
    let mut said = vec![smallest(calibration), apparent(&calibration.apparent)];
    if let Some(alarm) = alarm(calibration) {
        said.push(alarm);
    }
    said.push(advice(calibration));
    said.retain(|sentence| !sentence.is_empty());
    said
}

fn smallest(calibration: &Calibration) -> String {
    let shown: Vec<_> = calibration
        .metrics
        .iter()
        .map(|metric| format!("{} {}", title(metric), smallest_change(metric.detectable)))
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    let runs = counted(calibration.runs as usize, "run");
    format!(
        "With {runs} a side, the smallest changes that this machine shows, 9 times out of 10: {}.",
        shown.join(", ")
    )
}

fn apparent(apparent: &Apparent) -> String {
    let Apparent { rows, of, by_chance, largest, .. } = *apparent;
    match (of, largest) {
        (0, _) => String::new(),
        (_, None) => "No row seems to differ from itself: every interval includes zero.".to_owned(),
        (_, Some(largest)) => format!(
            "{rows} of {} seem to differ from themselves (intervals without zero), by up to {}. Nothing has changed, so \
             that is noise; by chance it would be about {by_chance:.1}.",
            counted(of, "row"),
            smallest_change(largest)
        ),
    }
}

/// What chance doesn't explain.
fn alarm(calibration: &Calibration) -> Option<String> {
    let more_runs = calibration.rounds.saturating_mul(2);
    let advice = format!("measure again with more runs (`--runs {more_runs}`), or on a quieter machine");
    match calibration.false_alarms.len() {
        0 if !calibration.apparent.unusual => None,
        0 => Some(format!("That is more than chance gives: something else kept the machine busy; {advice}.")),
        count => Some(format!(
            "{} would have been called changed, a false alarm: something else kept the machine busy; {advice}.",
            counted(count, "row")
        )),
    }
}

/// What it takes to tell changes of the noise thresholds' size.
fn advice(calibration: &Calibration) -> String {
    let runs = calibration.runs;
    let noisy: Vec<&Sensitivity> = calibration.metrics.iter().filter(|metric| !metric.suffices()).collect();
    if noisy.is_empty() {
        return match calibration.quiet {
            true => format!("Quiet enough: with {runs} runs, changes beyond the noise thresholds show."),
            false => String::new(),
        };
    }
    let thresholds: Vec<_> =
        noisy.iter().map(|metric| format!("{} {}", title(metric), percent(metric.margin))).collect();
    let needed: Option<Vec<u32>> = noisy.iter().map(|metric| metric.runs_for_margin).collect();
    let way = match needed.and_then(|runs| runs.into_iter().max()) {
        Some(runs @ ..=MANY_RUNS) => format!("takes {runs} runs (`--runs {runs}`), or a quieter machine"),
        Some(runs) => format!("would take {runs} runs a side: rather use a quieter machine, or longer cases"),
        None => "would take over 200 runs a side: rather use a quieter machine, or longer cases".to_owned(),
    };
    format!(
        "Smaller changes stay inconclusive. To tell those of the noise thresholds' size ({}) {way}.",
        thresholds.join(", ")
    )
}

/// A program of others may have metrics of its own.
fn title(metric: &Sensitivity) -> String {
    metric::find(&metric.metric)
        .map_or_else(|| escape::short_line(&metric.metric, 60), |known| known.definition().title.to_owned())
}
