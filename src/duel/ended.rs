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
    /// All runs of the base as the third contender; absent where it wasn't one.
    pub base_again: Option<Results>,
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
    /// `sides` are base, head, and perhaps the base again.
    pub(super) fn of(sides: Vec<MeasuredSide>, comparison: Comparison, ended: Ended) -> Self {
        let mut sides = sides.into_iter().map(|side| side.results);
        let mut next = || sides.next();
        let (base, head) = next().zip(next()).expect("a duel has two sides");
        Self { base, head, base_again: next(), comparison, ended }
    }
}
