//! Why a cell's verdict is what it is. The sentences are in [`wording`](super::wording).

use crate::results::occasions::MoreOccasions;
use crate::word::{Word, words};

/// More runs than this aren't useful advice.
pub const MAX_RUNS: u32 = 100;

/// Runs per side that measuring in turn makes of so many: turns come in pairs, A B B A.
pub fn in_turn(runs: u32) -> u32 {
    runs.next_multiple_of(2)
}

words! {
    /// A reason, for programs: these words stay as they are.
    ReasonCode {
        /// Every change that the interval allows is within the noise threshold.
        WithinThreshold = "within-threshold",
        /// Significant, and as large as the noise threshold.
        BeyondThreshold = "beyond-threshold",
        /// Significant, and about as large as the noise threshold.
        AtThreshold = "at-threshold",
        /// Looks changed, but base and head were measured apart.
        Unconfirmed = "unconfirmed",
        /// Significant; whether it is as large as the noise threshold is open.
        SizeUnclear = "size-unclear",
        /// As large as the noise threshold, not significant.
        MaybeNoise = "maybe-noise",
        /// The interval is too wide for a verdict.
        TooImprecise = "too-imprecise",
        /// Looks changed, but the base differs from itself by as much.
        LikeItself = "like-itself",
        /// A suspect of a screen without fresh runs.
        NotMeasuredAgain = "not-measured-again",
        /// Memory: the ranges are apart, beyond spread and threshold.
        BeyondSpread = "beyond-spread",
        /// Memory: every run is within the threshold.
        RunsWithinThreshold = "runs-within-threshold",
        /// Memory: the ranges overlap, or are close.
        RunsOverlap = "runs-overlap",
        /// Values that are not positive, finite numbers.
        InvalidValues = "invalid-values",
        /// No values in the sessions that both sides share.
        NoSharedValues = "no-shared-values",
        /// A single run on each side.
        SingleRuns = "single-runs",
        /// A single run on each side of a session.
        SingleRunsOfSessions = "single-runs-of-sessions",
        /// A file of another tool holds an average without its samples.
        OnlyAverages = "only-averages",
        /// Both sides are of one program.
        SameProgram = "same-program",
        /// The sides' machines or settings differ.
        SidesDiffer = "sides-differ",
        /// The case's settings, or what ran, differ.
        CaseDiffers = "case-differs",
    }
}

/// A reason in the words of the file that it was read from. Foreign text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Absent in files of older versions.
    pub code: Option<Word<ReasonCode>>,
    /// The sentence.
    pub text: String,
}

/// What would confirm a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unconfirmed {
    /// Measuring interleaved, or sessions of the base on this many occasions more.
    Occasions(MoreOccasions),
    /// Measuring interleaved: the base has a history, whose occasions vary too much.
    Unsteady,
    /// As a file says it.
    Told(Told),
}

/// Why a test is inconclusive, and what would settle it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// As it was found here.
    Doubt {
        /// What the test leaves open.
        doubt: Doubt,
        /// What would close it.
        settling: Settling,
    },
    /// As a file says it.
    Told {
        /// Why.
        told: Told,
        /// Runs a side that would settle it.
        runs_needed: Option<u32>,
    },
}

/// Why a tested cell stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Changed, but perhaps by less than the noise threshold.
    Size,
    /// Perhaps not changed at all.
    Noise,
    /// Anything in the interval is possible.
    Range,
}

/// What would settle an open cell, if its mean and spread stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// This many runs per side.
    Runs {
        /// With those that are there.
        total: u32,
        /// Without them.
        more: u32,
    },
    /// This many more runs of the head beside those that it has.
    HeadRuns(u32),
    /// This many more sessions of the head, on as many occasions.
    Sessions(u32),
    /// Only base and head interleaved: sessions drift too much.
    Interleaving,
    /// More than `MAX_RUNS`.
    TooMany,
}

/// Why a cell can't be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untestable {
    /// Of the values of a side, `base` or `head`, some are not positive, finite numbers.
    InvalidValues {
        /// `base` or `head`.
        side: &'static str,
        /// Values of it that are none.
        invalid: usize,
        /// All values of it.
        total: usize,
    },
    /// Both sides have values, but in no session that they share.
    NoSharedValues,
    /// One run a side has no spread.
    SingleRuns,
    /// Nor has one run a side in each session.
    SingleRunsOfSessions,
    /// Nor has an average without its samples.
    OnlyAverages,
    /// As a file says it.
    Told(Told),
}

/// Why a cell's sides can't be compared: the fields that differ, with both values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Machine or settings of the sides.
    Sides(Vec<String>),
    /// Settings of the case, or what ran.
    Case(Vec<String>),
    /// As a file says it.
    Told(Told),
}

impl Unconfirmed {
    /// For programs; `None` where a file doesn't say.
    pub fn code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::Occasions(_) | Self::Unsteady => Some(ReasonCode::Unconfirmed.into()),
            Self::Told(told) => told.code.clone(),
        }
    }
}

impl Open {
    /// For programs; `None` where a file doesn't say.
    pub fn code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::Doubt { doubt: Doubt::Size, .. } => Some(ReasonCode::SizeUnclear.into()),
            Self::Doubt { doubt: Doubt::Noise, .. } => Some(ReasonCode::MaybeNoise.into()),
            Self::Doubt { doubt: Doubt::Range, .. } => Some(ReasonCode::TooImprecise.into()),
            Self::Told { told, .. } => told.code.clone(),
        }
    }

    /// Runs a side that would settle it, where more runs would.
    pub fn runs_needed(&self) -> Option<u32> {
        match self {
            Self::Doubt { settling: Settling::Runs { total, .. }, .. } => Some(*total),
            Self::Doubt { .. } => None,
            Self::Told { runs_needed, .. } => *runs_needed,
        }
    }
}

impl Untestable {
    /// For programs; `None` where a file doesn't say.
    pub fn code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::InvalidValues { .. } => Some(ReasonCode::InvalidValues.into()),
            Self::NoSharedValues => Some(ReasonCode::NoSharedValues.into()),
            Self::SingleRuns => Some(ReasonCode::SingleRuns.into()),
            Self::SingleRunsOfSessions => Some(ReasonCode::SingleRunsOfSessions.into()),
            Self::OnlyAverages => Some(ReasonCode::OnlyAverages.into()),
            Self::Told(told) => told.code.clone(),
        }
    }
}

impl Mismatch {
    /// For programs; `None` where a file doesn't say.
    pub fn code(&self) -> Option<Word<ReasonCode>> {
        match self {
            Self::Sides(_) => Some(ReasonCode::SidesDiffer.into()),
            Self::Case(_) => Some(ReasonCode::CaseDiffers.into()),
            Self::Told(told) => told.code.clone(),
        }
    }
}
