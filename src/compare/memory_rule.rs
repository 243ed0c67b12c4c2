//! Memory doesn't vary like time: it is the same in every run, up to an allocator's rounding. So ranges are compared; and
//! so are values among which there are zeros, as these have no ratio.

use super::finding::Reading;
use super::pair::Pair;
use crate::metric::{Better, Kind, MetricName};
use crate::stats::{self, Share};
use crate::unit;

/// Allocators hand out and return blocks of up to this size, ...
pub const GRANULARITY_MIB: f64 = 64.0;
/// ... and smaller ones to who holds little: no more than this share of it.
pub const GRANULARITY_SHARE: Share = Share::new(0.125);

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

/// What allocators round of so much memory, in its unit. A size that somebody else measured need not be rounded.
pub(super) fn granularity(metric: &MetricName, kind: Kind, unit: &str, bulk: f64) -> f64 {
    match metric.known().filter(|_| kind == Kind::Memory) {
        Some(_) => (GRANULARITY_MIB * mib(unit)).min(GRANULARITY_SHARE.get() * bulk),
        None => 0.0,
    }
}

/// So little memory that what allocators round is a share of it.
pub(super) fn is_little(unit: &str, bulk: f64) -> bool {
    GRANULARITY_SHARE.get() * bulk < GRANULARITY_MIB * mib(unit)
}

/// Both sides must hold values.
pub(super) fn judge(pair: &Pair) -> Reading {
    let [of_base, of_head] = pair.values();
    let (base, head) = (Range::of(&of_base), Range::of(&of_head));
    let bulk = stats::mean(&of_base).unwrap_or_default();
    let relative = pair.noise_threshold.get() * bulk;
    let granularity = granularity(pair.metric, pair.kind, pair.unit, bulk);
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
