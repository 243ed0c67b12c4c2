//! How the sides were measured relative to each other, and so what a difference between them is worth.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::drift;
use super::history::History;
use super::pair::Pair;
use super::side::{CellSide, SessionValues, Side};
use crate::metric::Better;
use crate::results::Occasions;
use crate::results::occasions::{HISTORY, MoreOccasions};
use crate::stats::{self, LogRatio, MeanDifference, Share, Spread};

/// Which sessions are compared with which.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Design {
    /// The caller knows that all values come from one session, interleaved.
    OneSession,
    /// Sessions that both files hold: each was measured interleaved.
    Shared(Blocks),
    /// Measured at different times.
    Apart { base: Occasions, head: Occasions },
}

/// What a session shifts, it shifts on both sides.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// The number of the block by the session's index.
    base: HashMap<usize, usize>,
    head: HashMap<usize, usize>,
}

/// Values by session, block or occasion.
type Groups<'a> = Vec<Cow<'a, [f64]>>;

/// A cell's values in the sessions that count.
pub(super) struct Selected<'a> {
    pub base: Groups<'a>,
    pub head: Groups<'a>,
    /// More occasions of the base that would confirm a change, where sides were measured apart.
    pub missing: MoreOccasions,
}

/// What a cell's error consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Basis {
    /// Spread of runs inside sessions that hold both sides.
    Interleaved,
    /// Spread of the means of occasions.
    History,
    /// Spread of runs, and an assumed drift between sessions.
    SingleBaseline,
}

/// A cell's difference on the scale where positive is worse: ln y if lower is better, else -ln y.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    pub difference: MeanDifference,
    pub basis: Basis,
    /// What drift between sessions adds to the variance of the difference.
    pub drift: Spread,
    /// The noise of runs, where the spread is that of occasions.
    pub history: Option<History>,
}

impl Design {
    pub fn of(base: &Side, head: &Side, same_session: bool) -> Self {
        if same_session {
            return Self::interleaved(base, head);
        }
        let base_ids: HashMap<&str, usize> =
            base.sessions.iter().enumerate().map(|(index, session)| (session.id.as_str(), index)).collect();
        let shared: Vec<_> = (head.sessions.iter().enumerate())
            .filter_map(|(index, session)| Some((*base_ids.get(session.id.as_str())?, index)))
            .collect();
        match shared.first() {
            None => Self::Apart { base: base.occasions.clone(), head: head.occasions.clone() },
            Some(&first) => Self::Shared(Blocks::of(distinct(shared, first, base, head))),
        }
    }

    /// As the caller says. Plain samples don't name their sessions: the first of one file goes with the first of the other.
    fn interleaved(base: &Side, head: &Side) -> Self {
        let sessions = base.occasions.sessions().min(head.occasions.sessions());
        if sessions < 2 || !base.is_plain_samples() || !head.is_plain_samples() {
            return Self::OneSession;
        }
        let pairs = (0..sessions).map(|session| (session, session)).collect();
        Self::Shared(Blocks::of(distinct(pairs, (0, 0), base, head)))
    }

    /// A cell's values in the sessions that count; of shared sessions in the same order.
    pub fn select<'a>(&self, base: &'a CellSide, head: &'a CellSide) -> Selected<'a> {
        let all = |cell: &'a CellSide| cell.sessions.iter().map(|session| Cow::Borrowed(&*session.values)).collect();
        let (base, head, missing) = match self {
            Self::OneSession => (all(base), all(head), MoreOccasions::default()),
            Self::Shared(blocks) => {
                let (base, head) = blocks.select(base, head);
                (base, head, MoreOccasions::default())
            }
            Self::Apart { base: base_occasions, head: head_occasions } => {
                let (base, head) = (by_occasion(base, base_occasions), by_occasion(head, head_occasions));
                let missing = MoreOccasions::beside(base.len(), base_occasions.is_of_shared_process());
                (base, head, missing)
            }
        };
        Selected { base, head, missing }
    }

    /// Whether the drift between the pair's sides is only assumed.
    pub fn is_screen(&self, pair: &Pair) -> bool {
        matches!(self, Self::Apart { .. }) && pair.base.len() < HISTORY
    }

    /// The evidence of a pair; `None` when a side is empty.
    pub fn evidence(&self, pair: &Pair) -> Option<Evidence> {
        let base: Vec<Vec<f64>> = pair.base.iter().map(|values| log_costs(values, pair.better)).collect();
        let head: Vec<Vec<f64>> = pair.head.iter().map(|values| log_costs(values, pair.better)).collect();
        match self {
            Self::OneSession => interleaved([(&together(base)[..], &together(head)[..])]),
            Self::Shared(_) => interleaved(base.iter().zip(&head).map(|(base, head)| (&base[..], &head[..]))),
            Self::Apart { .. } if base.len() >= HISTORY => history(&base, &head),
            Self::Apart { .. } => single_baseline(&together(base), &together(head)),
        }
    }

    /// The sides' geometric means, of which the difference that [`evidence`](Self::evidence) finds is made.
    pub fn levels(&self, pair: &Pair) -> [Option<f64>; 2] {
        let sides = [&pair.base, &pair.head];
        match self {
            Self::Shared(_) => of_groups(sides, |base, head| shared(base, head).map(|groups| mean_of_means(&groups))),
            Self::Apart { .. } if pair.base.len() >= HISTORY => {
                of_groups(sides, |base, head| [mean_of_means(base), mean_of_means(head)])
            }
            Self::OneSession | Self::Apart { .. } => sides.map(geometric_mean),
        }
    }
}

/// Of all values together. In units of the first: equal values have exactly their value as mean.
fn geometric_mean(groups: &Groups) -> Option<f64> {
    let values = || groups.iter().flat_map(|group| group.iter());
    let (first, n) = (values().next()?, values().count() as f64);
    let reference = first.ln();
    Some(first * values().map(|value| (value.ln() - reference) / n).sum::<f64>().exp())
}

/// Geometric means from those of groups, which `means` finds in logarithms.
fn of_groups(sides: [&Groups; 2], means: impl Fn(&[Vec<f64>], &[Vec<f64>]) -> [Option<f64>; 2]) -> [Option<f64>; 2] {
    let references = sides.map(|groups| groups.iter().find_map(|group| group.first()).copied());
    let [base, head] = sides.map(relative_logs);
    let means = means(&base, &head);
    [0, 1].map(|side| Some(references[side]? * means[side]?.exp()))
}

/// All values. Mostly there is one group, of which there is no copy.
fn together(mut groups: Vec<Vec<f64>>) -> Vec<f64> {
    if groups.len() == 1 { groups.remove(0) } else { groups.concat() }
}

/// Logarithms of the values in units of the first: equal values have exactly their value as mean.
fn relative_logs(groups: &Groups) -> Vec<Vec<f64>> {
    let reference = groups.iter().find_map(|group| group.first()).map_or(0.0, |first| first.ln());
    groups.iter().map(|group| group.iter().map(|value| value.ln() - reference).collect()).collect()
}

/// The blocks that hold both sides; all where none does.
fn shared(base: &[Vec<f64>], head: &[Vec<f64>]) -> [Vec<Vec<f64>>; 2] {
    let both = |(base, head): &(&Vec<f64>, &Vec<f64>)| !base.is_empty() && !head.is_empty();
    let (of_base, of_head): (Vec<_>, Vec<_>) =
        base.iter().zip(head).filter(both).map(|(base, head)| (base.clone(), head.clone())).unzip();
    if of_base.is_empty() { [base.to_vec(), head.to_vec()] } else { [of_base, of_head] }
}

fn mean_of_means(groups: &[Vec<f64>]) -> Option<f64> {
    stats::mean(&groups.iter().filter_map(|group| stats::mean(group)).collect::<Vec<_>>())
}

impl Blocks {
    /// `shared`: indices of a session in base and head.
    fn of(shared: Vec<(usize, usize)>) -> Self {
        let numbered = |(block, (base, head))| ((base, block), (head, block));
        let (base, head) = shared.into_iter().enumerate().map(numbered).unzip();
        Self { base, head }
    }

    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Values of both sides by block; a side may be empty.
    fn select<'a>(&self, base: &'a CellSide, head: &'a CellSide) -> (Groups<'a>, Groups<'a>) {
        let mut found: BTreeMap<usize, [Cow<'a, [f64]>; 2]> = BTreeMap::new();
        for (side, (cell, blocks)) in [(base, &self.base), (head, &self.head)].into_iter().enumerate() {
            for SessionValues { session, values } in &cell.sessions {
                let Some(&block) = blocks.get(session) else { continue };
                found.entry(block).or_default()[side] = Cow::Borrowed(values);
            }
        }
        found.into_values().map(|[base, head]| (base, head)).unzip()
    }
}

/// A session and its copy tell nothing more than the session.
fn distinct(shared: Vec<(usize, usize)>, first: (usize, usize), base: &Side, head: &Side) -> Vec<(usize, usize)> {
    let counts = |pair: &(usize, usize)| base.occasions.at(pair.0).is_some() && head.occasions.at(pair.1).is_some();
    let distinct: Vec<_> = shared.into_iter().filter(counts).collect();
    if distinct.is_empty() { vec![first] } else { distinct }
}

/// A cell's values, those of one occasion together, without copies.
fn by_occasion<'a>(cell: &'a CellSide, occasions: &Occasions) -> Groups<'a> {
    let mut found: BTreeMap<usize, Cow<'a, [f64]>> = BTreeMap::new();
    for SessionValues { session, values } in &cell.sessions {
        let Some(occasion) = occasions.at(*session) else { continue };
        found.entry(occasion).and_modify(|all| all.to_mut().extend(values)).or_insert(Cow::Borrowed(values));
    }
    found.into_values().collect()
}

/// A log-ratio on the scale where positive is worse, as a change in native units.
pub(super) fn native(delta: LogRatio, better: Better) -> Share {
    match better {
        Better::Lower => delta.share(),
        Better::Higher => (-delta).share(),
    }
}

/// The logarithms, with the sign that makes more of them worse.
fn log_costs(values: &[f64], better: Better) -> Vec<f64> {
    match better {
        Better::Lower => values.iter().map(|value| value.ln()).collect(),
        Better::Higher => values.iter().map(|value| -value.ln()).collect(),
    }
}

fn interleaved<'a>(blocks: impl IntoIterator<Item = (&'a [f64], &'a [f64])>) -> Option<Evidence> {
    let difference = MeanDifference::of_blocks(blocks)?;
    Some(Evidence { difference, basis: Basis::Interleaved, drift: Spread::NONE, history: None })
}

/// The occasion is the unit: with K of the base and one of the head, K - 1 degrees of freedom and k = 1 + 1/K.
fn history(base: &[Vec<f64>], head: &[Vec<f64>]) -> Option<Evidence> {
    let means = |occasions: &[Vec<f64>]| -> Vec<f64> { occasions.iter().filter_map(|it| stats::mean(it)).collect() };
    let mut difference = MeanDifference::of(&means(base), &means(head))?;
    let history = History::of(base, head);
    difference.k = history.k();
    Some(Evidence { difference, basis: Basis::History, drift: Spread::NONE, history: Some(history) })
}

fn single_baseline(base: &[f64], head: &[f64]) -> Option<Evidence> {
    let difference = MeanDifference::of(base, head)?;
    Some(Evidence { difference, basis: Basis::SingleBaseline, drift: drift::assumed(), history: None })
}
