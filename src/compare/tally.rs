//! What the rows come to, metric by metric: what a first line says.
//!
//! A metric that changed because another did isn't counted again: it says which one it follows.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::row::Row;
use super::wording::Direction;
use crate::metric::{Metric, MetricName};
use crate::stats::Share;
use crate::word::Word;

/// The cases in which a metric came out alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// What these rows have in common.
    #[serde(flatten)]
    pub what: Alike,
    /// How many cases.
    pub cases: usize,
    /// Of how many that have the metric.
    pub of: usize,
    /// Their smallest and their largest change, by size; absent where there is none to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<[f64; 2]>")]
    pub changes: Option<[Share; 2]>,
    /// The noise threshold, as a share.
    #[serde(alias = "margin")]
    #[schemars(with = "f64")]
    pub noise_threshold: Share,
    /// The largest, where cases have their own: `noise_threshold` is the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub largest_noise_threshold: Option<Share>,
    /// More runs a side that would settle all of them; absent where runs wouldn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_runs: Option<u32>,
}

/// What they have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Alike {
    pub metric: MetricName,
    pub verdict: Verdict,
    /// They look changed, which is not confirmed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// Of what changed, or looks so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Word<Direction>>,
    /// The metric of the same cases that explains the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<MetricName>,
}

impl Tally {
    /// Of all its rows.
    pub fn largest_noise_threshold(&self) -> Share {
        self.largest_noise_threshold.unwrap_or(self.noise_threshold)
    }

    /// Unchanged, though by more than the noise threshold: what allocators round is no change of memory.
    pub fn is_below_granularity(&self) -> bool {
        let beyond = |[_, largest]: [Share; 2]| largest.abs() > self.largest_noise_threshold();
        self.what.verdict == Verdict::Unchanged && self.changes.is_some_and(beyond)
    }
}

/// Of all rows; metrics and outcomes in the order in which they come first.
pub(super) fn tally(rows: &[Row]) -> Vec<Tally> {
    let leaders = leaders(rows);
    let mut index: HashMap<Alike, usize> = HashMap::new();
    let mut tallies: Vec<Tally> = Vec::new();
    for row in rows {
        let what = outcome(row, &leaders);
        let at = *index.entry(what).or_insert_with_key(|what| {
            tallies.push(Tally::new(what, row.cell.noise_threshold));
            tallies.len() - 1
        });
        tallies[at].add(row);
    }
    let mut of: HashMap<MetricName, usize> = HashMap::new();
    for tally in &tallies {
        *of.entry(tally.what.metric.clone()).or_default() += tally.cases;
    }
    for tally in &mut tallies {
        tally.of = of[&tally.what.metric];
        tally.more_runs = tally.more_runs.filter(|more| *more > 0);
    }
    tallies
}

impl Tally {
    fn new(what: &Alike, noise_threshold: Share) -> Self {
        Self {
            what: what.clone(),
            cases: 0,
            of: 0,
            changes: None,
            noise_threshold,
            largest_noise_threshold: None,
            more_runs: Some(0),
        }
    }

    /// The noise threshold of one more row.
    fn widen(&mut self, noise_threshold: Share) {
        let most = self.largest_noise_threshold();
        if noise_threshold < self.noise_threshold {
            self.noise_threshold = noise_threshold;
        }
        let most = if noise_threshold > most { noise_threshold } else { most };
        self.largest_noise_threshold = (most > self.noise_threshold).then_some(most);
    }

    fn add(&mut self, row: &Row) {
        self.cases += 1;
        self.widen(row.cell.noise_threshold);
        // One that runs don't settle leaves the others unsettled.
        self.more_runs = self.more_runs.zip(row.more_runs()).map(|(most, more)| most.max(more));
        let Some(change) = row.change() else { return };
        let by_size = |a: Share, b: Share| a.abs() <= b.abs();
        self.changes = Some(match self.changes {
            None => [change; 2],
            Some([least, most]) => {
                [if by_size(change, least) { change } else { least }, if by_size(most, change) { change } else { most }]
            }
        });
    }
}

fn outcome(row: &Row, leaders: &Leaders) -> Alike {
    let changed = row.looks_changed();
    Alike {
        metric: row.cell.metric.clone(),
        verdict: row.verdict(),
        unconfirmed: row.is_unconfirmed(),
        direction: row.direction().filter(|_| changed).map(Word::from),
        follows: leader(row, leaders).filter(|_| changed).map(MetricName::from),
    }
}

/// The rows that others may follow.
type Leaders<'a> = HashMap<(&'a str, Metric), &'a Row>;

/// Of the cases in which something changed that may follow: there may be very many others.
fn leaders(rows: &[Row]) -> Leaders<'_> {
    let follows = |row: &&Row| {
        row.looks_changed() && row.cell.metric.known().is_some_and(|known| !known.definition().follows.is_empty())
    };
    let cases: HashSet<&str> = rows.iter().filter(follows).map(|row| row.cell.case.as_str()).collect();
    if cases.is_empty() {
        return Leaders::new();
    }
    let of_them = rows.iter().filter(|row| cases.contains(row.cell.case.as_str()));
    of_them.filter_map(|row| Some(((row.cell.case.as_str(), row.cell.metric.known()?), row))).collect()
}

/// The metric that moved the same way in the same case, and by no less, as far as the intervals tell.
fn leader(row: &Row, leaders: &Leaders) -> Option<Metric> {
    let explains = |metric: &&Metric| {
        leaders.get(&(row.cell.case.as_str(), **metric)).is_some_and(|other| {
            let alike = other.verdict() == row.verdict() && other.is_unconfirmed() == row.is_unconfirmed();
            alike && other.direction() == row.direction() && sizes(row)[0] <= sizes(other)[1]
        })
    };
    row.cell.metric.known()?.definition().follows.iter().find(explains).copied()
}

/// The least and the most that the row changed by, which compares across units: a throughput's half is a time's double.
fn sizes(row: &Row) -> [f64; 2] {
    let change = row.change().unwrap_or_default();
    let ends = row.interval().unwrap_or([change; 2]).map(|end| end.log_ratio().get().abs());
    [ends[0].min(ends[1]), ends[0].max(ends[1])]
}
