//! What would settle what is open: one answer, for the first line and for the next step.

use super::{Comparison, Verdict};

/// The open rows, and what more runs would do for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Runs per side, with those that are there, that would settle every row that runs can settle.
    pub runs: Option<u32>,
    /// How many rows that are.
    pub settled: usize,
    /// How many are open. What looks changed and is unconfirmed is not among them.
    pub open: usize,
}

impl Comparison {
    /// As the rows say it.
    pub fn outlook(&self) -> Outlook {
        let open = || self.rows.iter().filter(|row| row.verdict() == Verdict::Inconclusive && !row.is_unconfirmed());
        let needed = || open().filter_map(super::Row::runs_needed);
        Outlook { runs: needed().max(), settled: needed().count(), open: open().count() }
    }
}
