//! What moved between base and head: several traces of each side become the kernels, counts and pauses behind a change of time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Part;
use super::moved::counts;
pub use super::moved::{Amount, Calls, Code, MovedCount, MovedKernel, Spread};
use super::trace_diff::{Change, Diff};

/// Kernels that a report keeps of a case.
const MOST_KERNELS: usize = 100;

/// What is compared of a case: all numbers are of one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// A token after the first.
    Decode,
    /// The prompt and the first token.
    Prefill,
}

/// A section of a case, traced several times on each side, in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attribution {
    /// The case's id.
    pub case: String,
    /// What the numbers are of.
    pub section: Section,
    /// How many of each side.
    pub traces: usize,
    /// From the first kernel to the last, in microseconds.
    pub base_us: Spread,
    /// The same of the head.
    pub head_us: Spread,
    /// Of that, how long no kernel ran.
    pub base_pauses_us: Spread,
    /// The same of the head.
    pub head_pauses_us: Spread,
    /// What the change is made of: its parts add up to it.
    pub change: ChangeParts,
    /// Kernels that changed, the largest change first.
    pub kernels: Vec<MovedKernel>,
    /// How many others there are, which are as before.
    pub kernels_as_before: usize,
    /// What all kernels of the head take together, in microseconds.
    pub kernels_us: f64,
    /// The share of the base's kernel time whose calls changed in the direction of the whole, by more than the traces of a side
    /// differ: of a slower clock it is nearly all.
    pub moved_share: f64,
    /// What is done more or less often beside kernels.
    pub counts: Vec<MovedCount>,
}

/// In microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeParts {
    /// Kernels that only the base has.
    pub gone: f64,
    /// Kernels that only the head has.
    pub new: f64,
    /// Kernels that are called more or less often.
    pub calls: f64,
    /// Kernels whose calls take longer or less long.
    pub speed: f64,
    /// Time in which no kernel ran.
    pub no_kernel: f64,
    /// The rest: kernels that run at the same time.
    pub unexplained: f64,
}

impl Attribution {
    /// Of as many traces of each side as both have; `times` is how many tokens or prefills each holds. `None` where there
    /// are none, or no kernels in them.
    pub fn of(case: &str, section: Section, base: &[Part], head: &[Part], times: f64) -> Option<Self> {
        let traces = base.len().min(head.len());
        let (base, head) = (&base[..traces], &head[..traces]);
        let [all_base, all_head] = [base, head].map(|parts| parts.iter().fold(Part::default(), Part::and));
        if all_base.kernels.is_empty() || all_head.kernels.is_empty() {
            return None;
        }
        let diff = Diff::of(&all_base, &all_head);
        let mut kernels: Vec<MovedKernel> =
            diff.kernels.iter().map(|row| MovedKernel::of(row, [base, head], times)).collect();
        let slower = all_head.span_ms() > all_base.span_ms();
        let moved_share = moved_share(&kernels, slower);
        let all = kernels.len();
        kernels.retain(|kernel| kernel.apart || kernel.is_pair());
        let kernels_as_before = all - kernels.len();
        // What is called for the prompt varies: of a token, without it, nothing may be left.
        kernels.retain(MovedKernel::is_consistent);
        let spread = |parts: &[Part], of: fn(&Part) -> f64| {
            Spread::of(&parts.iter().map(|part| of(part) * 1e3 / times).collect::<Vec<_>>())
        };
        let mut found = Self {
            case: case.to_owned(),
            section,
            traces,
            base_us: spread(base, Part::span_ms),
            head_us: spread(head, Part::span_ms),
            base_pauses_us: spread(base, |part| part.gaps.total_ms()),
            head_pauses_us: spread(head, |part| part.gaps.total_ms()),
            change: ChangeParts::of(&diff.change, traces as f64 * times),
            kernels,
            kernels_as_before,
            kernels_us: all_head.kernel_ms() * 1e3 / (traces as f64 * times),
            moved_share,
            counts: counts([base, head], times),
        };
        found.bound();
        Some(found)
    }

    /// No more of it than a report keeps.
    pub fn bound(&mut self) {
        self.kernels.truncate(MOST_KERNELS);
        self.counts.truncate(MOST_KERNELS);
    }

    /// How much longer the head takes, in microseconds.
    pub fn change_us(&self) -> f64 {
        self.head_us.mean - self.base_us.mean
    }

    /// How much longer no kernel runs, as far as the traces of a side agree on it.
    pub fn longer_pauses_us(&self) -> f64 {
        let apart = self.base_pauses_us.is_apart(&self.head_pauses_us);
        if apart { self.head_pauses_us.mean - self.base_pauses_us.mean } else { 0.0 }
    }
}

impl ChangeParts {
    fn of(change: &Change, times: f64) -> Self {
        let us = |ms: f64| ms * 1e3 / times;
        Self {
            gone: us(change.gone),
            new: us(change.new),
            calls: us(change.calls),
            speed: us(change.speed),
            no_kernel: us(change.no_kernel),
            unexplained: us(change.unexplained),
        }
    }
}

fn moved_share(kernels: &[MovedKernel], slower: bool) -> f64 {
    let us = |kernel: &MovedKernel| kernel.base.map_or(0.0, |base| base.us.mean);
    let all: f64 = kernels.iter().map(us).sum();
    let moved = kernels.iter().filter(|kernel| kernel.slower_a_call() == Some(slower));
    moved.map(us).sum::<f64>() / all.max(f64::MIN_POSITIVE)
}
