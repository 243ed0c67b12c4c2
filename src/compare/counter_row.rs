//! What became of the counters: rows of their own kind. What a program asks of a GPU is no time and has no part in the verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::results::Counter;
use crate::word::{Word, words};

words! {
    /// Where something is counted.
    CounterPhase {
        /// A generation of one token.
        Prefill = "prefill",
        /// What each further token adds.
        Decode = "decode",
    }
}

words! {
    /// What became of a counter.
    CounterVerdict {
        /// The same, or within the floor.
        Unchanged = "unchanged",
        /// Every count of the head is higher.
        More = "more",
        /// Every count of the head is lower.
        Fewer = "fewer",
        /// It isn't always the same, and the ranges of both sides overlap.
        Varies = "varies",
    }
}

/// Counters of all cases that have some.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedCounters {
    /// Those that aren't zero on both sides.
    pub rows: Vec<CounterRow>,
    /// Cases whose counters can't be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<NotCounted>,
    /// How busy the GPU was. Times of traced runs: shown, and compared with nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<BusyShares>,
}

/// A counter of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CounterRow {
    /// The case's id.
    pub case: String,
    /// Where it was counted.
    pub phase: Word<CounterPhase>,
    /// What was counted.
    pub counter: Word<Counter>,
    /// What became of it.
    pub verdict: CounterVerdict,
    /// In the base: of a prefill, or a token of decoding. Distinct kernels are those of a whole generation.
    pub base: CounterRange,
    /// The same in the head.
    pub head: CounterRange,
    /// Relative; of what varies, from middle to middle. Absent where the base has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
}

/// The counts of all generations: both ends are equal where it is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CounterRange {
    /// The lowest.
    pub least: f64,
    /// The highest.
    pub most: f64,
}

/// A case whose counters can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotCounted {
    /// The case's id.
    pub case: String,
    /// One sentence. It may hold text of the measured program.
    pub reason: String,
    /// The base was counted: what it has is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// The share of the time of decoding in which kernels ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BusyShares {
    /// The case's id.
    pub case: String,
    /// In the base.
    pub base: f64,
    /// In the head.
    pub head: f64,
}

impl ComparedCounters {
    /// Those of this verdict.
    pub fn of(&self, verdict: CounterVerdict) -> impl Iterator<Item = &CounterRow> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// Some counter rose, or what the base has can't be compared: else a head that isn't counted would pass.
    pub fn fails(&self) -> bool {
        self.of(CounterVerdict::More).next().is_some() || self.not_compared.iter().any(|case| case.lost)
    }

    /// Both sides are of one program: what differs isn't always the same.
    pub(super) fn acquit(&mut self) {
        self.rows.iter_mut().filter(|row| row.changed()).for_each(|row| row.verdict = CounterVerdict::Varies);
    }
}

impl CounterRow {
    /// Every count of the head is higher, or every one lower.
    pub fn changed(&self) -> bool {
        matches!(self.verdict, CounterVerdict::More | CounterVerdict::Fewer)
    }
}

impl CounterRange {
    /// Of values that are there.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some(Self { least, most })
    }

    /// It isn't always the same.
    pub fn varies(self) -> bool {
        self.least < self.most
    }

    fn middle(self) -> f64 {
        f64::midpoint(self.least, self.most)
    }

    /// What became of it, and by how much it changed.
    pub(super) fn against(self, head: Self, floor: f64) -> (CounterVerdict, Option<f64>) {
        let relative = |from: f64, to: f64| (from > 0.0).then(|| (to - from) / from);
        let beyond = |from: f64, to: f64| relative(from, to).is_none_or(|change| change.abs() >= floor);
        let verdict = if head.least > self.most && beyond(self.most, head.least) {
            CounterVerdict::More
        } else if head.most < self.least && beyond(self.least, head.most) {
            CounterVerdict::Fewer
        } else if self.varies() || head.varies() {
            CounterVerdict::Varies
        } else {
            CounterVerdict::Unchanged
        };
        (verdict, relative(self.middle(), head.middle()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(base: [f64; 2], head: [f64; 2], floor: f64) -> CounterVerdict {
        let range = |[least, most]: [f64; 2]| CounterRange { least, most };
        range(base).against(range(head), floor).0
    }

    #[test]
    fn what_is_always_the_same_is_compared_exactly() {
        assert_eq!(verdict([963.0; 2], [963.0; 2], 0.0), CounterVerdict::Unchanged);
        assert_eq!(verdict([963.0; 2], [964.0; 2], 0.0), CounterVerdict::More);
        assert_eq!(verdict([963.0; 2], [962.0; 2], 0.0), CounterVerdict::Fewer);
        assert_eq!(verdict([0.0; 2], [1.0; 2], 0.5), CounterVerdict::More, "from none, whatever the floor");
        assert_eq!(verdict([1000.0; 2], [1004.0; 2], 0.005), CounterVerdict::Unchanged);
        assert_eq!(verdict([1000.0; 2], [1005.0; 2], 0.005), CounterVerdict::More);
    }

    #[test]
    fn what_varies_is_compared_by_its_range() {
        assert_eq!(verdict([10.0, 12.0], [11.0; 2], 0.0), CounterVerdict::Varies);
        assert_eq!(verdict([10.0, 12.0], [12.0, 13.0], 0.0), CounterVerdict::Varies);
        assert_eq!(verdict([10.0, 12.0], [13.0, 14.0], 0.0), CounterVerdict::More);
        assert_eq!(verdict([10.0, 12.0], [9.0; 2], 0.0), CounterVerdict::Fewer);
    }
}
