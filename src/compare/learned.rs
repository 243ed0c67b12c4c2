//! Noise thresholds that the base shows: what sessions of one build differ by.
//!
//! The head has no part in it, so that no head can choose what it is judged by.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pair::Pair;
use super::side::{CellSide, SessionValues};
use crate::metric::{Kind, MetricName};
use crate::plural::counted;
use crate::results::Occasions;
use crate::results::occasions::HISTORY;
use crate::stats::{self, LogRatio, Share, Spread};

/// Smaller changes are nobody's concern, however quiet the machine is.
const LEAST: Share = Share::new(0.005);
/// Fewer sessions show no spread to speak of.
pub(super) const SESSIONS: usize = 3;
/// One-sided confidence of a 90% interval.
const CONFIDENCE: f64 = 0.95;

/// A noise threshold, and what shows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Learned {
    /// As a share.
    #[schemars(with = "f64")]
    pub noise_threshold: Share,
    /// Sessions of the base that show it, ...
    pub sessions: usize,
    /// ... and on how many occasions these were. From five on, the spread is that of occasions.
    pub occasions: usize,
}

/// Of each pair that asks for it; `None` where the base has too few sessions.
pub(super) fn learn(pairs: &mut [Pair], occasions: &Occasions) {
    let asked = |pair: &&mut Pair| pair.auto && pair.kind == Kind::Timed;
    let mut asking: Vec<(&mut Pair, Shown)> = pairs
        .iter_mut()
        .filter(asked)
        .filter_map(|pair| Shown::by(pair.cell, occasions).map(|it| (pair, it)))
        .collect();
    let mut index: HashMap<MetricName, usize> = HashMap::new();
    let mut groups: Vec<Vec<Spread>> = Vec::new();
    for (pair, shown) in &asking {
        let group = *index.entry(pair.metric.clone()).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(shown.spread);
    }
    let priors = stats::priors(&groups);
    for (pair, shown) in &mut asking {
        let moderated = priors[index[pair.metric]].moderate(shown.spread);
        pair.learned = Some(shown.learned(moderated));
    }
}

/// Where a threshold was to be learned and rows go by the fixed one: why.
pub(super) fn warnings(pairs: &[Pair], base: &str) -> Vec<String> {
    let asking = || pairs.iter().filter(|pair| pair.auto && pair.kind == Kind::Timed);
    let unknown = asking().filter(|pair| pair.learned.is_none()).count();
    let unheeded = asking().any(|pair| pair.learned.is_some_and(|it| it.noise_threshold != pair.noise_threshold));
    let mut warnings = Vec::new();
    if unknown > 0 {
        warnings.push(format!(
            "noise threshold `auto`: of {}, {base} has fewer than {SESSIONS} sessions, which show too little; the fixed noise \
             thresholds hold there",
            counted(unknown, "cell")
        ));
    }
    if unheeded {
        warnings.push(format!(
            "noise threshold `auto`: sessions of fewer than {HISTORY} occasions don't show how much the machine drifts; rows go by \
             the fixed noise thresholds until base and head are measured interleaved"
        ));
    }
    warnings
}

/// What the base's sessions show of a cell.
struct Shown {
    /// Of the means of sessions, or of occasions where there are enough.
    spread: Spread,
    /// How many means.
    means: usize,
    sessions: usize,
    occasions: usize,
}

impl Shown {
    fn by(cell: &CellSide, occasions: &Occasions) -> Option<Self> {
        let counted = |session: &&SessionValues| occasions.at(session.session).is_some();
        let sessions: Vec<Vec<f64>> = cell.sessions.iter().filter(counted).map(logarithms).collect();
        let mut together: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for session in cell.sessions.iter() {
            let Some(occasion) = occasions.at(session.session) else { continue };
            together.entry(occasion).or_default().extend(logarithms(session));
        }
        let together: Vec<Vec<f64>> = together.into_values().collect();
        let (of_sessions, of_occasions) = (sessions.len(), together.len());
        let units = if of_occasions >= HISTORY { together } else { sessions };
        (units.len() >= SESSIONS).then(|| Self {
            spread: spread(&units),
            means: units.len(),
            sessions: of_sessions,
            occasions: of_occasions,
        })
    }

    /// What a session of the same build stays below 9 times out of 10, its interval included: twice the half of the interval
    /// that it would have.
    fn learned(&self, moderated: Spread) -> Learned {
        let error = (moderated.variance * (1.0 + 1.0 / self.means as f64)).sqrt();
        let bound = LogRatio::new(2.0 * stats::quantile(CONFIDENCE, moderated.df) * error).share();
        let noise_threshold = if bound > LEAST { bound } else { LEAST };
        Learned { noise_threshold, sessions: self.sessions, occasions: self.occasions }
    }
}

fn logarithms(session: &SessionValues) -> Vec<f64> {
    session.values.iter().map(|value| value.ln()).collect()
}

/// Of the means; but means that happen to lie close together vary at least as much as their runs let them.
fn spread(units: &[Vec<f64>]) -> Spread {
    let means: Vec<f64> = units.iter().filter_map(|runs| stats::mean(runs)).collect();
    let df = (means.len() - 1) as f64;
    let runs_df: f64 = units.iter().map(|runs| (runs.len() - 1) as f64).sum();
    let squares: f64 = units.iter().map(|runs| stats::sum_of_squares(runs)).sum();
    let share = units.iter().map(|runs| 1.0 / runs.len() as f64).sum::<f64>() / units.len() as f64;
    let of_runs = if runs_df > 0.0 { squares / runs_df * share } else { 0.0 };
    Spread { variance: (stats::sum_of_squares(&means) / df).max(of_runs), df }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: means 0, 0.01, 0.02, 0.03, 0.04 have the variance 2.5e-4 with 4 degrees of freedom, where the quantile is
    /// 2.1318; 2 x 2.1318 x sqrt(2.5e-4 x 1.2) = 0.073849, which is 7.66%.
    #[test]
    fn five_single_runs() {
        let units: Vec<Vec<f64>> = (0..5).map(|index| vec![0.01 * f64::from(index)]).collect();
        let shown = Shown { spread: spread(&units), means: 5, sessions: 5, occasions: 5 };
        let learned = shown.learned(shown.spread).noise_threshold.get();
        assert!((learned - 0.07664).abs() < 1e-4, "{learned}");
    }

    /// Equal means of runs that are 0.02 apart: of their variance of 2e-4 half is left in a mean of two.
    #[test]
    fn equal_means_of_noisy_runs_are_luck() {
        assert!((spread(&vec![vec![0.0, 0.02]; 3]).variance - 1e-4).abs() < 1e-15);
    }
}
