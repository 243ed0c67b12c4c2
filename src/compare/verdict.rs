//! From tests to rows: the order of verdicts, the reason, and what would settle an open one.

use std::collections::HashMap;

use super::design::{Basis, Evidence};
use super::memory::MemoryVerdict;
use super::pair::Pair;
use super::test::{Standard, Test, standard};
use super::wording::{change, percent};
use super::{Row, Summary, Verdict};
use crate::metric::Better;
use crate::results::occasions::{HISTORY, HOURS_APART, more_sessions};
use crate::stats;

/// More runs than this are no advice.
const MAX_RUNS: u32 = 100;
/// Nor are more sessions than this.
const MAX_SESSIONS: u32 = 10;
/// Standard normal quantile of 90% power.
const POWER: f64 = 1.28;

/// What it takes to call a cell changed or unchanged.
pub(super) struct Rule {
    /// Adjusted p up to this is a change.
    gate: f64,
    /// Confidence of the interval that must lie inside the margin.
    confidence: f64,
    confirmed: bool,
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
    pub fn one_shot(alpha: f64, family: usize) -> Self {
        Self::new(0.8 * alpha, alpha, 0.90, false, family)
    }

    /// Fresh runs of suspects: no prior, but every look takes its share. Adjusted p have paid for the looks already.
    pub fn confirm(alpha: f64, family: usize, looks: usize) -> Self {
        let looks = looks as f64;
        Self::new(alpha, alpha / looks, 1.0 - 0.05 / looks, true, family)
    }

    fn new(gate: f64, alpha: f64, confidence: f64, confirmed: bool, family: usize) -> Self {
        let detection = 1.0 - alpha / (2.0 * family.max(1) as f64);
        Self {
            gate,
            confidence,
            confirmed,
            interval: Quantiles::new(f64::midpoint(1.0, confidence)),
            detection: Quantiles::new(detection),
        }
    }
}

/// A row without a verdict: what the data are.
pub(super) fn describe(pair: &Pair) -> Row {
    let (base, head) = (pair.base.concat(), pair.head.concat());
    let delta = log_mean(&base).zip(log_mean(&head)).map(|(base, head)| head - base);
    Row {
        case: pair.case.to_owned(),
        metric: pair.metric.to_string(),
        unit: pair.unit.to_owned(),
        better: pair.better,
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        confirmed: false,
        unconfirmed: false,
        base: summary(&base),
        head: summary(&head),
        change: delta.and_then(|delta| finite(delta.exp_m1())),
        interval: None,
        confidence: None,
        p: None,
        p_adjusted: None,
        df: None,
        p_pooled: None,
        df_pooled: None,
        margin: pair.margin,
        detectable: None,
        runs_needed: None,
    }
}

fn log_mean(values: &[f64]) -> Option<f64> {
    stats::mean(&values.iter().map(|value| value.ln()).collect::<Vec<_>>())
}

fn summary(values: &[f64]) -> Option<Summary> {
    let sd = stats::standard_deviation(values).filter(|sd| sd.is_finite());
    Some(Summary { n: values.len(), mean: stats::mean(values)?, sd })
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

pub(super) fn memory_row(pair: &Pair, verdict: MemoryVerdict) -> Row {
    let mut row = describe(pair);
    let words = row.change_in_words().unwrap_or_else(|| "another amount".to_owned());
    let floor = format!("64 MiB or {}", percent(pair.margin));
    (row.verdict, row.reason) = match verdict {
        MemoryVerdict::Worse => (Verdict::Regressed, format!("{words}, beyond the spread of the runs and {floor}")),
        MemoryVerdict::Better => (Verdict::Improved, format!("{words}, beyond the spread of the runs and {floor}")),
        MemoryVerdict::Unchanged => (Verdict::Unchanged, format!("every run within {floor}")),
        MemoryVerdict::Unclear => (
            Verdict::Inconclusive,
            format!("{words}: not all runs are within {floor}, but base and head overlap or are close"),
        ),
    };
    row
}

pub(super) fn tested_row(pair: &Pair, test: &Test, p: f64, p_adjusted: f64, rule: &mut Rule) -> Row {
    let mut row = describe(pair);
    let Standard { error, df } = test.standard();
    let delta = test.delta();
    let margin = pair.margin.ln_1p();
    let half = rule.interval.at(df) * error;
    // Undo the scale where positive is worse.
    let relative = |delta: f64| if pair.better == Better::Lower { delta.exp_m1() } else { (-delta).exp_m1() };
    row.change = finite(relative(delta));
    let mut ends = [relative(delta - half), relative(delta + half)];
    ends.sort_by(f64::total_cmp);
    row.interval = ends.iter().all(|end| end.is_finite()).then_some(ends);
    row.confidence = Some(rule.confidence);
    row.confirmed = rule.confirmed;
    (row.p, row.p_adjusted, row.df) = (Some(p), Some(p_adjusted), finite(df));
    row.p_pooled = test.evidence.difference.pooled_p();
    row.df_pooled = Some(test.evidence.difference.spread.df);
    row.detectable = finite(((rule.detection.at(df) + POWER) * error).exp_m1());

    let significant = p_adjusted <= rule.gate;
    let changed = significant && delta.abs() >= margin;
    // How much the machine drifts is an assumption here, and no one is blamed by an assumption.
    let screened = test.evidence.basis == Basis::SingleBaseline;
    row.verdict = if delta.abs() + half <= margin {
        Verdict::Unchanged
    } else if changed && !screened {
        if delta > 0.0 { Verdict::Regressed } else { Verdict::Improved }
    } else {
        Verdict::Inconclusive
    };
    row.unconfirmed = changed && row.verdict == Verdict::Inconclusive;
    row.reason = match row.verdict {
        Verdict::Unchanged => format!("within ±{}", percent(pair.margin)),
        Verdict::Inconclusive if row.unconfirmed => format!(
            "{}, unconfirmed: {} or base and head measured interleaved would settle it",
            row.change_in_words().unwrap_or_default(),
            more_sessions(HISTORY.saturating_sub(pair.occasions), " of the base") + ",",
        ),
        Verdict::Inconclusive => {
            let multiplicity = if p > 0.0 { (p_adjusted / p).max(1.0) } else { 1.0 };
            let settling = settling(pair, &test.evidence, test, margin, multiplicity, rule);
            if let Settling::Runs { total, .. } = settling {
                row.runs_needed = Some(total);
            }
            format!("{}; {}", doubt(&row, significant, delta.abs() >= margin), settling.advice())
        }
        _ => format!("{}, beyond ±{}", row.change_in_words().unwrap_or_default(), percent(pair.margin)),
    };
    row
}

/// Why a tested row stays open.
fn doubt(row: &Row, significant: bool, large: bool) -> String {
    let words = row.change_in_words().unwrap_or_else(|| "changed".to_owned());
    match (significant, large) {
        (true, _) => format!("{words}, but whether by more than {} is open", percent(row.margin)),
        (false, true) => format!("{words}, but that may be noise"),
        (false, false) => match row.interval {
            Some([low, high]) => {
                let end = |value| change(value, &row.unit, row.better);
                format!("anything from {} to {} is possible", end(low), end(high))
            }
            None => "anything is possible".to_owned(),
        },
    }
}

/// What would settle an open row, if its mean and spread stay as they are.
enum Settling {
    /// This many runs a side.
    Runs { total: u32, more: u32 },
    /// This many more sessions of the head, on as many occasions.
    Sessions(u32),
    /// Only base and head interleaved: sessions drift too much.
    Interleaving,
    /// Nothing within reason.
    TooMany,
}

impl Settling {
    fn advice(&self) -> String {
        match self {
            Self::Runs { more: 1, .. } => "1 more run a side would tell".to_owned(),
            Self::Runs { more, .. } => format!("{more} more runs a side would tell"),
            Self::Sessions(1) => {
                format!("1 more session of the head, at least {HOURS_APART} hours later, would tell")
            }
            Self::Sessions(more) => {
                format!("{more} more sessions of the head, at least {HOURS_APART} hours apart, would tell")
            }
            Self::Interleaving => "base and head measured interleaved in one session would tell".to_owned(),
            Self::TooMany => format!("more than {MAX_RUNS} runs a side would be needed to tell"),
        }
    }
}

fn settling(
    pair: &Pair,
    evidence: &Evidence,
    test: &Test,
    margin: f64,
    multiplicity: f64,
    rule: &mut Rule,
) -> Settling {
    let delta = test.delta().abs();
    let prior_df = test.moderated.df - evidence.difference.spread.df;
    let mut settles = |k: f64, df: f64, drift: f64| {
        let spread = stats::Spread { variance: test.moderated.variance, df: prior_df + df };
        let Standard { error, df } = standard(spread, k, drift);
        if delta < margin {
            delta + rule.interval.at(df) * error <= margin
        } else {
            stats::two_sided_p(delta / error, df) * multiplicity <= rule.gate
        }
    };
    let count = |sessions: &[std::borrow::Cow<[f64]>]| sessions.iter().map(|values| values.len()).sum::<usize>() as u32;
    match evidence.basis {
        Basis::History => {
            let (base, head) = (pair.base.len() as f64, pair.head.len() as f64);
            let mut enough = |more: u32| {
                let head = head + f64::from(more);
                settles(1.0 / base + 1.0 / head, base + head - 2.0, 0.0)
            };
            (1..=MAX_SESSIONS).find(|&more| enough(more)).map_or(Settling::Interleaving, Settling::Sessions)
        }
        // However many runs: what looks changed stays unconfirmed.
        Basis::SingleBaseline if delta >= margin => Settling::Interleaving,
        Basis::Interleaved | Basis::SingleBaseline => {
            let (base, head) = (count(&pair.base), count(&pair.head));
            let sessions = if evidence.basis == Basis::Interleaved { pair.base.len() } else { 1 };
            let mut enough = |runs: u32| {
                let runs = f64::from(runs);
                settles(2.0 / runs, 2.0 * (runs - sessions as f64), evidence.drift)
            };
            let fewest = base.max(head) + 1;
            if !enough(MAX_RUNS.max(fewest)) {
                return if evidence.drift > 0.0 { Settling::Interleaving } else { Settling::TooMany };
            }
            let (mut low, mut high) = (fewest, MAX_RUNS.max(fewest));
            while low < high {
                let middle = low.midpoint(high);
                if enough(middle) { high = middle } else { low = middle + 1 }
            }
            Settling::Runs { total: low, more: low - base.min(head) }
        }
    }
}
