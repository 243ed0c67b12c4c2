//! What is found about a cell: the kind of evidence, and what follows from it. The verdict is derived, never stored.

use super::Verdict;
use super::base_again::{BaseAgain, LikeItself};
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
    Untestable {
        /// Relative change of the mean; absent where a side has no value.
        change: Option<Share>,
        /// What is in the way of a test.
        why: Untestable,
    },
    /// Other work or another machine: the values are true, their difference means nothing.
    NotComparable(Mismatch),
}

/// The test of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Relative change of the mean, in native units: -0.03 of a throughput is 3% slower. Absent where it is no number.
    pub change: Option<Share>,
    /// Confidence interval of `change`: lower and upper end.
    pub interval: Option<[Share; 2]>,
    /// Confidence level of `interval`: the one that the verdict asks for.
    pub confidence: f64,
    /// Two-sided p-value of no change, before adjustment.
    pub p: f64,
    /// After Holm's adjustment for all tests of the family (Holm 1979): what is compared with alpha.
    pub p_adjusted: f64,
    /// Degrees of freedom of the test; absent where they are infinite.
    pub df: Option<f64>,
    /// What the plain test says, for comparison.
    pub pooled: Pooled,
    /// The smallest relative change that these data could have shown.
    pub minimum_detectable_effect: Option<Share>,
    /// Measured again with base and head interleaved.
    pub confirmed: bool,
    /// How much an occasion is taken to drift, as a standard deviation, where the sides were measured apart and no history
    /// shows it.
    pub drift: Option<Share>,
    /// What the base showed against itself meanwhile; absent where it wasn't measured twice.
    pub base_again: Option<BaseAgain>,
    /// What follows from all of it.
    pub conclusion: Conclusion,
}

/// The plain pooled t-test on the same data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// Two-sided p-value; absent where there is no spread at all.
    pub p: Option<f64>,
    /// Degrees of freedom: two less than there are values, for each session that both sides share.
    pub df: f64,
}

/// What follows from a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// Every change that the interval allows is within the noise threshold.
    Unchanged,
    /// Significant, as large as the noise threshold, and in the bad direction.
    Worse,
    /// The same in the good direction.
    Better,
    /// Significant, and about as large as the noise threshold: whether it is beyond or below makes no difference to anybody.
    AtThreshold,
    /// Looks changed, which the drift between sessions may explain: inconclusive until base and head are measured
    /// interleaved, or the base has a history of a machine that drifts little.
    Unconfirmed(Unconfirmed),
    /// Looks changed, but the base looks so as well, against itself.
    LikeItself(LikeItself),
    /// The data don't settle it.
    Open(Open),
    /// Both sides are of one program: what differs is the machine's.
    SameProgram,
    /// What a screen concluded about a suspect of which no fresh runs came.
    NotMeasuredAgain(Box<Conclusion>),
}

/// The ranges of both sides' values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranges {
    /// Of the means; as [`Tested::change`].
    pub change: Option<Share>,
    /// How the ranges lie to each other.
    pub reading: Reading,
    /// Measured again with base and head interleaved.
    pub confirmed: bool,
}

/// How the ranges lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The head's range is apart on the bad side, by more than spread and noise threshold.
    Worse,
    /// The same on the good side.
    Better,
    /// No run of the head is further from a run of the base than the noise threshold, or what allocators round to.
    Unchanged,
    /// The ranges overlap, or are close.
    Unclear,
    /// Both sides are of one program: what differs is the machine's.
    SameProgram,
}

impl Finding {
    /// What the finding means for a reader.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Tested(tested) => tested.conclusion.verdict(),
            Self::Ranges(ranges) => ranges.reading.verdict(),
            Self::Untestable { .. } => Verdict::Inconclusive,
            Self::NotComparable(_) => Verdict::NotComparable,
        }
    }

    /// Relative change of the mean, in native units; `None` where there is none to speak of.
    pub fn change(&self) -> Option<Share> {
        match self {
            Self::Tested(Tested { change, .. })
            | Self::Ranges(Ranges { change, .. })
            | Self::Untestable { change, .. } => *change,
            Self::NotComparable(_) => None,
        }
    }

    /// The test, where there was one.
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
    /// What the conclusion means for a reader.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Unchanged | Self::SameProgram => Verdict::Unchanged,
            Self::Worse => Verdict::Regressed,
            Self::Better => Verdict::Improved,
            Self::AtThreshold => Verdict::AtThreshold,
            Self::Unconfirmed(_) | Self::LikeItself(_) | Self::Open(_) | Self::NotMeasuredAgain(_) => {
                Verdict::Inconclusive
            }
        }
    }

    /// Looks changed, and nobody has confirmed it.
    pub fn is_unconfirmed(&self) -> bool {
        match self {
            Self::Unconfirmed(_) => true,
            Self::NotMeasuredAgain(screen) => matches!(**screen, Self::Worse | Self::Better) || screen.is_unconfirmed(),
            Self::Unchanged
            | Self::Worse
            | Self::Better
            | Self::AtThreshold
            | Self::LikeItself(_)
            | Self::Open(_)
            | Self::SameProgram => false,
        }
    }

    /// Its sentence comes from a file.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Unconfirmed(Unconfirmed::Told(_)) | Self::Open(Open::Told { .. }))
    }

    /// Runs per side that would settle what is open.
    pub fn runs_needed(&self) -> Option<u32> {
        match self {
            Self::Open(open) => open.runs_needed(),
            Self::NotMeasuredAgain(screen) => screen.runs_needed(),
            Self::Unchanged
            | Self::Worse
            | Self::Better
            | Self::AtThreshold
            | Self::Unconfirmed(_)
            | Self::LikeItself(_)
            | Self::SameProgram => None,
        }
    }

    fn code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::Unchanged => Some(ReasonCode::WithinThreshold.into()),
            Self::Worse | Self::Better => Some(ReasonCode::BeyondThreshold.into()),
            Self::AtThreshold => Some(ReasonCode::AtThreshold.into()),
            Self::Unconfirmed(unconfirmed) => unconfirmed.code(),
            Self::LikeItself(_) => Some(ReasonCode::LikeItself.into()),
            Self::Open(open) => open.code(),
            Self::NotMeasuredAgain(_) => Some(ReasonCode::NotMeasuredAgain.into()),
            Self::SameProgram => Some(ReasonCode::SameProgram.into()),
        }
    }
}

impl Reading {
    fn verdict(self) -> Verdict {
        match self {
            Self::Worse => Verdict::Regressed,
            Self::Better => Verdict::Improved,
            Self::Unchanged | Self::SameProgram => Verdict::Unchanged,
            Self::Unclear => Verdict::Inconclusive,
        }
    }

    fn code(self) -> ReasonCode {
        match self {
            Self::Worse | Self::Better => ReasonCode::BeyondSpread,
            Self::Unchanged => ReasonCode::RunsWithinThreshold,
            Self::Unclear => ReasonCode::RunsOverlap,
            Self::SameProgram => ReasonCode::SameProgram,
        }
    }
}
