//! What a machine can tell apart, in a table and in a sentence.

use super::{NAME, metric};
use crate::calibrate::{Apparent, CHANGES, Calibration, Sensitivity};
use crate::compare::MAX_RUNS;
use crate::escape;
use crate::metric::MetricName;
use crate::number::{count, counted, decimal, percent, smallest_change};
use crate::page::{Block, Column, Line, Page, Table, command, line, name};

/// More runs are no practical advice.
const MANY_RUNS: u32 = 30;

/// The table of `bench-diff calibrate`, and its verdict.
pub fn page(calibration: &Calibration) -> Page {
    let said = verdict(calibration).into_iter().map(Block::Paragraph);
    Page {
        headline: line![
            "Suite ",
            name(&calibration.suite, NAME),
            " on ",
            name(&calibration.hardware, NAME),
            ", the same build as base and head, ",
            count(calibration.rounds as usize),
            " runs each. For each metric its noisiest case:"
        ],
        body: vec![Block::Table(by_metric(calibration))],
        end: said.collect(),
        ..Page::default()
    }
}

fn by_metric(calibration: &Calibration) -> Table {
    let runs = count(calibration.runs as usize);
    let mut columns = vec![
        Column::left("metric", title),
        Column::right("spread", |metric: &Sensitivity| percent(metric.spread)),
        Column::right(line!["shows with ", runs, " runs"], |metric: &Sensitivity| {
            smallest_change(metric.minimum_detectable_effect)
        }),
        Column::right("threshold", |metric: &Sensitivity| percent(metric.noise_threshold)),
    ];
    columns.extend(CHANGES.iter().enumerate().map(|(index, change)| {
        let needed = move |metric: &Sensitivity| match metric.runs_for[index] {
            Some(runs) => Line::from(count(runs as usize)),
            None => line!["over ", count(MAX_RUNS as usize)],
        };
        Column::right(line!["runs for ", percent(*change)], needed)
    }));
    Table::of(columns, &calibration.metrics)
}

/// Is the machine quiet enough, and if not, what would help? A sentence or two each, the same in every place.
pub fn verdict(calibration: &Calibration) -> Vec<Line> {
    let said = [
        smallest(calibration),
        apparent(&calibration.apparent),
        alarm(calibration).unwrap_or_default(),
        advice(calibration),
    ];
    said.into_iter().filter(|sentence| !sentence.is_empty()).collect()
}

fn smallest(calibration: &Calibration) -> Line {
    if calibration.metrics.is_empty() {
        return Line::default();
    }
    let shown = calibration
        .metrics
        .iter()
        .map(|metric| line![title(metric), " ", smallest_change(metric.minimum_detectable_effect)]);
    line![
        "With ",
        counted(calibration.runs as usize, "run"),
        " per side, the smallest changes that this machine shows, 9 times out of 10: ",
        Line::joined(shown, ", "),
        "."
    ]
}

pub(super) fn apparent(apparent: &Apparent) -> Line {
    let Apparent { rows, of, by_chance, largest, .. } = *apparent;
    match (of, largest) {
        (0, _) => Line::default(),
        (_, None) => "No row seems to differ from itself: every interval includes zero.".into(),
        (_, Some(largest)) => line![
            count(rows),
            " of ",
            counted(of, "row"),
            " seem to differ from themselves (intervals without zero), by up to ",
            smallest_change(largest),
            ". Nothing has changed, so that is noise; by chance it would be about ",
            decimal(by_chance, 1),
            "."
        ],
    }
}

/// What chance doesn't explain.
fn alarm(calibration: &Calibration) -> Option<Line> {
    let more = with_runs("bench-diff calibrate --suite ", calibration, calibration.rounds.saturating_mul(2));
    let advice = line!["measure again with more runs", more, ", or on a quieter machine."];
    match calibration.false_alarms.len() {
        0 if !calibration.apparent.unusual => None,
        0 => Some(line!["That is more than chance gives: something else kept the machine busy; ", advice]),
        rows => Some(line![
            counted(rows, "row"),
            " would have been called changed, a false alarm: something else kept the machine busy; ",
            advice
        ]),
    }
}

/// What it takes to tell changes of the noise thresholds' size.
fn advice(calibration: &Calibration) -> Line {
    let noisy: Vec<&Sensitivity> = calibration.metrics.iter().filter(|metric| !metric.suffices()).collect();
    if noisy.is_empty() {
        return match calibration.quiet {
            true => line![
                "Quiet enough: with ",
                count(calibration.runs as usize),
                " runs, changes beyond the noise thresholds show."
            ],
            false => Line::default(),
        };
    }
    let thresholds =
        Line::joined(noisy.iter().map(|metric| line![title(metric), " ", percent(metric.noise_threshold)]), ", ");
    let needed: Option<Vec<u32>> = noisy.iter().map(|metric| metric.runs_for_noise_threshold).collect();
    let way = match needed.and_then(|runs| runs.into_iter().max()) {
        Some(runs @ ..=MANY_RUNS) => {
            let more = with_runs("bench-diff ci --suite ", calibration, runs);
            line!["takes ", count(runs as usize), " runs per side", more, ", or a quieter machine."]
        }
        Some(runs) => {
            line!["would take ", count(runs as usize), " runs per side: rather use a quieter machine, or longer cases."]
        }
        None => line![
            "would take over ",
            count(MAX_RUNS as usize),
            " runs per side: rather use a quieter machine, or longer cases."
        ],
    };
    line!["Smaller changes stay inconclusive. To tell those of the noise thresholds' size (", thresholds, ") ", way]
}

/// ` (bench-diff calibrate --suite small --runs 10)`; nothing for files, which anything may have measured.
fn with_runs(start: &'static str, calibration: &Calibration, runs: u32) -> Line {
    let suite = escape::shell(&calibration.suite).filter(|suite| suite.len() <= NAME && !suite.starts_with('-'));
    match suite {
        Some(suite) => line![" (", command(line![start, name(&suite, NAME), " --runs ", count(runs as usize)]), ")"],
        None => Line::default(),
    }
}

/// Would anything help this machine to tell more?
pub(super) fn asks_for_more(calibration: &Calibration) -> bool {
    alarm(calibration).is_some() || calibration.metrics.iter().any(|metric| !metric.suffices())
}

/// A program of others may have metrics of its own.
fn title(sensitivity: &Sensitivity) -> Line {
    metric(&MetricName::from(sensitivity.metric.as_str()))
}
