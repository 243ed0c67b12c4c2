//! The self-check on its own: how small a change can this machine detect, and how many runs does a given change need?
//!
//! The same program is measured as base and head, interleaved. Whatever seems to differ is noise.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, MAX_RUNS, ReasonCode, Row, Verdict};
use crate::metric::{Kind, Metric};
use crate::stats::{self, LogRatio, Share, Summary};

/// The changes that calibration reports about.
pub const CHANGES: [Share; 3] = [Share::new(0.01), Share::new(0.02), Share::new(0.05)];

/// What a machine can detect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Its name in the configuration.
    pub suite: String,
    /// The fingerprint of what it ran on.
    pub hardware: String,
    /// Runs per side that a comparison of this suite has.
    pub runs: u32,
    /// Runs per side that were measured to find this out.
    pub rounds: u32,
    /// With `runs`, a change as large as the noise threshold is detected in every metric, and nothing looked changed here.
    pub quiet: bool,
    /// How well changes of each show, in the order of tables.
    pub metrics: Vec<Sensitivity>,
    /// How often the program seemed to differ from itself.
    pub apparent: Apparent,
    /// Cells in which the program would have been called changed, `CASE METRIC`.
    pub false_alarms: Vec<String>,
}

/// How often the program seemed to differ from itself. That is noise, since nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Apparent {
    /// Rows whose interval excludes zero.
    pub rows: usize,
    /// Rows with an interval.
    pub of: usize,
    /// How many of them exclude zero by chance: a tenth, with intervals of 90%.
    pub by_chance: f64,
    /// The largest of these changes; absent when there are none.
    #[schemars(with = "Option<f64>")]
    pub largest: Option<Share>,
    /// So many rows happen by chance in less than 1 of 20 reports (as if rows were independent).
    pub unusual: bool,
}

impl Apparent {
    fn of(check: &Comparison) -> Self {
        let chance = |row: &Row| {
            row.finding
                .tested()
                .filter(|test| test.interval.is_some())
                .map(|test| 1.0 - test.confidence.clamp(0.0, 1.0))
        };
        let chances: Vec<f64> = check.rows.iter().filter_map(chance).collect();
        let differing: Vec<&Row> = check.rows.iter().filter(|row| row.seems_to_differ()).collect();
        let by_chance: f64 = chances.iter().sum();
        let chance = by_chance / chances.len().max(1) as f64;
        Self {
            rows: differing.len(),
            of: chances.len(),
            by_chance,
            largest: differing
                .iter()
                .filter_map(|row| Some(row.change()?.abs()))
                .reduce(|a, b| if b > a { b } else { a }),
            unusual: stats::at_least(differing.len(), chances.len(), chance) < 0.05,
        }
    }
}

/// How well changes of a metric can be detected, in its noisiest case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sensitivity {
    /// Its name, such as `ttft`.
    pub metric: String,
    /// The id of the noisiest case.
    pub case: String,
    /// Standard deviation from run to run, relative to the mean.
    #[schemars(with = "f64")]
    pub spread: Share,
    /// The minimum detectable effect with the suite's runs: the smallest relative change that is found 9 times out of 10.
    #[serde(alias = "detectable")]
    #[schemars(with = "f64")]
    pub minimum_detectable_effect: Share,
    /// The noise threshold: smaller changes aren't reported.
    #[serde(alias = "margin")]
    #[schemars(with = "f64")]
    pub noise_threshold: Share,
    /// Runs per side for each of [`CHANGES`]; absent when there are too many.
    pub runs_for: [Option<u32>; CHANGES.len()],
    /// Runs per side for a change of the noise threshold's size.
    #[serde(alias = "runs_for_margin")]
    pub runs_for_noise_threshold: Option<u32>,
}

impl Sensitivity {
    /// A change of the noise threshold's size is detected.
    pub fn suffices(&self) -> bool {
        self.minimum_detectable_effect <= self.noise_threshold
    }
}

/// Reads a self-check of `suite` with `runs` runs per side in ordinary use. Only rows of timed metrics are of
/// interest: memory is the same in every run, or the verdict says so.
pub fn calibrate(suite: &str, hardware: &str, runs: u32, rounds: u32, self_check: &Comparison) -> Calibration {
    let mut noisiest: BTreeMap<Metric, (&Row, f64)> = BTreeMap::new();
    for row in &self_check.rows {
        let known = row.cell.metric.known().filter(|metric| metric.definition().kind == Kind::Timed);
        let (Some(metric), Some(spread)) = (known, spread(row)) else { continue };
        if noisiest.get(&metric).is_none_or(|(_, other)| *other < spread) {
            noisiest.insert(metric, (row, spread));
        }
    }
    let metrics: Vec<_> =
        noisiest.into_values().map(|(row, spread)| sensitivity(row, spread, runs, self_check)).collect();
    let false_alarms: Vec<_> = self_check
        .rows
        .iter()
        .filter(|row| is_false_alarm(row))
        .map(|row| format!("{} {}", row.cell.case, row.cell.metric))
        .collect();
    Calibration {
        suite: suite.to_owned(),
        hardware: hardware.to_owned(),
        runs,
        rounds,
        quiet: false_alarms.is_empty() && !metrics.is_empty() && metrics.iter().all(Sensitivity::suffices),
        metrics,
        apparent: Apparent::of(self_check),
        false_alarms,
    }
}

/// Of two programs, this would have been called changed.
fn is_false_alarm(row: &Row) -> bool {
    let acquitted = row.finding.reason_code().is_some_and(|code| code == ReasonCode::SameProgram);
    let large = row.change().is_some_and(|change| change.abs() >= row.cell.noise_threshold);
    matches!(row.verdict(), Verdict::Regressed | Verdict::Improved)
        || (acquitted && large && (row.seems_to_differ() || row.interval().is_none()))
}

/// The relative standard deviation of both sides, pooled.
fn spread(row: &Row) -> Option<f64> {
    let relative = |side: Option<Summary>| side.and_then(|side| Some((side.sd? / side.mean).powi(2)));
    let variance = f64::midpoint(relative(row.sides.base)?, relative(row.sides.head)?);
    variance.is_finite().then(|| variance.sqrt())
}

fn sensitivity(row: &Row, spread: f64, runs: u32, check: &Comparison) -> Sensitivity {
    let minimum_detectable_effect = |runs: u32| minimum_detectable_effect(spread, runs, check.alpha, check.family);
    let needed = |change: Share| (2..=MAX_RUNS).find(|&runs| minimum_detectable_effect(runs) <= change);
    Sensitivity {
        metric: row.cell.metric.to_string(),
        case: row.cell.case.clone(),
        spread: Share::new(spread),
        minimum_detectable_effect: minimum_detectable_effect(runs.max(2)),
        noise_threshold: row.cell.noise_threshold,
        runs_for: CHANGES.map(needed),
        runs_for_noise_threshold: needed(row.cell.noise_threshold),
    }
}

/// The smallest relative change that `runs` runs per side find, 9 times out of 10, among `family` tests: the test's
/// critical value and the power's quantile, times the standard error (`docs/statistics.md`). A plain t-test: what a
/// report gains by borrowing variance from other cells comes on top.
fn minimum_detectable_effect(spread: f64, runs: u32, alpha: f64, family: usize) -> Share {
    let df = 2.0 * (f64::from(runs) - 1.0);
    // A report may come from anybody.
    let tail = (alpha / (2.0 * family.max(1) as f64)).clamp(1e-12, 0.5);
    let critical = stats::quantile(1.0 - tail, df);
    let error = spread * (2.0 / f64::from(runs)).sqrt();
    LogRatio::new((critical + stats::POWER) * error).share()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// df = 4, alpha = 5%, one test: t = 2.776, so (2.776 + 1.28) x 1% x sqrt(2/3) = 3.31%, and e^x - 1 = 3.37%.
    #[test]
    fn three_runs_of_one_percent() {
        assert!((minimum_detectable_effect(0.01, 3, 0.05, 1).get() - 0.0337).abs() < 1e-4);
    }

    #[test]
    fn more_runs_and_fewer_tests_show_more() {
        assert!(minimum_detectable_effect(0.01, 5, 0.05, 1) < minimum_detectable_effect(0.01, 3, 0.05, 1));
        assert!(minimum_detectable_effect(0.01, 3, 0.05, 10) > minimum_detectable_effect(0.01, 3, 0.05, 1));
        assert_eq!(minimum_detectable_effect(0.0, 2, 0.05, 1), Share::new(0.0));
    }
}
