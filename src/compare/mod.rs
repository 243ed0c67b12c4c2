//! The verdict: two sets of samples in, one [`Comparison`] out. Decided here, only shown elsewhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Better;

/// Base against head. Serialized, this is `compare --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Derived from the rows: the worst that any of them says.
    pub verdict: Verdict,
    pub counts: Counts,
    pub tier: Tier,
    pub alpha: f64,
    /// Number of tested cells, for which p-values are adjusted.
    pub family: usize,
    /// Median relative change of each metric over all cases: when everything moves, suspect the machine.
    pub common_shift: BTreeMap<String, f64>,
    pub rows: Vec<Row>,
    /// Cases without a comparison, or with something to say beside it.
    pub notes: Vec<CaseNote>,
    /// Fields of hardware and settings in which the sides differ.
    pub differences: Vec<Difference>,
    /// What weakens the verdict, one sentence each.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Unchanged,
    Improved,
    Inconclusive,
    NotComparable,
    Regressed,
}

/// How many rows have each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    pub regressed: usize,
    pub improved: usize,
    pub inconclusive: usize,
    pub unchanged: usize,
    pub not_comparable: usize,
}

/// What the base's data allow to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Base and head interleaved in one session.
    SameSession,
    /// Suspects of a screen, measured again interleaved.
    Confirmed,
    /// A history of five or more base sessions.
    History,
    /// Fewer base sessions, other than the head's.
    SingleBaseline,
}

/// One cell: a case and a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub case: String,
    pub metric: String,
    pub unit: String,
    pub better: Better,
    pub verdict: Verdict,
    /// Why, for a person; for inconclusive also what would settle it.
    pub reason: String,
    /// Measured again with base and head interleaved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Summary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Summary>,
    /// Relative, in native units: -0.03 of a throughput is 3% slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// The moderated test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df: Option<f64>,
    /// The plain pooled t-test on the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_pooled: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df_pooled: Option<f64>,
    /// The noise threshold that was used, as a share.
    pub margin: f64,
    /// The smallest relative change that these data could have shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// Runs a side that would settle an inconclusive row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_needed: Option<u32>,
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseNote {
    pub case: String,
    pub kind: NoteKind,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// In the base, not in the head.
    Missing,
    /// In the head, not in the base.
    New,
    /// Gave no numbers on a side.
    Failed,
    /// Equal settings, other tokens: "faster but different output".
    OutputChanged,
}

/// A field in which the sides differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    pub field: String,
    pub base: String,
    pub head: String,
}
