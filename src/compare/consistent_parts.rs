//! What a report says of the parts of a step that can't be true. `ci` writes no such thing; a report may be anybody's.

use std::collections::BTreeSet;

use super::ALPHAS;
use super::moved_parts::{LayerRange, MOST_LAYERS, MovedPart, MovedParts};
use crate::trace::consistent::{is_rounded, is_time};

/// No session has time for more.
const MOST_RUNS: usize = 1000;
/// The parts are as long as the step, or shorter, but for so large a share of it.
const LEAST_REST: f64 = 0.01;

impl MovedParts {
    /// Nothing of it contradicts another thing of it. `alpha`: what changed was tested at.
    pub(super) fn is_consistent(&self, alpha: f64) -> bool {
        let products: BTreeSet<_> = self.parts.iter().map(|part| (&part.product, part.is)).collect();
        (2..=MOST_RUNS).contains(&self.runs)
            && [self.base_us, self.head_us, self.unexplained_us.abs()].into_iter().all(is_time)
            && products.len() == self.parts.len()
            && self.parts.iter().all(|part| part.is_consistent(alpha))
            && self.adds_up()
    }

    /// The changes of the parts are that of the step, and no part is beside it.
    fn adds_up(&self) -> bool {
        let sum = |of: fn(&MovedPart) -> f64| self.parts.iter().map(of).sum::<f64>();
        let (base, head) = (sum(|part| part.base_us), sum(|part| part.head_us));
        let is_inside = |parts: f64, step: f64| parts <= step * (1.0 + LEAST_REST);
        is_inside(base, self.base_us)
            && is_inside(head, self.head_us)
            && is_rounded(head - base + self.unexplained_us, self.change_us(), self.base_us.max(self.head_us))
    }
}

impl MovedPart {
    fn is_consistent(&self, alpha: f64) -> bool {
        let has_changed = self.p < alpha.min(*ALPHAS.end());
        (1..=MOST_LAYERS).contains(&self.layers)
            && [self.base_us, self.head_us].into_iter().all(is_time)
            && (0.0..=1.0).contains(&self.p)
            && has_changed != self.changed.is_empty()
            && are_apart(&self.changed)
            && self.changed.last().is_none_or(|range| range.last < self.layers)
    }
}

/// Each begins behind a layer that didn't change.
fn are_apart(ranges: &[LayerRange]) -> bool {
    let is_ascending = ranges.iter().all(|range| range.first <= range.last);
    is_ascending && ranges.is_sorted_by(|one, next| one.last < next.first && next.first - one.last > 1)
}
