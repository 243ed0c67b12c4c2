//! A row in JSON: flat, with the names that it always had. This version writes it, and reads rows of all versions.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::base_again::BaseAgain;
use super::cause::CauseWord;
use super::finding::{Conclusion, Finding, Pooled, Ranges, Reading, Tested};
use super::learned::Learned;
use super::reason::{Mismatch, Open, ReasonCode, Told, Unconfirmed, Untestable};
use super::row::{self, Cell, Sides};
use super::{Verdict, wording};
use crate::metric::Better;
use crate::stats::{Share, Summary};
use crate::word::Word;

/// One cell, what its sides hold, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The case's id.
    pub case: String,
    /// The metric's name, such as `ttft`.
    pub metric: String,
    /// Of the means and standard deviations, such as `ms`.
    pub unit: String,
    /// Which direction is good.
    pub better: Better,
    /// What was found, in one word.
    pub verdict: Verdict,
    /// Why, for a person; for inconclusive also what would settle it.
    pub reason: String,
    /// Why, for programs. Absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<Word<ReasonCode>>,
    /// Measured again with base and head interleaved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// What the base showed against itself meanwhile, as a third contender; absent where it wasn't one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_again: Option<BaseAgain>,
    /// Looks changed, which the drift between sessions may explain: inconclusive until base and head are measured
    /// interleaved, or the base has a history.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// The base's values; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Summary>,
    /// The head's values; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Summary>,
    /// Values of the base that are no positive, finite numbers: the others are judged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub base_dropped: usize,
    /// The same of the head.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub head_dropped: usize,
    /// Relative, in native units: -0.03 of a throughput is 3% slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
    /// Confidence interval of `change`: lower and upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Confidence level of `interval`: the one that the verdict asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The test that the verdict follows: the moderated one, or of a confirmed row the plain one on its fresh runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// `p` after Holm's adjustment for all tests of the family (Holm 1979): what is compared with alpha.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    /// Degrees of freedom of the test behind `p`; absent where they are infinite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df: Option<f64>,
    /// The plain pooled t-test on the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_pooled: Option<f64>,
    /// Degrees of freedom of the test behind `p_pooled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df_pooled: Option<f64>,
    /// The noise threshold that was used, as a share.
    #[serde(alias = "margin")]
    pub noise_threshold: f64,
    /// What the base's sessions show of it, where the configuration says `auto`. Against a base of fewer than five occasions
    /// only rows that were measured again go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
    /// How much an occasion is taken to drift, as a standard deviation, where the sides were measured apart and no history
    /// shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
    /// The minimum detectable effect: the smallest relative change that these data could have shown.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "detectable")]
    pub minimum_detectable_effect: Option<f64>,
    /// Runs per side that would settle an inconclusive row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_needed: Option<u32>,
    /// Of a row that changed, what made it change; absent where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Why a row changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// In one word.
    pub word: Word<CauseWord>,
    /// What the word rests on, in a sentence. It may hold names of the measured program.
    pub evidence: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Serialize for row::Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Row::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for row::Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Row::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for row::Row {
    fn schema_name() -> Cow<'static, str> {
        Row::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Row::json_schema(generator)
    }
}

impl From<&row::Row> for Row {
    fn from(row: &row::Row) -> Self {
        let tested = row.finding.tested();
        Self {
            verdict: row.verdict(),
            reason: wording::reason(row),
            reason_code: row.finding.reason_code(),
            confirmed: row.is_confirmed(),
            base_again: tested.and_then(|tested| tested.base_again),
            unconfirmed: row.is_unconfirmed(),
            base: row.sides.base,
            head: row.sides.head,
            base_dropped: row.sides.dropped[0],
            head_dropped: row.sides.dropped[1],
            change: row.change().map(Share::get),
            interval: row.interval().map(|ends| ends.map(Share::get)),
            confidence: tested.map(|tested| tested.confidence),
            p: tested.map(|tested| tested.p),
            p_adjusted: tested.map(|tested| tested.p_adjusted),
            df: tested.and_then(|tested| tested.df),
            p_pooled: tested.and_then(|tested| tested.pooled.p),
            df_pooled: tested.map(|tested| tested.pooled.df),
            minimum_detectable_effect: row.minimum_detectable_effect().map(Share::get),
            runs_needed: row.runs_needed(),
            metric: row.cell.metric.to_string(),
            case: row.cell.case.clone(),
            unit: row.cell.unit.clone(),
            better: row.cell.better,
            noise_threshold: row.cell.noise_threshold.get(),
            learned: row.cell.learned,
            drift: tested.and_then(|tested| tested.drift).map(Share::get),
            cause: row.cause.as_ref().map(|cause| Cause { word: cause.word.into(), evidence: cause.evidence.clone() }),
        }
    }
}

/// A row that contradicts itself is untestable; its reason is the file's own.
impl From<Row> for row::Row {
    fn from(row: Row) -> Self {
        let sides = Sides { base: row.base, head: row.head, dropped: [row.base_dropped, row.head_dropped] };
        let finding = row.finding();
        let cell = Cell {
            metric: row.metric.as_str().into(),
            case: row.case,
            unit: row.unit,
            better: row.better,
            noise_threshold: Share::new(row.noise_threshold),
            learned: row.learned,
        };
        Self { cell, sides, finding, cause: None }
    }
}

impl Row {
    fn finding(&self) -> Finding {
        if self.verdict == Verdict::NotComparable {
            return Finding::NotComparable(Mismatch::Told(self.told()));
        }
        let tested = self.tested().map(Finding::Tested);
        let (change, confirmed) = (self.change(), self.confirmed);
        let ranges = || Some(Finding::Ranges(Ranges { change, reading: self.reading()?, confirmed }));
        tested
            .or_else(ranges)
            .unwrap_or_else(|| Finding::Untestable { change: self.change(), why: Untestable::Told(self.told()) })
    }

    fn change(&self) -> Option<Share> {
        self.change.map(Share::new)
    }

    fn told(&self) -> Told {
        Told { code: self.reason_code.clone(), text: self.reason.clone() }
    }

    /// `None` where a number is missing that every test has.
    fn tested(&self) -> Option<Tested> {
        Some(Tested {
            change: self.change(),
            interval: self.interval.map(|ends| ends.map(Share::new)),
            confidence: self.confidence?,
            p: self.p?,
            p_adjusted: self.p_adjusted?,
            df: self.df,
            pooled: Pooled { p: self.p_pooled, df: self.df_pooled? },
            minimum_detectable_effect: self.minimum_detectable_effect.map(Share::new),
            confirmed: self.confirmed,
            drift: self.drift.map(Share::new),
            base_again: self.base_again,
            conclusion: self.conclusion()?,
        })
    }

    fn conclusion(&self) -> Option<Conclusion> {
        match (self.verdict, self.unconfirmed) {
            (Verdict::Unchanged, false) if self.is_of_same_program() => Some(Conclusion::SameProgram),
            (Verdict::Unchanged, false) => Some(Conclusion::Unchanged),
            (Verdict::Regressed, false) => Some(Conclusion::Worse),
            (Verdict::Improved, false) => Some(Conclusion::Better),
            (Verdict::AtThreshold, false) => Some(Conclusion::AtThreshold),
            (Verdict::Inconclusive, true) => Some(Conclusion::Unconfirmed(Unconfirmed::Told(self.told()))),
            (Verdict::Inconclusive, false) => {
                Some(Conclusion::Open(Open::Told { told: self.told(), runs_needed: self.runs_needed }))
            }
            _ => None,
        }
    }

    fn is_of_same_program(&self) -> bool {
        self.reason_code.as_ref().is_some_and(|code| *code == ReasonCode::SameProgram)
    }

    /// A verdict without a test; `None` where that isn't of ranges.
    fn reading(&self) -> Option<Reading> {
        let overlap = self.reason_code.as_ref().is_some_and(|code| *code == ReasonCode::RunsOverlap);
        match self.verdict {
            _ if self.p.is_some() => None,
            Verdict::Regressed => Some(Reading::Worse),
            Verdict::Improved => Some(Reading::Better),
            Verdict::Unchanged if self.is_of_same_program() => Some(Reading::SameProgram),
            Verdict::Unchanged => Some(Reading::Unchanged),
            Verdict::Inconclusive if overlap => Some(Reading::Unclear),
            Verdict::AtThreshold | Verdict::Inconclusive | Verdict::NotComparable => None,
        }
    }
}
