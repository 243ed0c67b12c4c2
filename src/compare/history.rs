//! A head against a history: the occasion is the unit, and runs of the head that are noisier than the base's count too.
//!
//! The spread of the base's occasions holds the noise of the base's runs. Where the head's runs vary more, that spread
//! says too little of the head's mean. docs/statistics.md has the formulas and what they were weighed against.

use crate::stats::{self, Share, Spread};

/// A cell's ratio of noise counts as at most so many times the median of the report.
const MOST: f64 = 20.0;

/// How the runs vary around the means of their occasions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct History {
    base: Runs,
    head: Runs,
    /// Runs of an occasion of the base, on average.
    usual: f64,
    /// An occasion of fewer runs than the base's has a mean that varies more: at most in proportion.
    inflation: f64,
}

/// The runs of a side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Runs {
    occasions: f64,
    /// Variance of one run inside its occasion.
    spread: Spread,
    /// What of it is left in the mean of an occasion: 1/n of n runs, on average.
    share: f64,
}

impl History {
    /// Of values by occasion, none of them empty.
    pub fn of(base: &[Vec<f64>], head: &[Vec<f64>]) -> Self {
        let usual = base.iter().map(Vec::len).sum::<usize>() as f64 / base.len() as f64;
        let inflation = average(head, |runs| (usual / runs).max(1.0));
        Self { base: Runs::of(base), head: Runs::of(head), usual, inflation }
    }

    /// Variance of the difference in units of the variance of an occasion's mean, if runs of both sides are alike.
    pub fn k(&self) -> f64 {
        1.0 / self.base.occasions + self.inflation / self.head.occasions
    }

    /// Degrees of freedom of the spread of the occasions' means.
    pub fn df(&self) -> f64 {
        self.base.occasions + self.head.occasions - 2.0
    }

    /// The variance of the head's runs to the base's; `None` where a side doesn't show any.
    pub fn ratio(&self) -> Option<f64> {
        let [base, head] = [self.base, self.head].map(|side| side.spread.variance);
        (base > 0.0 && head > 0.0).then(|| head / base)
    }

    /// The same with a head that is no quieter than `ratio` says.
    pub fn no_quieter(mut self, ratio: f64) -> Self {
        let variance = ratio * self.base.spread.variance;
        if variance > self.head.spread.variance {
            self.head.spread = Spread { variance, df: self.head.spread.df.max(1.0) };
        }
        self
    }

    /// What the head's noise adds to the variance of the difference; `occasion` is the variance of an occasion's mean.
    pub fn excess(&self, occasion: f64) -> Spread {
        let drift = (occasion - self.base.noise()).max(0.0);
        let excess = drift + self.head.noise() - self.inflation * occasion;
        Spread { variance: excess.max(0.0) / self.head.occasions, df: self.head.spread.df }
    }

    /// Runs of the head that may have more beside them: earlier occasions are over.
    pub fn only_runs(&self) -> Option<u32> {
        (self.head.occasions == 1.0).then(|| (1.0 / self.head.share).round() as u32)
    }

    /// If the head's only occasion had so many more runs.
    pub fn with_runs(mut self, more: u32) -> Self {
        let more = f64::from(more);
        self.head.share = 1.0 / (1.0 / self.head.share + more);
        self.head.spread.df += more;
        self.inflation = (self.usual * self.head.share).max(1.0);
        self
    }

    /// If the head had so many more occasions like those that it has.
    pub fn with_occasions(mut self, more: u32) -> Self {
        let occasions = self.head.occasions + f64::from(more);
        self.head.spread.df *= occasions / self.head.occasions;
        self.head.occasions = occasions;
        self
    }
}

impl Runs {
    fn of(occasions: &[Vec<f64>]) -> Self {
        let df = occasions.iter().map(|runs| (runs.len() - 1) as f64).sum::<f64>();
        let squares = occasions.iter().map(|runs| stats::sum_of_squares(runs)).sum::<f64>();
        let variance = if df > 0.0 { squares / df } else { 0.0 };
        let share = average(occasions, |runs| 1.0 / runs);
        Self { occasions: occasions.len() as f64, spread: Spread { variance, df }, share }
    }

    /// Variance of an occasion's mean from the noise of its runs.
    fn noise(&self) -> f64 {
        self.spread.variance * self.share
    }
}

/// The mean over occasions of what their numbers of runs give.
fn average(occasions: &[Vec<f64>], of: impl Fn(f64) -> f64) -> f64 {
    occasions.iter().map(|runs| of(runs.len() as f64)).sum::<f64>() / occasions.len() as f64
}

/// How noisy a report's head is as a whole: the mean of its cells' ratios, but a wild one speaks for itself only.
pub(super) fn usual_ratio(ratios: &[f64]) -> f64 {
    let most = MOST * stats::median(ratios).unwrap_or(0.0);
    let limited: Vec<f64> = ratios.iter().map(|ratio| ratio.min(most)).collect();
    stats::mean(&limited).unwrap_or(0.0)
}

/// How much the levels of occasions vary in a metric: the standard deviation, over all its cells. One cell of five occasions
/// may look steady by luck; a machine doesn't in all of them.
pub(super) fn usual_drift(spreads: &[Spread]) -> f64 {
    let variances: Vec<f64> = spreads.iter().map(|spread| spread.variance).collect();
    stats::mean(&variances).unwrap_or(0.0).sqrt()
}

/// Where levels vary by more than half the noise threshold, a few occasions show too little of what the machine may do on
/// the next: a load that comes and goes isn't normal.
pub(super) fn is_unsteady(drift: f64, noise_threshold: Share) -> bool {
    drift > noise_threshold.log_ratio().get() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got / want - 1.0).abs() < 1e-12, "{got} instead of {want}");
    }

    /// By hand. Base: five occasions of two runs 2 apart, so V_base = 5 (1 + 1) / 5 = 2; a mean of two keeps half of it.
    /// Head: one occasion with the runs -6, 0 and 6, so V_head = (36 + 36) / 2 = 36; a mean of three keeps a third.
    /// Of a variance of 5 of an occasion's mean, 5 - 1 = 4 are drift, and the head's mean varies by 4 + 12 = 16: that is
    /// more than a base occasion's by 11.
    #[test]
    fn excess_of_a_noisy_head() {
        let history = History::of(&vec![vec![1.0, 3.0]; 5], &[vec![-6.0, 0.0, 6.0]]);
        close(history.k(), 1.2);
        close(history.ratio().unwrap(), 18.0);
        assert_eq!(history.excess(5.0), Spread { variance: 11.0, df: 2.0 });
        // Where the base's noise alone explains its occasions, there is no drift: 0 + 12 - 0.5.
        assert_eq!(history.excess(0.5).variance, 11.5);
        // Nine more runs leave 36 / 12 = 3 of the head's noise: 4 + 3 - 5.
        assert_eq!(history.with_runs(9).excess(5.0), Spread { variance: 2.0, df: 11.0 });
        // A second occasion like it halves what it adds.
        assert_eq!(history.with_occasions(1).excess(5.0), Spread { variance: 5.5, df: 4.0 });
    }

    /// A head as noisy as the base or quieter adds nothing; nor does one run, which shows no noise.
    #[test]
    fn a_quiet_head_adds_nothing_and_takes_nothing() {
        for head in [vec![1.0, 3.0], vec![2.0, 2.0, 2.0], vec![2.0]] {
            let history = History::of(&vec![vec![1.0, 3.0]; 5], std::slice::from_ref(&head));
            assert_eq!(history.excess(5.0).variance, 0.0, "{head:?}");
            close(history.k(), 0.2 + 2.0 / (head.len() as f64).min(2.0));
        }
    }

    /// Two runs of 0.2 apart are luck where the report's heads are 18 times as noisy: 4 + 18 x 2 / 2 - 5.
    #[test]
    fn a_head_is_as_noisy_as_the_report() {
        let history = History::of(&vec![vec![1.0, 3.0]; 5], &[vec![1.9, 2.1]]).no_quieter(18.0);
        assert_eq!(history.excess(5.0), Spread { variance: 17.0, df: 1.0 });
    }

    /// The median is 2, so the 1000 counts as 40: (1 + 2 + 40) / 3.
    #[test]
    fn a_wild_cell_speaks_for_itself() {
        close(usual_ratio(&[1.0, 1000.0, 2.0]), 43.0 / 3.0);
        assert_eq!(usual_ratio(&[]), 0.0);
    }
}
