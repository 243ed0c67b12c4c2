//! What traces of a report say that can't be true. `ci` writes no such thing; a report may be anybody's.

use super::attribution::{Attribution, Calls, ChangeParts, MovedCount, MovedKernel, Spread};
use super::trace_diff::What;

/// Microseconds of a day: no part of a step takes longer.
const DAY: f64 = 86_400e6;
/// Nothing is done more often, nor has more bytes.
const MOST: f64 = 1e15;
/// Microseconds, a tick of a GPU's clock: no call of a kernel takes less, and changes are shares of it.
const LEAST_CALL: f64 = 0.001;
/// Sums of many numbers differ by less, relatively, whatever their order.
const ROUNDING: f64 = 1e-6;

/// Such as anything takes in a step, in microseconds.
pub fn is_time(us: f64) -> bool {
    (0.0..=DAY).contains(&us)
}

/// Equal, but for the rounding of numbers that are as large as `of`.
pub fn is_rounded(one: f64, other: f64, of: f64) -> bool {
    (one - other).abs() <= ROUNDING * of
}

impl Attribution {
    /// Nothing of it contradicts another thing of it.
    pub(crate) fn is_consistent(&self) -> bool {
        let times = [self.base_us, self.head_us, self.base_pauses_us, self.head_pauses_us];
        self.traces > 0
            && times.iter().all(|spread| spread.is_within(DAY))
            && self.change.is_consistent()
            && self.parts_add_up()
            && is_time(self.kernels_us)
            && (0.0..=1.0 + ROUNDING).contains(&self.moved_share)
            && self.kernels.iter().all(MovedKernel::is_consistent)
            && self.counts.iter().all(MovedCount::is_consistent)
    }

    fn parts_add_up(&self) -> bool {
        let ChangeParts { gone, new, calls, speed, no_kernel, unexplained } = self.change;
        let (base, head) = (self.base_us.mean, self.head_us.mean);
        is_rounded(gone + new + calls + speed + no_kernel + unexplained, head - base, base.max(head))
    }
}

impl Spread {
    fn is_within(&self, most: f64) -> bool {
        let Self { mean, min, max } = *self;
        let is_between = min - ROUNDING * max <= mean && mean <= max + ROUNDING * max;
        0.0 <= min && min <= max && max <= most && is_between
    }
}

impl ChangeParts {
    fn is_consistent(&self) -> bool {
        let Self { gone, new, calls, speed, no_kernel, unexplained } = *self;
        [gone, new, calls, speed, no_kernel, unexplained].iter().all(|us| is_time(us.abs()))
    }
}

impl MovedKernel {
    /// The sides that it has are those of what became of it.
    pub(super) fn is_consistent(&self) -> bool {
        let has_its_sides = match self.what {
            What::Gone => self.base.is_some() && self.head.is_none(),
            What::New => self.base.is_none() && self.head.is_some(),
            What::MoreCalls | What::FewerCalls | What::Slower | What::Faster | What::AsBefore => {
                self.base.is_some() && self.head.is_some()
            }
        };
        let mut sides = self.base.iter().chain(&self.head);
        has_its_sides && is_time(self.change_us.abs()) && sides.all(Calls::is_consistent)
    }
}

impl Calls {
    fn is_consistent(&self) -> bool {
        let are_times = self.us.is_within(DAY) && self.us_a_call.is_within(DAY);
        are_times && self.us_a_call.mean >= LEAST_CALL && self.calls.is_within(MOST)
    }
}

impl MovedCount {
    fn is_consistent(&self) -> bool {
        let mut sides = [self.base, self.head].into_iter();
        sides.all(|side| side.calls.is_within(MOST) && side.bytes.is_within(MOST) && side.us.is_within(DAY))
    }
}
