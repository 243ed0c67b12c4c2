//! What would settle an open cell, if its mean and spread stay as they are.

use super::design::Basis;
use super::history::History;
use super::pair::Pair;
use super::reason::{MAX_RUNS, Settling, in_turn};
use super::test::{Standard, Test, standard};
use crate::stats::{self, LogRatio, Spread};

/// More sessions than this are no advice.
const MAX_SESSIONS: u32 = 10;

/// An open cell, and what a verdict takes.
pub(super) struct Forecast<'a> {
    pub pair: &'a Pair<'a>,
    pub test: &'a Test,
    /// How many times the other tests make p count.
    pub multiplicity: f64,
    pub gate: f64,
    pub confidence: f64,
}

impl Forecast<'_> {
    pub fn settling(&self) -> Settling {
        let evidence = &self.test.evidence;
        match (evidence.basis, evidence.history) {
            (Basis::History, Some(history)) => self.of_the_head(history),
            // However many runs: what looks changed stays unconfirmed.
            (Basis::SingleBaseline, _) if self.delta() >= self.noise_threshold() => Settling::Interleaving,
            _ => self.of_both_sides(),
        }
    }

    /// More runs of the head, as far as they help; else more sessions of it.
    fn of_the_head(&self, history: History) -> Settling {
        if let Some(runs) = history.only_runs() {
            let enough = |more: u32| self.against(history.with_runs(more));
            if let Some(more) = fewest(1, MAX_RUNS.saturating_sub(runs), enough) {
                return Settling::HeadRuns(more);
            }
        }
        let enough = |more: &u32| self.against(history.with_occasions(*more));
        (1..=MAX_SESSIONS).find(enough).map_or(Settling::Interleaving, Settling::Sessions)
    }

    fn against(&self, history: History) -> bool {
        let occasion = self.spread(history.df());
        self.settles(standard(occasion.times(history.k()), history.excess(occasion.variance), Spread::NONE))
    }

    fn of_both_sides(&self) -> Settling {
        let Test { evidence, .. } = self.test;
        let [base, head] =
            [&self.pair.base, &self.pair.head].map(|side| side.iter().map(|it| it.len()).sum::<usize>() as u32);
        let interleaved = evidence.basis == Basis::Interleaved;
        let blocks = if interleaved { self.pair.base.len() } else { 1 };
        let enough = |runs: u32| {
            let runs = f64::from(runs);
            let spread = self.spread(2.0 * (runs - blocks as f64));
            self.settles(standard(spread.times(2.0 / runs), Spread::NONE, evidence.drift))
        };
        let low = base.max(head) + 1;
        let total = fewest(low, MAX_RUNS.max(low), enough);
        match total.map(|total| if interleaved { in_turn(total) } else { total }) {
            Some(total) => Settling::Runs { total, more: total - base.min(head) },
            None if evidence.drift.variance > 0.0 => Settling::Interleaving,
            None => Settling::TooMany,
        }
    }

    /// The cell's variance with other degrees of freedom of its own.
    fn spread(&self, df: f64) -> Spread {
        let borrowed = self.test.moderated.df - self.test.evidence.difference.spread.df;
        Spread { variance: self.test.moderated.variance, df: borrowed + df }
    }

    /// Whether the interval would lie inside the noise threshold, or p pass the gate.
    fn settles(&self, Standard { error, df }: Standard) -> bool {
        let (delta, noise_threshold) = (self.delta(), self.noise_threshold());
        if delta < noise_threshold {
            stats::two_sided_p((noise_threshold - delta) / error, df) <= 1.0 - self.confidence
        } else {
            stats::two_sided_p(delta / error, df) * self.multiplicity <= self.gate
        }
    }

    fn delta(&self) -> LogRatio {
        self.test.delta().abs()
    }

    fn noise_threshold(&self) -> LogRatio {
        self.pair.noise_threshold.log_ratio()
    }
}

/// The smallest number from `low` to `high` that is enough, if what is enough stays so with more.
fn fewest(mut low: u32, mut high: u32, enough: impl Fn(u32) -> bool) -> Option<u32> {
    if low > high || !enough(high) {
        return None;
    }
    while low < high {
        let middle = low.midpoint(high);
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}
