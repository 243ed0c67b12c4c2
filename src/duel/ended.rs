//! How a duel ends.

use crate::compare::Comparison;
use crate::measure::{End, MeasuredSide};
use crate::results::Results;

/// The outcome of a duel.
#[derive(Debug)]
pub struct Duelled {
    /// All runs of the base.
    pub base: Results,
    /// All runs of the head.
    pub head: Results,
    /// What they say.
    pub comparison: Comparison,
    /// Why there are no more of them.
    pub ended: Ended,
}

/// Why no more was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is open.
    Settled,
    /// What is open stays open: all looks are done, or the runs for another one can't be measured.
    OutOfLooks,
    /// The time for it is spent.
    OutOfTime,
    /// Told to stop: the comparison is of what was measured until then.
    Stopped,
}

impl Ended {
    /// What it means for the session.
    pub fn end(self) -> End {
        if self == Self::Stopped { End::Stopped } else { End::Complete }
    }
}

impl Duelled {
    pub(super) fn of(sides: [MeasuredSide; 2], comparison: Comparison, ended: Ended) -> Self {
        let [base, head] = sides.map(|side| side.results);
        Self { base, head, comparison, ended }
    }
}
