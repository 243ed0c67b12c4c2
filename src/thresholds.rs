//! What counts as a change: what a configuration says and a comparison goes by.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// The chances of a false alarm that can be asked for.
pub const ALPHAS: RangeInclusive<f64> = 0.0001..=0.5;
/// The one that holds where none is.
pub const ALPHA: f64 = 0.05;
/// In place of a metric's name: every metric that isn't named.
pub const ALL: &str = "all";
/// In place of a percentage: what the base's sessions show.
pub const AUTO: &str = "auto";

/// What counts as a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Chance of a false alarm anywhere in the report.
    pub alpha: f64,
    /// Metrics to test; empty means the default ones.
    pub metrics: Vec<String>,
    /// By metric name or [`ALL`]; the metric's own where absent.
    pub noise_thresholds: BTreeMap<String, NoiseThreshold>,
    /// A certain change that is about as large as the noise threshold counts as one beyond it.
    pub gate_at_threshold: bool,
    /// Counters that differ by a smaller share are as before: 0 where every change counts.
    pub counters_floor: f64,
}

/// The smallest change worth reporting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoiseThreshold {
    /// As a share: 0.02 is 2%.
    Fixed(f64),
    /// For each case what sessions of the base differ by.
    Auto,
}

/// As it is written after `METRIC=`.
impl fmt::Display for NoiseThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(share) => write!(f, "{}%", share * 100.0),
            Self::Auto => f.write_str(AUTO),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            alpha: ALPHA,
            metrics: Vec::new(),
            noise_thresholds: BTreeMap::new(),
            gate_at_threshold: false,
            counters_floor: 0.0,
        }
    }
}
