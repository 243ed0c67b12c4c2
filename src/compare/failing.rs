//! What a gate can fail by: what got worse, what was lost, and what was promised and not judged.

use std::collections::BTreeSet;

use super::{ComparedCounters, Comparison, Verdict};
use crate::word::words;

words! {
    /// A reason to fail.
    Failing {
        /// A row regressed.
        Regression = "regression",
        /// What the base has numbers of has none now: a case failed, is missing, or fell back.
        Missing = "missing",
        /// A comparison was promised, and all or a part of it couldn't take place.
        NotComparable = "not-comparable",
        /// A row is inconclusive.
        Inconclusive = "inconclusive",
        /// A counter rose, more kernel launches a token, say; or the head isn't counted as the base was.
        Counters = "counters",
    }
}

impl Comparison {
    /// All reasons to fail that there are; which of them count is the caller's to say.
    pub fn failings(&self) -> BTreeSet<Failing> {
        let counts = self.counts;
        let found = [
            (counts.regressed > 0, Failing::Regression),
            (self.notes.iter().any(|note| note.fails), Failing::Missing),
            (counts.not_comparable > 0 || self.rows.is_empty(), Failing::NotComparable),
            // More runs of one program settle nothing about a change.
            (counts.inconclusive > 0 && self.same_program.is_none(), Failing::Inconclusive),
            (self.counters.as_ref().is_some_and(ComparedCounters::fails), Failing::Counters),
        ];
        found.into_iter().filter_map(|(holds, failing)| holds.then_some(failing)).collect()
    }

    /// Not a single row is a verdict.
    pub fn judges_nothing(&self) -> bool {
        self.rows.iter().all(|row| row.verdict() == Verdict::NotComparable)
    }
}
