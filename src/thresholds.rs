//! What counts as a change: what a configuration says and a comparison goes by.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The chances of a false alarm that can be asked for.
pub const ALPHAS: RangeInclusive<f64> = 0.0001..=0.5;
/// The one that holds where none is.
pub const ALPHA: f64 = 0.05;

/// What counts as a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Chance of a false alarm anywhere in the report.
    pub alpha: f64,
    /// Metrics to test; empty means the default ones.
    pub metrics: Vec<String>,
    /// Noise threshold by metric name, as a share (0.02 is 2%); the metric's own where absent.
    pub noise_thresholds: BTreeMap<String, f64>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { alpha: ALPHA, metrics: Vec::new(), noise_thresholds: BTreeMap::new() }
    }
}
