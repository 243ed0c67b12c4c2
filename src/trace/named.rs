//! Which of the moved kernels and counts are worth a line, the most telling first.

use super::attribution::{Attribution, MovedCount, MovedKernel};
use super::trace_table::Beside;

/// A kernel that moved less of the whole change isn't named.
const LEAST_SHARE: f64 = 0.05;
/// A kernel that takes so much of all kernels' time, in one call a token or fewer, is the whole of it.
const WHOLE: f64 = 0.8;

/// Something to be named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Named<'a> {
    /// A kernel.
    Kernel(&'a MovedKernel),
    /// Copies, say.
    Count(&'a MovedCount),
    /// Time in which no kernel ran.
    Pauses,
}

/// What the traces say of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Kernels, or what the program does beside them.
    Work,
    /// The same work, with longer pauses between the kernels: the host's.
    Host,
    /// The same work, in the same pauses.
    Neither,
}

impl Attribution {
    /// What differs by more than the traces of one side do. Counts are exact, so other ones are always named; and where no
    /// kernel ran for longer, they are what the host spent that on.
    pub fn named(&self) -> Vec<Named<'_>> {
        let kernels = self.kernels.iter().filter(|kernel| self.counts_for_something(kernel)).map(Named::Kernel);
        let counts = self.counts.iter().filter(|count| count.of != Beside::Release).map(Named::Count);
        let pauses = self.longer_pauses_us().abs();
        let pauses = (pauses > 0.0 && pauses >= self.least_us()).then_some(Named::Pauses);
        let mut named: Vec<Named> = kernels.chain(counts).chain(pauses).collect();
        named.sort_by(|a, b| self.weight(b).total_cmp(&self.weight(a)));
        named
    }

    /// What they come to.
    pub fn reading(&self) -> Reading {
        match self.named().as_slice() {
            [] => Reading::Neither,
            named if named.iter().any(|named| *named != Named::Pauses) => Reading::Work,
            _ => Reading::Host,
        }
    }

    /// The kernel that does all the work in one call: a trace doesn't divide it.
    pub fn is_whole(&self, kernel: &MovedKernel) -> bool {
        let once = kernel.head.is_some_and(|head| head.calls.max <= 1.0);
        once && self.longest_share >= WHOLE && kernel.head.is_some_and(|head| head.us.mean >= 0.5 * self.kernels_us())
    }

    fn kernels_us(&self) -> f64 {
        self.head_us.mean - self.head_pauses_us.mean
    }

    fn counts_for_something(&self, kernel: &MovedKernel) -> bool {
        let moved = kernel.apart && (kernel.more_calls() != 0.0 || kernel.change_us.abs() >= self.least_us());
        moved || kernel.renamed.is_some() && kernel.change_us.abs() >= self.least_us()
    }

    fn least_us(&self) -> f64 {
        LEAST_SHARE * self.change_us().abs()
    }

    /// What was asked for more often, by how much: of each kernel and each count.
    fn asked(&self) -> impl Iterator<Item = f64> {
        let kernels = self.kernels.iter().map(MovedKernel::more_calls);
        kernels.chain(self.counts.iter().map(MovedCount::more_calls))
    }

    /// Its own time on the device, and its part in the pauses where these changed in the same direction.
    fn weight(&self, named: &Named) -> f64 {
        match named {
            Named::Kernel(kernel) => kernel.change_us.abs() + self.part_in_pauses(kernel.more_calls()),
            Named::Count(count) => count.change_us().abs() + self.part_in_pauses(count.more_calls()),
            // Right behind what may be its reason.
            Named::Pauses => self.heaviest_reason().map_or(self.longer_pauses_us().abs(), |reason| reason * 0.999),
        }
    }

    /// Of what changed in the direction of the pauses; `None` where nothing did.
    fn heaviest_reason(&self) -> Option<f64> {
        let is_one = |more: f64| more * self.longer_pauses_us() > 0.0;
        let kernels = self.kernels.iter().filter(|kernel| is_one(kernel.more_calls())).map(Named::Kernel);
        let counts = self.counts.iter().filter(|count| is_one(count.more_calls())).map(Named::Count);
        kernels.chain(counts).map(|named| self.weight(&named)).reduce(f64::max)
    }

    fn part_in_pauses(&self, more: f64) -> f64 {
        let pauses = self.longer_pauses_us();
        let same_way = |more: &f64| more * pauses > 0.0;
        let all: f64 = self.asked().filter(same_way).map(f64::abs).sum();
        if same_way(&more) { pauses.abs() * more.abs() / all } else { 0.0 }
    }
}
