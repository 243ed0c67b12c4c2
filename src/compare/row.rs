//! A row of a comparison: a cell, its two sides, and what was found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::finding::{Finding, Tested};
use crate::metric::{Better, MetricName};
use crate::stats::Share;

/// One cell, what its sides hold, and what was found. [`disk`](super::disk) is its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub cell: Cell,
    pub sides: Sides,
    pub finding: Finding,
}

/// A case and a metric, and how its values are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub case: String,
    pub metric: MetricName,
    pub unit: String,
    pub better: Better,
    /// The noise threshold.
    pub margin: Share,
}

/// The values of base and head; a side is absent where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sides {
    pub base: Option<Summary>,
    pub head: Option<Summary>,
}

/// One side of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub n: usize,
    pub mean: f64,
    /// Absent for a single sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<f64>,
}

impl Row {
    pub fn verdict(&self) -> Verdict {
        self.finding.verdict()
    }

    pub fn change(&self) -> Option<Share> {
        self.finding.change()
    }

    pub fn interval(&self) -> Option<[Share; 2]> {
        self.finding.tested()?.interval
    }

    pub fn p_adjusted(&self) -> Option<f64> {
        Some(self.finding.tested()?.p_adjusted)
    }

    /// Measured again with base and head interleaved.
    pub fn is_confirmed(&self) -> bool {
        self.finding.tested().is_some_and(|tested| tested.confirmed)
    }

    /// Looks changed, which the drift between sessions may explain.
    pub fn is_unconfirmed(&self) -> bool {
        self.finding.tested().is_some_and(|tested| tested.conclusion.is_unconfirmed())
    }

    /// Changed, or looks so until that is confirmed.
    pub fn looks_changed(&self) -> bool {
        self.is_unconfirmed() || matches!(self.verdict(), Verdict::Regressed | Verdict::Improved)
    }

    /// The interval excludes zero. In a self-check that is noise.
    pub fn seems_to_differ(&self) -> bool {
        self.interval().is_some_and(|[low, high]| low.get() > 0.0 || high.get() < 0.0)
    }

    /// Runs per side that would settle an inconclusive row.
    pub fn runs_needed(&self) -> Option<u32> {
        self.finding.tested().and_then(|tested| tested.conclusion.runs_needed())
    }

    /// The minimum detectable effect: the smallest relative change that the data could have shown.
    pub fn detectable(&self) -> Option<Share> {
        self.finding.tested().and_then(|Tested { detectable, .. }| *detectable)
    }
}
