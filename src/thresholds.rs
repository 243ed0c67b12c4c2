//! What counts as a change: what a configuration says and a comparison goes by.

use std::collections::BTreeMap;

/// What counts as a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Chance of a false alarm anywhere in the report.
    pub alpha: f64,
    /// Metrics to test; empty means the default ones.
    pub metrics: Vec<String>,
    /// Noise threshold by metric name, as a share (0.02 is 2%); the metric's own where absent.
    pub margins: BTreeMap<String, f64>,
}
