//! What would settle what is open: one answer, for the first line and for the next step.

use std::collections::HashSet;

use super::{Comparison, Row, Verdict};
use crate::metric::MetricName;

/// The open rows, and what more runs would do for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Runs per side, with those that are there, that would settle every row that is counted as `settled`.
    pub runs: Option<u32>,
    /// How many rows that are: those of the metrics that runs can settle in every case; without such a metric, all that runs can
    /// settle.
    pub settled: usize,
    /// How many are open. What looks changed and is unconfirmed is not among them.
    pub open: usize,
}

impl Comparison {
    /// As the rows say it. A row of a metric that stays open whatever is run asks for no runs of its own: they may be very many.
    pub fn outlook(&self) -> Outlook {
        let open = || self.rows.iter().filter(|row| row.verdict() == Verdict::Inconclusive && !row.is_unconfirmed());
        let stuck: HashSet<&MetricName> =
            open().filter(|row| row.runs_needed().is_none()).map(|row| &row.cell.metric).collect();
        let of_whole: Vec<u32> =
            open().filter(|row| !stuck.contains(&row.cell.metric)).filter_map(Row::runs_needed).collect();
        let needed = if of_whole.is_empty() { open().filter_map(Row::runs_needed).collect() } else { of_whole };
        Outlook { runs: needed.iter().max().copied(), settled: needed.len(), open: open().count() }
    }
}
