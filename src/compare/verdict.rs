//! From tests to rows: what a test concludes.

use std::collections::HashMap;

use super::design::{Basis, Design, native};
use super::forecast::Forecast;
use super::pair::Pair;
use super::reason::{Doubt, Open, Unconfirmed};
use super::test::{Standard, Test};
use super::{Cell, Conclusion, Finding, Options, Pooled, Row, Sides, Tested};
use crate::metric::Better;
use crate::stats::{self, LogRatio, Share, Summary};

/// What it takes to call a cell changed or unchanged.
pub(super) struct Rule {
    /// Adjusted p up to this is a change.
    gate: f64,
    /// Confidence of the interval that must lie inside the noise threshold.
    confidence: f64,
    confirmed: bool,
    gate_at_threshold: bool,
    interval: Quantiles,
    detection: Quantiles,
}

/// Quantiles of Student's t at one probability: the cells of a report have few different degrees of freedom.
struct Quantiles {
    p: f64,
    known: HashMap<u64, f64>,
}

impl Quantiles {
    fn new(p: f64) -> Self {
        Self { p, known: HashMap::new() }
    }

    fn at(&mut self, df: f64) -> f64 {
        *self.known.entry(df.to_bits()).or_insert_with(|| stats::quantile(self.p, df))
    }
}

impl Rule {
    /// One look at the data. The gate is 0.8 alpha: the rest pays for estimating the prior from the same report.
    pub fn one_shot(options: &Options, family: usize) -> Self {
        Self::new(options, 0.8 * options.alpha, options.alpha, 0.90, family)
    }

    /// Fresh runs of suspects: no prior, but every look takes its share. Adjusted p have paid for the looks already.
    pub fn confirm(options: &Options, family: usize, looks: usize) -> Self {
        let (alpha, looks) = (options.alpha, looks as f64);
        Self { confirmed: true, ..Self::new(options, alpha, alpha / looks, 1.0 - 0.05 / looks, family) }
    }

    fn new(options: &Options, gate: f64, alpha: f64, confidence: f64, family: usize) -> Self {
        let detection = 1.0 - alpha / (2.0 * family.max(1) as f64);
        Self {
            gate,
            confidence,
            confirmed: false,
            gate_at_threshold: options.gate_at_threshold,
            interval: Quantiles::new(f64::midpoint(1.0, confidence)),
            detection: Quantiles::new(detection),
        }
    }
}

/// A pair as a row, with what was found.
pub(super) fn row(pair: &Pair, design: &Design, finding: impl FnOnce(Option<Share>) -> Finding) -> Row {
    let sides = sides(pair, design);
    let change = sides.base.zip(sides.head).and_then(|(base, head)| ratio(base.center(), head.center()));
    let cell = Cell {
        case: pair.case.to_owned(),
        metric: pair.metric.clone(),
        unit: pair.unit.to_owned(),
        better: pair.better,
        noise_threshold: pair.noise_threshold,
        learned: pair.learned,
    };
    Row { cell, sides, finding: finding(change), cause: None }
}

/// With the geometric means that the change is of; zeros have none.
fn sides(pair: &Pair, design: &Design) -> Sides {
    let levels = if pair.zeros == [0, 0] { design.levels(pair) } else { [None; 2] };
    let summary = |side: usize| {
        let summary = Summary::of(&pair.values()[side])?;
        Some(Summary { geometric_mean: levels[side].filter(|level| level.is_finite()), ..summary })
    };
    Sides { base: summary(0), head: summary(1), dropped: pair.dropped }
}

fn ratio(base: f64, head: f64) -> Option<Share> {
    (base > 0.0).then(|| Share::new((head - base) / base))?.finite()
}

pub(super) fn tested(pair: &Pair, test: &Test, p: f64, p_adjusted: f64, rule: &mut Rule) -> Tested {
    let Standard { error, df } = test.standard();
    let delta = test.delta();
    let half = error * rule.interval.at(df);
    let ends = [delta - half, delta + half].map(|end| native(end, pair.better));
    let ordered = if pair.better == Better::Lower { ends } else { [ends[1], ends[0]] };
    let difference = test.evidence.difference;
    Tested {
        change: native(delta, pair.better).finite(),
        interval: ordered.iter().all(|end| end.finite().is_some()).then_some(ordered),
        confidence: rule.confidence,
        p,
        p_adjusted,
        df: df.is_finite().then_some(df),
        pooled: Pooled { p: difference.pooled_p(), df: difference.spread.df },
        minimum_detectable_effect: (error * (rule.detection.at(df) + stats::POWER)).share().finite(),
        confirmed: rule.confirmed,
        drift: Some(test.evidence.drift.variance)
            .filter(|of_both| *of_both > 0.0)
            .map(|of_both| Share::new((of_both / 2.0).sqrt())),
        base_again: None,
        conclusion: conclude(pair, test, half, p, p_adjusted, rule),
    }
}

/// `half`: of the interval, as wide as the verdict asks for.
fn conclude(pair: &Pair, test: &Test, half: LogRatio, p: f64, p_adjusted: f64, rule: &Rule) -> Conclusion {
    let (delta, noise_threshold) = (test.delta(), pair.noise_threshold.log_ratio());
    let (significant, large) = (p_adjusted <= rule.gate, delta.abs() >= noise_threshold);
    if delta.abs() + half <= noise_threshold {
        return Conclusion::Unchanged;
    }
    let at_threshold = significant && !large && is_at_threshold(delta.abs(), half, noise_threshold);
    if significant && large || at_threshold && rule.gate_at_threshold {
        return match test.evidence.basis {
            // How much the machine drifts is an assumption here, and no one is blamed by an assumption.
            Basis::SingleBaseline => Conclusion::Unconfirmed(Unconfirmed::Occasions(pair.missing)),
            Basis::History if test.unsteady => Conclusion::Unconfirmed(Unconfirmed::Unsteady),
            _ if delta.get() > 0.0 => Conclusion::Worse,
            _ => Conclusion::Better,
        };
    }
    if at_threshold && test.evidence.basis != Basis::SingleBaseline {
        return Conclusion::AtThreshold;
    }
    let doubt = match (significant, large) {
        (true, _) => Doubt::Size,
        (false, true) => Doubt::Noise,
        (false, false) => Doubt::Range,
    };
    let multiplicity = if p > 0.0 { (p_adjusted / p).max(1.0) } else { 1.0 };
    let forecast = Forecast { pair, test, multiplicity, gate: rule.gate, confidence: rule.confidence };
    Conclusion::Open(Open::Doubt { doubt, settling: forecast.settling() })
}

/// The interval holds the noise threshold, and all of it is more than half of that.
fn is_at_threshold(delta: LogRatio, half: LogRatio, noise_threshold: LogRatio) -> bool {
    delta + half >= noise_threshold && delta - half >= noise_threshold * 0.5
}
