//! How often the comparison is wrong on this very hardware: what it makes of builds that are equal.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::{self, BaseAgain, Comparison, Finding, LOOKS, Options, Row, Side};
use crate::results::{Results, Session};
use crate::thresholds::NoiseThreshold;

/// A baseline keeps so many sessions; a report may come from anybody.
const MOST_SESSIONS: usize = 10;

/// Comparisons of a build with itself, as far as the report holds any: the base's sessions of one build in every ordered
/// pair, the base as two contenders of one session, and a self-check. Each is of one cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EqualBuilds {
    /// How many.
    pub comparisons: usize,
    /// In how many something looked changed: called so, or unconfirmed.
    pub looked_changed: usize,
}

impl EqualBuilds {
    /// `None` where the report holds none.
    pub(super) fn of(base: &Results, comparison: &Comparison) -> Option<Self> {
        let pairs = of_sessions(base, comparison);
        let twice = comparison.rows.iter().filter_map(|row| Some((row, row.finding.tested()?.base_again?)));
        let all = twice.fold(pairs, |all, (row, again)| all.and(looks_changed(row, again, comparison.alpha)));
        (all.comparisons > 0).then_some(all)
    }

    /// Of a self-check: base and head are one build.
    pub(super) fn of_self_check(check: &Comparison) -> Option<Self> {
        let all = rows(Self::default(), &check.rows);
        (all.comparisons > 0).then_some(all)
    }

    fn and(self, looked_changed: bool) -> Self {
        Self { comparisons: self.comparisons + 1, looked_changed: self.looked_changed + usize::from(looked_changed) }
    }
}

/// By the rule for fresh runs, each cell on its own.
fn looks_changed(row: &Row, again: BaseAgain, alpha: f64) -> bool {
    let large = again.change.log_ratio().abs() >= row.cell.noise_threshold.log_ratio();
    large && again.p * LOOKS.len() as f64 <= alpha
}

fn rows(all: EqualBuilds, rows: &[Row]) -> EqualBuilds {
    let judged = rows.iter().filter(|row| matches!(row.finding, Finding::Tested(_) | Finding::Ranges(_)));
    judged.fold(all, |all, row| all.and(row.looks_changed()))
}

/// Every session as the base of every other one of the same build.
fn of_sessions(base: &Results, comparison: &Comparison) -> EqualBuilds {
    let options = options(comparison);
    let newest = base.sessions.iter().rev().take(MOST_SESSIONS);
    let sides: Vec<(&Session, Side)> = newest.map(|session| (session, side(base, session))).collect();
    let mut all = EqualBuilds::default();
    for (one, as_base) in &sides {
        for (other, as_head) in &sides {
            if one.id == other.id || !one.is_surely_of_one_build_with(other) {
                continue;
            }
            if let Ok(found) = compare::compare(as_base, as_head, &options) {
                all = rows(all, &found.rows);
            }
        }
    }
    all
}

fn side(base: &Results, session: &Session) -> Side {
    let alone = Results {
        suite: base.suite.clone(),
        label: None,
        cases: base.cases.clone(),
        settings: base.settings.clone(),
        sessions: vec![session.clone()],
    };
    Side::from_results("base", &alone)
}

/// Those that the report was judged by, as far as its rows tell.
fn options(comparison: &Comparison) -> Options {
    let cells = || comparison.rows.iter().map(|row| &row.cell);
    let thresholds: BTreeMap<_, _> =
        cells().map(|cell| (cell.metric.to_string(), NoiseThreshold::Fixed(cell.noise_threshold.get()))).collect();
    let metrics = thresholds.keys().cloned().collect();
    Options { alpha: comparison.alpha, metrics, noise_thresholds: thresholds, ..Options::default() }
}
