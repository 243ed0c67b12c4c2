//! What is found about a cell: the kind of evidence, and what follows from it. The verdict is derived, never stored.

use super::Verdict;
use super::reason::{Mismatch, Open, ReasonCode, Unconfirmed, Untestable};
use crate::stats::Share;
use crate::word::Word;

/// A comparison of one cell's sides.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A t-test of values that vary from run to run.
    Tested(Tested),
    /// Ranges of values that hardly vary, as of memory.
    Ranges(Ranges),
    /// No test is possible.
    Untestable { change: Option<Share>, why: Untestable },
    /// Other work or another machine: the values are true, their difference means nothing.
    NotComparable(Mismatch),
}

/// The test of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// In native units. Absent where it is no number.
    pub change: Option<Share>,
    pub interval: Option<[Share; 2]>,
    /// Confidence level of `interval`: the one that the verdict asks for.
    pub confidence: f64,
    pub p: f64,
    pub p_adjusted: f64,
    /// Absent where they are infinite.
    pub df: Option<f64>,
    pub pooled: Pooled,
    /// The smallest relative change that these data could have shown.
    pub detectable: Option<Share>,
    /// Measured again with base and head interleaved.
    pub confirmed: bool,
    pub conclusion: Conclusion,
}

/// The plain pooled t-test on the same data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// Absent where there is no spread at all.
    pub p: Option<f64>,
    pub df: f64,
}

/// What follows from a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    Unchanged,
    Worse,
    Better,
    /// Looks changed, which the drift between sessions may explain: inconclusive until base and head are measured
    /// interleaved, or the base has a history.
    Unconfirmed(Unconfirmed),
    Open(Open),
    /// What a screen concluded about a suspect of which no fresh runs came.
    NotMeasuredAgain(Box<Conclusion>),
}

/// The ranges of both sides' values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranges {
    /// Of the means; as [`Tested::change`].
    pub change: Option<Share>,
    pub reading: Reading,
}

/// How the ranges lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Worse,
    Better,
    Unchanged,
    Unclear,
}

impl Finding {
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Tested(tested) => tested.conclusion.verdict(),
            Self::Ranges(ranges) => ranges.reading.verdict(),
            Self::Untestable { .. } => Verdict::Inconclusive,
            Self::NotComparable(_) => Verdict::NotComparable,
        }
    }

    pub fn change(&self) -> Option<Share> {
        match self {
            Self::Tested(Tested { change, .. })
            | Self::Ranges(Ranges { change, .. })
            | Self::Untestable { change, .. } => *change,
            Self::NotComparable(_) => None,
        }
    }

    pub fn tested(&self) -> Option<&Tested> {
        match self {
            Self::Tested(tested) => Some(tested),
            _ => None,
        }
    }

    /// Why, for programs; `None` where a file doesn't say.
    pub fn reason_code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::Tested(tested) => tested.conclusion.code(),
            Self::Ranges(ranges) => Some(ranges.reading.code().into()),
            Self::Untestable { why, .. } => why.code(),
            Self::NotComparable(mismatch) => mismatch.code(),
        }
    }
}

impl Conclusion {
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Unchanged => Verdict::Unchanged,
            Self::Worse => Verdict::Regressed,
            Self::Better => Verdict::Improved,
            Self::Unconfirmed(_) | Self::Open(_) | Self::NotMeasuredAgain(_) => Verdict::Inconclusive,
        }
    }

    pub fn is_unconfirmed(&self) -> bool {
        match self {
            Self::Unconfirmed(_) => true,
            Self::NotMeasuredAgain(screen) => matches!(**screen, Self::Worse | Self::Better) || screen.is_unconfirmed(),
            Self::Unchanged | Self::Worse | Self::Better | Self::Open(_) => false,
        }
    }

    /// Runs per side that would settle what is open.
    pub fn runs_needed(&self) -> Option<u32> {
        match self {
            Self::Open(open) => open.runs_needed(),
            Self::NotMeasuredAgain(screen) => screen.runs_needed(),
            Self::Unchanged | Self::Worse | Self::Better | Self::Unconfirmed(_) => None,
        }
    }

    fn code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::Unchanged => Some(ReasonCode::WithinThreshold.into()),
            Self::Worse | Self::Better => Some(ReasonCode::BeyondThreshold.into()),
            Self::Unconfirmed(unconfirmed) => unconfirmed.code(),
            Self::Open(open) => open.code(),
            Self::NotMeasuredAgain(_) => Some(ReasonCode::NotMeasuredAgain.into()),
        }
    }
}

impl Reading {
    fn verdict(self) -> Verdict {
        match self {
            Self::Worse => Verdict::Regressed,
            Self::Better => Verdict::Improved,
            Self::Unchanged => Verdict::Unchanged,
            Self::Unclear => Verdict::Inconclusive,
        }
    }

    fn code(self) -> ReasonCode {
        match self {
            Self::Worse | Self::Better => ReasonCode::BeyondSpread,
            Self::Unchanged => ReasonCode::RunsWithinThreshold,
            Self::Unclear => ReasonCode::RunsOverlap,
        }
    }
}
