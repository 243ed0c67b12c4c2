//! The tests of a report: every cell's variance moderated by the others', one p-value each.

use std::borrow::Cow;
use std::collections::HashMap;

use super::design::{Basis, Design, Evidence};
use super::drift::{self, Move};
use super::finding::Reading;
use super::history;
use super::memory_rule;
use super::pair::Pair;
use super::reason::{Mismatch, Untestable};
use crate::metric::{Kind, MetricName};
use crate::stats::{self, LogRatio, Prior, Share, Spread};

/// What can be said about a pair.
#[derive(Debug)]
pub(super) enum Assessment {
    /// Other work or another machine.
    Incomparable(Mismatch),
    /// No test is possible.
    Untestable(Untestable),
    Memory(Reading),
    /// Boxed, being much larger than the others.
    Tested(Box<Test>),
}

/// The test of one cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Test {
    pub evidence: Evidence,
    /// Variance of one value, with what was borrowed from other cells.
    pub moderated: Spread,
    /// The machine drifts too much for a history to convict anybody.
    pub unsteady: bool,
}

/// A normal error of known degrees of freedom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standard {
    /// The standard error.
    pub error: LogRatio,
    /// Its degrees of freedom; infinite where it is known.
    pub df: f64,
}

impl Test {
    /// Positive is worse.
    pub fn delta(&self) -> LogRatio {
        LogRatio::new(self.evidence.difference.delta)
    }

    /// The standard error of `delta`, drift and the head's noise included.
    pub fn standard(&self) -> Standard {
        let excess = self.evidence.history.map_or(Spread::NONE, |history| history.excess(self.moderated.variance));
        standard(self.measured(), excess, self.evidence.drift)
    }

    /// The variance of `delta` by the spread alone.
    fn measured(&self) -> Spread {
        self.moderated.times(self.evidence.difference.k)
    }

    pub fn p(&self) -> f64 {
        let Standard { error, df } = self.standard();
        stats::two_sided_p(self.delta() / error, df)
    }

    /// As if nothing had drifted, nor the head been noisy: what a screen asks before measuring again.
    pub fn p_without_drift(&self) -> f64 {
        let Standard { error, df } = standard(self.measured(), Spread::NONE, Spread::NONE);
        stats::two_sided_p(self.delta() / error, df)
    }
}

/// With Satterthwaite's degrees of freedom. `excess` is of a noisy head.
pub(super) fn standard(measured: Spread, excess: Spread, drift: Spread) -> Standard {
    let noise = measured.plus(excess);
    let total = noise.variance + drift.variance;
    let doubt = noise.variance.powi(2) / noise.df + drift.variance.powi(2) / drift.df;
    Standard { error: LogRatio::new(total.sqrt()), df: total.powi(2) / doubt }
}

/// Assesses every pair. `blocked`: why nothing can be compared at all.
pub(super) fn assess(pairs: &[Pair], design: &Design, blocked: Option<&Mismatch>) -> Vec<Assessment> {
    let mut evidence: Vec<Result<Evidence, Assessment>> =
        pairs.iter().map(|pair| gather(pair, design, blocked)).collect();
    learn_drift(pairs, &mut evidence);
    let mut index: HashMap<(&MetricName, Basis), usize> = HashMap::new();
    let mut groups: Vec<Vec<Spread>> = Vec::new();
    let mut group_of = Vec::with_capacity(pairs.len());
    for (pair, evidence) in pairs.iter().zip(&evidence) {
        let Ok(evidence) = evidence else {
            group_of.push(None);
            continue;
        };
        let group = *index.entry((pair.metric, evidence.basis)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(evidence.difference.spread);
        group_of.push(Some(group));
    }
    let priors = stats::priors(&groups);
    let levels: Vec<f64> = groups.iter().map(|group| history::usual_drift(group)).collect();
    let ratio = history::usual_ratio(&noise_ratios(&evidence));
    let prior = |group: Option<usize>| group.map_or(Prior::NONE, |group| priors[group]);
    let unsteady = |evidence: &Evidence, group: Option<usize>, noise_threshold: Share| {
        evidence.basis == Basis::History
            && group.is_some_and(|group| history::is_unsteady(levels[group], noise_threshold))
    };
    let of_pairs = pairs.iter().zip(evidence).zip(group_of);
    of_pairs
        .map(|((pair, evidence), group)| match evidence {
            Ok(evidence) => Assessment::Tested(Box::new(Test {
                evidence: Evidence { history: evidence.history.map(|history| history.no_quieter(ratio)), ..evidence },
                moderated: prior(group).moderate(evidence.difference.spread),
                unsteady: unsteady(&evidence, group, pair.noise_threshold),
            })),
            Err(assessment) => assessment,
        })
        .collect()
}

/// What the cells of a screen show together of the drift that none of them can show alone.
fn learn_drift(pairs: &[Pair], evidence: &mut [Result<Evidence, Assessment>]) {
    let cells = pairs.iter().zip(evidence).filter_map(|(pair, evidence)| Some((pair, evidence.as_mut().ok()?)));
    let screened: Vec<_> = cells.filter(|(_, evidence)| evidence.basis == Basis::SingleBaseline).collect();
    let (mut moves, mut drifts) = (Vec::new(), Vec::new());
    for (pair, evidence) in screened {
        moves.push(Move { case: pair.case, metric: pair.metric.as_str(), delta: evidence.difference.delta });
        drifts.push(&mut evidence.drift);
    }
    drifts.into_iter().zip(drift::learned(&moves)).for_each(|(drift, learned)| *drift = learned);
}

/// How many times as noisy the head's runs are, by cell.
fn noise_ratios(evidence: &[Result<Evidence, Assessment>]) -> Vec<f64> {
    evidence.iter().flatten().filter_map(|evidence| evidence.history?.ratio()).collect()
}

/// The evidence for a t-test, or what is said without one.
fn gather(pair: &Pair, design: &Design, blocked: Option<&Mismatch>) -> Result<Evidence, Assessment> {
    if let Some(mismatch) = blocked.or(pair.incomparable.as_ref()) {
        return Err(Assessment::Incomparable(mismatch.clone()));
    }
    if let Some(why) = obstacle(pair) {
        return Err(Assessment::Untestable(why));
    }
    if pair.kind == Kind::Memory || pair.zeros != [0, 0] || pair.is_one_count() {
        return Err(Assessment::Memory(memory_rule::judge(pair)));
    }
    match design.evidence(pair) {
        Some(evidence) if evidence.difference.spread.df > 0.0 => Ok(evidence),
        _ => Err(Assessment::Untestable(Untestable::SingleRunsOfSessions)),
    }
}

/// What makes any test of the pair impossible.
fn obstacle(pair: &Pair) -> Option<Untestable> {
    let count = |sessions: &[Cow<[f64]>]| sessions.iter().map(|values| values.len()).sum::<usize>();
    let valid = [count(&pair.base) + pair.zeros[0], count(&pair.head) + pair.zeros[1]];
    let nothing = |side: &usize| valid[*side] == 0 && pair.dropped[*side] > 0;
    if let Some(side) = [0, 1].into_iter().find(nothing) {
        let invalid = pair.dropped[side];
        return Some(Untestable::InvalidValues { side: ["base", "head"][side], invalid, total: invalid });
    }
    match valid {
        [0, _] | [_, 0] => Some(Untestable::NoSharedValues),
        _ if pair.has_average => Some(Untestable::OnlyAverages),
        [1, 1] if pair.zeros == [0, 0] => Some(Untestable::SingleRuns),
        _ => None,
    }
}
