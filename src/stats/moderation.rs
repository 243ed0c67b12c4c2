//! Variances borrowed across the cells of a report: three runs alone say little about their own spread.
//!
//! Empirical Bayes as in limma (Smyth 2004, doi:10.2202/1544-6115.1027), with the number of prior degrees of freedom
//! capped and its estimate made cautious: reports are small, and both keep the family-wise error rate.

use statrs::function::gamma::digamma;

use super::special::{inverse_trigamma, trigamma};

/// A metric takes part in the prior from this many cells on.
const MIN_CELLS: usize = 6;
const MAX_PRIOR_DF: f64 = 8.0;
/// Below this standard deviation (0.001%) nothing is measured but the clock's resolution.
const MIN_VARIANCE: f64 = 1e-10;

/// A variance and the degrees of freedom behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Of one value, on the log scale: relative, so that cells of all sizes can lend each other.
    pub variance: f64,
    /// Degrees of freedom that the variance was estimated with; with borrowed ones, their sum.
    pub df: f64,
}

impl Spread {
    /// Nothing varies.
    pub const NONE: Self = Self { variance: 0.0, df: f64::INFINITY };

    /// That of a value times the square root of `k`.
    pub fn times(self, k: f64) -> Self {
        Self { variance: self.variance * k, ..self }
    }

    /// That of a sum of two independent parts, with Satterthwaite's degrees of freedom; but what is added makes nothing
    /// surer, so they are never more than without it.
    pub fn plus(self, other: Self) -> Self {
        if other.variance <= 0.0 {
            return self;
        }
        let variance = self.variance + other.variance;
        let doubt = self.variance.powi(2) / self.df + other.variance.powi(2) / other.df;
        Self { variance, df: (variance.powi(2) / doubt).min(self.df) }
    }
}

/// What the other cells of a metric say about a cell's variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// s0^2: what a cell's variance is expected to be.
    pub variance: f64,
    /// d0: how many degrees of freedom that expectation is worth; 0 where each cell stands alone.
    pub df: f64,
}

impl Prior {
    /// Too few cells: each stands alone.
    pub const NONE: Self = Self { variance: 0.0, df: 0.0 };

    /// The moderated variance: (d0 s0^2 + d s^2) / (d0 + d), for d > 0.
    pub fn moderate(&self, spread: Spread) -> Spread {
        let df = self.df + spread.df;
        let variance = (self.df * self.variance + spread.df * spread.variance) / df;
        Spread { variance: variance.max(MIN_VARIANCE), df }
    }
}

/// One prior for each group of cells (the cells of one metric), in the order of `groups`.
///
/// z = ln s^2 - psi(d/2) + ln(d/2) has expectation ln s0^2 - psi(d0/2) + ln(d0/2) and variance
/// psi'(d/2) + psi'(d0/2): each group gives its own s0^2, all together give d0.
pub fn priors(groups: &[Vec<Spread>]) -> Vec<Prior> {
    let logs: Vec<Option<Vec<f64>>> = groups.iter().map(|cells| group_logs(cells)).collect();
    let d0 = prior_df(groups, &logs);
    let prior = |logs: &Vec<f64>| {
        let center = super::mean(logs)?;
        Some(Prior { variance: (center + digamma(d0 / 2.0) - (d0 / 2.0).ln()).exp(), df: d0 })
    };
    logs.iter().map(|logs| logs.as_ref().and_then(prior).unwrap_or(Prior::NONE)).collect()
}

fn has_spread(cell: &&Spread) -> bool {
    cell.variance > 0.0 && cell.df > 0.0
}

/// z of each cell that has a spread; `None` for too few.
fn group_logs(cells: &[Spread]) -> Option<Vec<f64>> {
    let logs: Vec<f64> = cells
        .iter()
        .filter(has_spread)
        .map(|cell| cell.variance.ln() - digamma(cell.df / 2.0) + (cell.df / 2.0).ln())
        .collect();
    (logs.len() >= MIN_CELLS).then_some(logs)
}

/// d0 from the scatter of z inside the groups, beyond what the cells' own degrees of freedom explain.
fn prior_df(groups: &[Vec<Spread>], logs: &[Option<Vec<f64>>]) -> f64 {
    let (mut squares, mut freedom, mut expected, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (cells, logs) in groups.iter().zip(logs) {
        let Some(logs) = logs else { continue };
        squares += super::sum_of_squares(logs);
        freedom += (logs.len() - 1) as f64;
        expected += cells.iter().filter(has_spread).map(|cell| trigamma(cell.df / 2.0)).sum::<f64>();
        count += logs.len() as f64;
    }
    if freedom == 0.0 {
        return 0.0;
    }
    let excess = squares / freedom * (1.0 + (2.0 / freedom).sqrt()) - expected / count;
    if excess <= 0.0 { MAX_PRIOR_DF } else { 2.0 * inverse_trigamma(excess, MAX_PRIOR_DF / 2.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(variances: &[f64]) -> Vec<Spread> {
        variances.iter().map(|&variance| Spread { variance, df: 4.0 }).collect()
    }

    /// Equal variances scatter less than chance: the cap. z = ln v - psi(2) + ln 2, so that with d0 = 8
    /// ln s0^2 = ln v - psi(2) + ln 2 + psi(4) - ln 4; psi(4) - psi(2) = 1/2 + 1/3, so s0^2 = v e^(5/6) / 2.
    #[test]
    fn equal_variances_give_the_cap() {
        let prior = priors(&[cells(&[4e-6; 6])])[0];
        assert_eq!(prior.df, 8.0);
        assert!((prior.variance / (4e-6 * (5.0_f64 / 6.0).exp() / 2.0) - 1.0).abs() < 1e-12);
        let moderated = prior.moderate(Spread { variance: 1e-6, df: 4.0 });
        assert_eq!(moderated.df, 12.0);
        assert!((moderated.variance - (8.0 * prior.variance + 4.0 * 1e-6) / 12.0).abs() < 1e-18);
    }

    /// (3 + 1)^2 / (9/10 + 1/2) = 80/7 is more than 10; (1 + 3)^2 / (1/10 + 9/2) = 80/23 isn't.
    #[test]
    fn sums_are_no_surer_than_their_parts() {
        let spread = |variance, df| Spread { variance, df };
        assert_eq!(spread(3.0, 10.0).plus(spread(1.0, 2.0)), spread(4.0, 10.0));
        let sum = spread(1.0, 10.0).plus(spread(3.0, 2.0));
        assert!(sum.variance == 4.0 && (sum.df - 80.0 / 23.0).abs() < 1e-12, "{sum:?}");
        assert_eq!(spread(1.0, 10.0).plus(Spread::NONE), spread(1.0, 10.0));
        assert_eq!(spread(1.0, 10.0).plus(spread(0.0, 0.0)), spread(1.0, 10.0));
        assert_eq!(spread(2.0, 4.0).times(1.2), spread(2.4, 4.0));
    }

    #[test]
    fn wild_variances_borrow_little() {
        let prior = priors(&[cells(&[1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3])])[0];
        assert!(prior.df < 1.0, "{prior:?}");
    }

    #[test]
    fn five_cells_or_five_with_spread_stand_alone() {
        assert_eq!(priors(&[cells(&[1e-6; 5])]), [Prior::NONE]);
        assert_eq!(priors(&[cells(&[1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 0.0])]), [Prior::NONE]);
        let alone = Prior::NONE.moderate(Spread { variance: 0.0, df: 4.0 });
        assert_eq!(alone, Spread { variance: MIN_VARIANCE, df: 4.0 });
    }

    /// A small metric beside a large one takes no part and gets nothing.
    #[test]
    fn groups_share_the_degrees_of_freedom_only() {
        let all = priors(&[cells(&[1e-6; 8]), cells(&[1e-4; 8]), cells(&[1e-4; 3])]);
        assert_eq!((all[0].df, all[1].df, all[2]), (8.0, 8.0, Prior::NONE));
        assert!((all[1].variance / all[0].variance - 100.0).abs() < 1e-9);
    }
}
