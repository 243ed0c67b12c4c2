//! A row of a comparison: a cell, its two sides, and what was found.

use super::Verdict;
use super::cause::Cause;
use super::finding::{Finding, Tested};
use super::learned::Learned;
use super::reason::ReasonCode;
use crate::metric::{Better, MetricName};
use crate::stats::{Share, Summary};

/// Adjusted p of what is said to have changed although it is too little to count.
const CERTAIN: f64 = 0.01;

/// One cell, what its sides hold, and what was found. [`disk`](super::disk) is its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is compared.
    pub cell: Cell,
    /// What was measured.
    pub sides: Sides,
    /// What follows: the verdict is derived from it.
    pub finding: Finding,
    /// Why it changed, where it did and that was asked. It is derived from results and traces, and never taken from a file.
    pub cause: Option<Cause>,
}

/// A case and a metric, and how its values are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The case's id.
    pub case: String,
    /// The metric, which may be one that only others know.
    pub metric: MetricName,
    /// Of the means and standard deviations, such as `ms`.
    pub unit: String,
    /// Which direction is good.
    pub better: Better,
    /// The noise threshold.
    pub noise_threshold: Share,
    /// What the base shows of it, where it was asked. A screen goes by the fixed one all the same.
    pub learned: Option<Learned>,
}

/// The values of base and head; a side is absent where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sides {
    /// What the head is compared with.
    pub base: Option<Summary>,
    /// What is judged.
    pub head: Option<Summary>,
    /// Values that were no numbers and have no part in it, by side.
    pub dropped: [usize; 2],
}

impl Row {
    /// What the finding means for a reader.
    pub fn verdict(&self) -> Verdict {
        self.finding.verdict()
    }

    /// Relative change of the mean, in native units.
    pub fn change(&self) -> Option<Share> {
        self.finding.change()
    }

    /// Confidence interval of the change, where there was a test.
    pub fn interval(&self) -> Option<[Share; 2]> {
        self.finding.tested()?.interval
    }

    /// Holm-adjusted p-value, where there was a test.
    pub fn p_adjusted(&self) -> Option<f64> {
        Some(self.finding.tested()?.p_adjusted)
    }

    /// What the base shows, where the row goes by it.
    pub fn learned(&self) -> Option<Learned> {
        self.cell.learned.filter(|learned| learned.noise_threshold == self.cell.noise_threshold)
    }

    /// Measured again with base and head interleaved.
    pub fn is_confirmed(&self) -> bool {
        match &self.finding {
            Finding::Tested(tested) => tested.confirmed,
            Finding::Ranges(ranges) => ranges.confirmed,
            Finding::Untestable { .. } | Finding::NotComparable(_) => false,
        }
    }

    /// Looks changed, which the drift between sessions may explain.
    pub fn is_unconfirmed(&self) -> bool {
        self.finding.tested().is_some_and(|tested| tested.conclusion.is_unconfirmed())
    }

    /// A suspect without fresh runs.
    pub fn is_not_measured_again(&self) -> bool {
        self.finding.reason_code().is_some_and(|code| code == ReasonCode::NotMeasuredAgain)
    }

    /// Changed, or looks so until that is confirmed.
    pub fn looks_changed(&self) -> bool {
        self.is_unconfirmed() || matches!(self.verdict(), Verdict::Regressed | Verdict::AtThreshold | Verdict::Improved)
    }

    /// Hardly noise, whatever its size.
    pub fn is_certain(&self) -> bool {
        self.p_adjusted().is_some_and(|p| p < CERTAIN)
    }

    /// The interval excludes zero. In a self-check that is noise.
    pub fn seems_to_differ(&self) -> bool {
        self.interval().is_some_and(|[low, high]| low.get() > 0.0 || high.get() < 0.0)
    }

    /// Runs per side that would settle an inconclusive row.
    pub fn runs_needed(&self) -> Option<u32> {
        self.finding.tested().and_then(|tested| tested.conclusion.runs_needed())
    }

    /// How many more than it has.
    pub fn more_runs(&self) -> Option<u32> {
        let has = |side: Option<Summary>| side.map_or(0, |side| side.n);
        let fewest = has(self.sides.base).min(has(self.sides.head));
        Some(self.runs_needed()?.saturating_sub(u32::try_from(fewest).unwrap_or(u32::MAX)))
    }

    /// The interval on both sides of the change: how much less and how much more it may be.
    pub fn halves(&self) -> Option<[Share; 2]> {
        let (change, [low, high]) = self.change().zip(self.interval())?;
        let halves = [change.get() - low.get(), high.get() - change.get()].map(|half| Share::new(half).finite());
        Some([halves[0]?, halves[1]?])
    }

    /// The minimum detectable effect: the smallest relative change that the data could have shown.
    pub fn minimum_detectable_effect(&self) -> Option<Share> {
        self.finding.tested().and_then(|Tested { minimum_detectable_effect, .. }| *minimum_detectable_effect)
    }
}
