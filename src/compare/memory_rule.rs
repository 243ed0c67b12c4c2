//! Memory doesn't vary like time: it is the same in every run, up to an allocator's rounding. So ranges are compared; and
//! so are values among which there are zeros, as these have no ratio.

use super::finding::Reading;
use super::pair::Pair;
use crate::metric::{Better, Kind, MetricName};
use crate::stats;
use crate::unit;

/// Allocators hand out and return blocks of up to this size.
pub const GRANULARITY_MIB: f64 = 64.0;

struct Range {
    min: f64,
    max: f64,
}

impl Range {
    fn of<'a>(values: impl IntoIterator<Item = &'a f64>) -> Self {
        let empty = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };
        values.into_iter().fold(empty, |range, &value| Self { min: range.min.min(value), max: range.max.max(value) })
    }

    fn spread(&self) -> f64 {
        self.max - self.min
    }
}

/// By allocators. A size that somebody else measured need not be.
pub(super) fn is_rounded(metric: &MetricName) -> bool {
    metric.known().is_some()
}

/// Both sides must hold values.
pub(super) fn judge(pair: &Pair) -> Reading {
    let [of_base, of_head] = pair.values();
    let (base, head) = (Range::of(&of_base), Range::of(&of_head));
    let relative = pair.noise_threshold.get() * stats::mean(&of_base).unwrap_or_default();
    let granularity =
        if pair.kind == Kind::Memory && is_rounded(pair.metric) { GRANULARITY_MIB * mib(pair.unit) } else { 0.0 };
    // Positive where the ranges are disjoint.
    let gap = (head.min - base.max).max(base.min - head.max);
    if gap >= granularity && gap >= relative && gap > 2.0 * base.spread().max(head.spread()) {
        let grew = head.min > base.max;
        return if grew == (pair.better == Better::Lower) { Reading::Worse } else { Reading::Better };
    }
    let largest_difference = (head.max - base.min).max(base.max - head.min);
    if largest_difference == 0.0 || largest_difference < granularity.max(relative) {
        Reading::Unchanged
    } else {
        Reading::Unclear
    }
}

/// One MiB in `unit`, which is one of memory.
fn mib(unit: &str) -> f64 {
    unit::factor("MiB", unit).unwrap_or(1.0)
}
