//! The statistics behind the verdict: plain slices in, numbers out.
//!
//! `docs/statistics.md` says why these tests, and cites their sources.

mod holm;
mod moderation;
mod scale;
mod special;
mod student;
mod summary;

pub use holm::holm;
pub use moderation::{Prior, Spread, priors};
pub use scale::{LogRatio, Share};
pub use student::{quantile, two_sided_p};
pub use summary::Summary;

/// Standard normal quantile of 90% power: what a minimum detectable effect adds to the quantile of its test.
pub const POWER: f64 = 1.28;

/// Arithmetic mean; `None` of nothing.
///
/// Summed as differences from the first value: equal values give exactly that value, and huge ones don't overflow.
pub fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    let n = values.len() as f64;
    Some(first + values.iter().map(|value| (value - first) / n).sum::<f64>())
}

/// Sum of squared differences from the mean: exactly 0 for equal values.
pub fn sum_of_squares(values: &[f64]) -> f64 {
    let Some(mean) = mean(values) else { return 0.0 };
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Sample standard deviation; `None` below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    // Scaled, so that squares of huge values don't overflow.
    let scale = values.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    if scale == 0.0 {
        return Some(0.0);
    }
    let scaled: Vec<f64> = values.iter().map(|value| value / scale).collect();
    Some((sum_of_squares(&scaled) / (values.len() - 1) as f64).sqrt() * scale)
}

/// The value in the middle, or the mean of the two there; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The chance of at least `count` successes in `trials` independent ones of probability `p`: the binomial distribution's
/// upper tail.
pub fn at_least(count: usize, trials: usize, p: f64) -> f64 {
    let mut exactly = (1.0 - p).powf(trials as f64);
    let mut below = 0.0;
    for successes in 0..count.min(trials + 1) {
        below += exactly;
        exactly *= (trials - successes) as f64 / (successes + 1) as f64 * p / (1.0 - p);
    }
    (1.0 - below).clamp(0.0, 1.0)
}

/// A difference of two means and what is known about its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanDifference {
    /// mean(head) - mean(base)
    pub delta: f64,
    /// Pooled variance of one value, with its degrees of freedom.
    pub spread: Spread,
    /// Variance of `delta` in units of the variance of one value: 1/n_base + 1/n_head for two samples.
    pub k: f64,
}

impl MeanDifference {
    /// Of two samples with a common variance; `None` if either is empty. The degrees of freedom may be 0.
    pub fn of(base: &[f64], head: &[f64]) -> Option<Self> {
        Self::of_blocks([(base, head)])
    }

    /// Of several blocks, each with its own level: base and head are compared inside each block, the differences
    /// averaged. Blocks with an empty side don't count.
    pub fn of_blocks<'a>(blocks: impl IntoIterator<Item = (&'a [f64], &'a [f64])>) -> Option<Self> {
        let (mut deltas, mut k, mut squares, mut df) = (Vec::new(), 0.0, 0.0, 0.0);
        for (base, head) in blocks {
            let (Some(base_mean), Some(head_mean)) = (mean(base), mean(head)) else { continue };
            deltas.push(head_mean - base_mean);
            k += 1.0 / base.len() as f64 + 1.0 / head.len() as f64;
            squares += sum_of_squares(base) + sum_of_squares(head);
            df += (base.len() + head.len() - 2) as f64;
        }
        let blocks = deltas.len() as f64;
        let variance = if df > 0.0 { squares / df } else { 0.0 };
        Some(Self { delta: mean(&deltas)?, spread: Spread { variance, df }, k: k / (blocks * blocks) })
    }

    /// Two-sided p of the plain pooled t-test; `None` where it isn't defined: no spread, or no degrees of freedom.
    pub fn pooled_p(&self) -> Option<f64> {
        if self.spread.df <= 0.0 || self.spread.variance <= 0.0 {
            return None;
        }
        Some(two_sided_p(self.delta / (self.spread.variance * self.k).sqrt(), self.spread.df))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs().max(1e-300), "{a} != {b}");
    }

    #[test]
    fn equal_values_have_no_spread_at_all() {
        let values = [0.1_f64.ln(); 7];
        assert_eq!(mean(&values), Some(values[0]));
        assert_eq!(sum_of_squares(&values), 0.0);
    }

    #[test]
    fn huge_values_do_not_overflow() {
        let values = [1e308, 1.5e308, 1.7e308];
        close(mean(&values).unwrap(), 1.4e308, 1e-12);
        assert!(standard_deviation(&values).unwrap().is_finite());
    }

    /// s2 = 1, so t = 3 / sqrt(1/3 + 1/3) with 4 degrees of freedom, where in closed form
    /// P(T <= t) = 1/2 + 3/8 u (1 - u^2 / 12) with u = t / sqrt(1 + t^2 / 4).
    #[test]
    fn pooled_t_of_a_worked_example() {
        let difference = MeanDifference::of(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap();
        assert_eq!(difference.delta, 3.0);
        assert_eq!(difference.spread, Spread { variance: 1.0, df: 4.0 });
        let t = 3.0 / (2.0_f64 / 3.0).sqrt();
        let u = t / (1.0 + t * t / 4.0).sqrt();
        close(difference.pooled_p().unwrap(), 1.0 - 0.75 * u * (1.0 - u * u / 12.0), 1e-12);
    }

    /// Two blocks shifted against each other: the shift cancels.
    #[test]
    fn blocks_cancel_what_they_share() {
        let blocks: [(&[f64], &[f64]); 2] =
            [(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), (&[101.0, 102.0, 103.0], &[104.0, 105.0, 106.0])];
        let difference = MeanDifference::of_blocks(blocks).unwrap();
        assert_eq!(difference.delta, 3.0);
        assert_eq!(difference.spread, Spread { variance: 1.0, df: 8.0 });
        close(difference.k, 1.0 / 3.0, 1e-12);
    }

    #[test]
    fn no_spread_or_no_replicates_is_no_test() {
        assert_eq!(MeanDifference::of(&[1.0, 1.0], &[2.0, 2.0]).unwrap().pooled_p(), None);
        assert_eq!(MeanDifference::of(&[1.0], &[2.0]).unwrap().pooled_p(), None);
        assert_eq!(MeanDifference::of(&[], &[2.0]), None);
    }

    /// Two fair coins, and 1 - 0.9^6 - 6 x 0.1 x 0.9^5.
    #[test]
    fn binomial_tails() {
        close(at_least(0, 2, 0.5), 1.0, 1e-12);
        close(at_least(1, 2, 0.5), 0.75, 1e-12);
        close(at_least(2, 2, 0.5), 0.25, 1e-12);
        close(at_least(3, 2, 0.5), 0.0, 1e-12);
        close(at_least(2, 6, 0.1), 0.114265, 1e-5);
        assert_eq!(at_least(0, 0, 0.0), 1.0);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
