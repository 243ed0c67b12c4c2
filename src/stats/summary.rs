//! Several values in three numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{mean, standard_deviation};

/// How many values there are, where they lie, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Number of values.
    pub n: usize,
    /// Their arithmetic mean, in their unit.
    pub mean: f64,
    /// Their geometric mean; of values by session, that of the sessions' means. Changes of time and throughput are of these.
    /// Absent in files of older versions, and where a value is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geometric_mean: Option<f64>,
    /// Absent for a single sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<f64>,
}

impl Summary {
    /// `None` of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sd = standard_deviation(values).filter(|sd| sd.is_finite());
        Some(Self { n: values.len(), mean: mean(values)?, geometric_mean: None, sd })
    }

    /// What changes are of.
    pub fn center(&self) -> f64 {
        self.geometric_mean.unwrap_or(self.mean)
    }
}
