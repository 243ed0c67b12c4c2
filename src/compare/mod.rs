//! The verdict: two sets of samples in, one [`Comparison`] out. It is decided here, and only shown elsewhere.
//!
//! `docs/statistics.md` describes the procedure. Data go this way: [`load`] (files) -> [`Side`] -> matching ->
//! design (how the sides relate) -> test -> verdict -> [`Row`] -> [`Comparison`]; a [`Confirmation`] replaces findings by
//! those of fresh runs. `disk` is a row in JSON, `wording` says it.

mod attributed;
mod base_again;
mod cause;
mod compared_counters;
mod confirm;
mod consistent_parts;
mod counter_row;
mod design;
pub mod disk;
mod drift;
mod failing;
mod finding;
mod forecast;
pub mod foreign_side;
mod history;
mod itself;
mod learned;
mod load;
mod matching;
mod memory_rule;
mod mismatch;
mod model_of_case;
mod moved_parts;
mod other_quantization;
mod outlook;
mod pair;
pub mod plain_samples;
mod reason;
mod row;
mod same_program;
mod screen;
mod side;
mod suspect;
mod tally;
mod test;
mod trial;
mod verdict;
pub(crate) mod wording;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::Share;
use crate::thresholds::{ALL, ALPHA, ALPHAS, Thresholds};

pub use attributed::{Attributed, LeftOut, section};
pub use base_again::{BaseAgain, LikeItself};
pub use cause::{Cause, CauseWord};
pub use confirm::{Confirmation, LOOKS, changed, suspects};
pub use counter_row::{
    BusyShares, ComparedCounters, CounterPhase, CounterRange, CounterRow, CounterVerdict, NotCounted,
};
pub use drift::ASSUMED as ASSUMED_DRIFT;
pub use failing::Failing;
pub use finding::{Conclusion, Finding, Pooled, Ranges, Reading, Tested};
pub use learned::Learned;
pub use load::{Content, load, load_all, read};
pub use memory_rule::{GRANULARITY_MIB, GRANULARITY_SHARE};
pub use mismatch::{case_differences, obstacles, settings_differences};
pub use model_of_case::in_short;
pub use moved_parts::{LayerRange, MovedPart, MovedParts, PartKind};
pub use outlook::Outlook;
pub use reason::{Doubt, MAX_RUNS, Mismatch, Open, ReasonCode, Settling, Told, Unconfirmed, Untestable, in_turn};
pub use row::{Cell, Row, Sides};
pub use same_program::{SameProgram, same_program, same_program_of};
pub use screen::compare;
pub use side::{CaseSide, CellSide, SessionFacts, SessionValues, Side};
pub use suspect::Suspect;
pub use tally::Tally;
pub use trial::Trial;
pub use wording::Direction;

pub use crate::stats::Summary;
pub use crate::thresholds::NoiseThreshold;

/// What to compare, and by which thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Chance of a false alarm anywhere in the report.
    pub alpha: f64,
    /// Metrics to compare; empty means the default ones, `all` means every one.
    pub metrics: Vec<String>,
    /// Noise threshold by metric name, or `all` for every other one; the metric's own where absent.
    pub noise_thresholds: BTreeMap<String, NoiseThreshold>,
    /// A certain change that is about as large as the noise threshold counts as one beyond it.
    pub gate_at_threshold: bool,
    /// Counters that differ by a smaller share are as before.
    pub counters_floor: f64,
    /// Compare although hardware or settings differ.
    pub allow_mismatch: bool,
    /// The caller knows that both sides were measured interleaved in one session.
    pub same_session: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alpha: ALPHA,
            metrics: Vec::new(),
            noise_thresholds: BTreeMap::new(),
            gate_at_threshold: false,
            counters_floor: 0.0,
            allow_mismatch: false,
            same_session: false,
        }
    }
}

/// What makes no sense, in whatever file it stood, doesn't count.
impl From<&Thresholds> for Options {
    fn from(thresholds: &Thresholds) -> Self {
        let mut noise_thresholds = thresholds.noise_thresholds.clone();
        noise_thresholds.retain(|_, threshold| match threshold {
            NoiseThreshold::Fixed(share) => *share > 0.0 && share.is_finite(),
            NoiseThreshold::Auto => true,
        });
        Self {
            alpha: if ALPHAS.contains(&thresholds.alpha) { thresholds.alpha } else { ALPHA },
            metrics: thresholds.metrics.clone(),
            noise_thresholds,
            gate_at_threshold: thresholds.gate_at_threshold,
            counters_floor: Some(thresholds.counters_floor).filter(|floor| *floor >= 0.0).unwrap_or_default(),
            ..Self::default()
        }
    }
}

impl Options {
    fn selects(&self, cell: &CellSide) -> bool {
        match &self.metrics[..] {
            [] => cell.default,
            names => names.iter().any(|name| name == ALL || name == cell.metric.as_str()),
        }
    }

    fn of_metric(&self, cell: &CellSide) -> Option<NoiseThreshold> {
        self.noise_thresholds.get(cell.metric.as_str()).or_else(|| self.noise_thresholds.get(ALL)).copied()
    }

    /// What is to be learned is the metric's own until it is.
    fn noise_threshold(&self, cell: &CellSide) -> Share {
        match self.of_metric(cell) {
            Some(NoiseThreshold::Fixed(share)) => Share::new(share),
            Some(NoiseThreshold::Auto) | None => cell.noise_threshold,
        }
    }

    fn is_auto(&self, cell: &CellSide) -> bool {
        self.of_metric(cell) == Some(NoiseThreshold::Auto)
    }
}

/// Base against head. Serialized, this is `compare --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Derived from the rows: the worst that any of them says.
    pub verdict: Verdict,
    /// How many rows have each verdict.
    pub counts: Counts,
    /// What the base's data allow to be said.
    pub tier: Tier,
    /// Occasions of the base's sessions, where base and head were measured apart. Five are a history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_occasions: Option<usize>,
    /// The base is of a server that went on running: more sessions of it are of no further occasion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base_shared_process: bool,
    /// Chance of a false alarm anywhere in the report, as it was asked for.
    pub alpha: f64,
    /// Number of tested cells, for which p-values are adjusted.
    pub family: usize,
    /// Median relative change of each metric over all cases: if everything moves, a shared cause is likely.
    #[schemars(with = "BTreeMap<String, f64>")]
    pub common_shift: BTreeMap<String, Share>,
    /// What the rows come to, metric by metric. Derived from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_metric: Vec<Tally>,
    /// One for each cell that both sides have values of.
    pub rows: Vec<Row>,
    /// Cases without a comparison, or with something to say beside it.
    pub notes: Vec<CaseNote>,
    /// Fields of hardware and settings in which the sides differ.
    pub differences: Vec<Difference>,
    /// Reasons to trust the verdict less, one sentence each.
    pub warnings: Vec<String>,
    /// Both sides are of one program: what differs is the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_program: Option<SameProgram>,
    /// What traces say of the cases that changed for certain; absent where none was to be traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributed: Option<Attributed>,
    /// What the programs do on the GPU, where that was counted. It has no part in the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<ComparedCounters>,
}

impl Comparison {
    /// Derives from the rows what follows from them: a file may claim anything else. Nothing compared is nothing
    /// comparable.
    pub fn summarize(&mut self) {
        self.by_metric = tally::tally(&self.rows);
        self.counts = Counts::default();
        for row in &self.rows {
            *self.counts.of_mut(row.verdict()) += 1;
        }
        self.verdict = self.rows.iter().map(Row::verdict).max().unwrap_or(Verdict::NotComparable);
    }
}

/// From best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No change as large as the noise threshold.
    Unchanged,
    /// Better, by at least the noise threshold.
    Improved,
    /// Changed for certain, by about as much as the noise threshold.
    AtThreshold,
    /// The data don't tell.
    Inconclusive,
    /// Other work or another machine.
    NotComparable,
    /// Worse, by at least the noise threshold.
    Regressed,
}

/// How many rows have each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Rows that are worse.
    pub regressed: usize,
    /// Rows that are better.
    pub improved: usize,
    /// Rows that changed for certain, by about as much as the noise threshold.
    #[serde(default)]
    pub at_threshold: usize,
    /// Rows that the data don't settle.
    pub inconclusive: usize,
    /// Rows without a change that counts.
    pub unchanged: usize,
    /// Rows whose sides can't be compared.
    pub not_comparable: usize,
}

impl Counts {
    /// How many rows have this verdict.
    pub fn of(&self, verdict: Verdict) -> usize {
        let mut counts = *self;
        *counts.of_mut(verdict)
    }

    /// The same, to count one more.
    pub fn of_mut(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Regressed => &mut self.regressed,
            Verdict::Improved => &mut self.improved,
            Verdict::AtThreshold => &mut self.at_threshold,
            Verdict::Inconclusive => &mut self.inconclusive,
            Verdict::Unchanged => &mut self.unchanged,
            Verdict::NotComparable => &mut self.not_comparable,
        }
    }
}

/// How far the base's data allow a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Base and head interleaved in one session.
    SameSession,
    /// Suspects of a screen, measured again interleaved.
    Confirmed,
    /// A history: base sessions of five or more occasions, hours apart.
    History,
    /// Base sessions of fewer occasions, other than the head's: a screen, which calls nothing slower or faster.
    SingleBaseline,
}

/// Something about a case that is no row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseNote {
    /// The case's id.
    pub case: String,
    /// What the note is about.
    pub kind: NoteKind,
    /// The head lost what the base had: with `--fail-on regression` it counts as a regression.
    #[serde(default)]
    pub fails: bool,
    /// One sentence. It may hold text of the measured program.
    pub reason: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// In the base, not in the head.
    Missing,
    /// In the head, not in the base.
    New,
    /// Has no numbers on one of the sides.
    Failed,
    /// The head ran another implementation than was asked for, unlike the base.
    FellBack,
    /// Equal settings, other tokens: "faster but different output".
    OutputChanged,
}

/// A field in which the sides differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Its name, such as `gpu`.
    pub field: String,
    /// Its value on the base's side, as text.
    pub base: String,
    /// Its value on the head's side, as text.
    pub head: String,
    /// Makes the sides incomparable, unless mismatches are allowed. Other differences are only shown.
    #[serde(default)]
    pub blocks: bool,
    /// The ids of the cases that differ so, and are compared all the same. Absent where it is about all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<String>,
}
