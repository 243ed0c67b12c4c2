//! How the sides were measured relative to each other, and so what a difference between them is worth.

use std::collections::HashMap;

use super::matching::Pair;
use super::side::{Cell, Side};
use crate::metric::Better;
use crate::stats::{self, Difference};

/// A history needs this many sessions of the base.
pub(super) const HISTORY_SESSIONS: usize = 5;
/// Assumed standard deviation of a session's level where nothing tells it: 1%.
const DRIFT: f64 = 0.01;

/// Which sessions are compared with which.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Design {
    /// The caller knows that all values come from one session, interleaved.
    OneSession,
    /// Sessions in both files (base's and head's index): measured interleaved.
    Shared(Vec<(usize, usize)>),
    /// Measured at different times.
    Apart,
}

/// What a cell's error consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Basis {
    /// Spread of runs inside sessions that hold both sides.
    Interleaved,
    /// Spread of session means.
    History,
    /// Spread of runs, and an assumed drift between sessions.
    SingleBaseline,
}

/// A cell's difference on the scale where positive is worse: ln y if lower is better, else -ln y.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    pub difference: Difference,
    pub basis: Basis,
    /// Variance of the difference from drift between sessions, taken as known.
    pub drift: f64,
}

impl Design {
    pub fn of(base: &Side, head: &Side, same_session: bool) -> Self {
        if same_session {
            return Self::OneSession;
        }
        let base_ids: HashMap<&str, usize> =
            base.sessions.iter().enumerate().map(|(index, session)| (session.id.as_str(), index)).collect();
        let shared: Vec<_> = (head.sessions.iter().enumerate())
            .filter_map(|(index, session)| Some((*base_ids.get(session.id.as_str())?, index)))
            .collect();
        if shared.is_empty() { Self::Apart } else { Self::Shared(shared) }
    }

    /// A cell's values in the sessions that count, base and head; of shared sessions in the same order.
    pub fn select<'a>(&self, base: &'a Cell, head: &'a Cell) -> (Vec<&'a [f64]>, Vec<&'a [f64]>) {
        match self {
            Self::Shared(pairs) => pairs.iter().map(|&(b, h)| (&*base.sessions[b], &*head.sessions[h])).unzip(),
            _ => {
                let all = |cell: &'a Cell| cell.sessions.iter().map(|s| &**s).filter(|s| !s.is_empty()).collect();
                (all(base), all(head))
            }
        }
    }

    /// The evidence of a pair; `None` when a side is empty.
    pub fn evidence(&self, pair: &Pair) -> Option<Evidence> {
        let base: Vec<Vec<f64>> = pair.base.iter().map(|values| badness(values, pair.better)).collect();
        let head: Vec<Vec<f64>> = pair.head.iter().map(|values| badness(values, pair.better)).collect();
        match self {
            Self::OneSession => interleaved([(&base.concat()[..], &head.concat()[..])]),
            Self::Shared(_) => interleaved(base.iter().zip(&head).map(|(base, head)| (&base[..], &head[..]))),
            Self::Apart if base.len() >= HISTORY_SESSIONS => history(&base, &head),
            Self::Apart => single_baseline(&base.concat(), &head.concat()),
        }
    }
}

fn badness(values: &[f64], better: Better) -> Vec<f64> {
    match better {
        Better::Lower => values.iter().map(|value| value.ln()).collect(),
        Better::Higher => values.iter().map(|value| -value.ln()).collect(),
    }
}

fn interleaved<'a>(blocks: impl IntoIterator<Item = (&'a [f64], &'a [f64])>) -> Option<Evidence> {
    let difference = Difference::of_blocks(blocks)?;
    Some(Evidence { difference, basis: Basis::Interleaved, drift: 0.0 })
}

/// The session is the unit: with K base sessions and one of the head, K - 1 degrees of freedom and k = 1 + 1/K.
fn history(base: &[Vec<f64>], head: &[Vec<f64>]) -> Option<Evidence> {
    let means = |sessions: &[Vec<f64>]| -> Vec<f64> { sessions.iter().filter_map(|s| stats::mean(s)).collect() };
    let mut difference = Difference::of(&means(base), &means(head))?;
    // A session of fewer runs than the base's has a mean that varies more: at most in proportion.
    let usual = base.iter().map(Vec::len).sum::<usize>() as f64 / base.len() as f64;
    let head_count = head.len() as f64;
    let inflation = head.iter().map(|session| (usual / session.len() as f64).max(1.0)).sum::<f64>() / head_count;
    difference.k = 1.0 / base.len() as f64 + inflation / head_count;
    Some(Evidence { difference, basis: Basis::History, drift: 0.0 })
}

fn single_baseline(base: &[f64], head: &[f64]) -> Option<Evidence> {
    let difference = Difference::of(base, head)?;
    Some(Evidence { difference, basis: Basis::SingleBaseline, drift: 2.0 * DRIFT * DRIFT })
}
