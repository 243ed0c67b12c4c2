//! What a measuring process and its child say to each other: one JSON job in on standard input, JSON lines out.
//!
//! Any program that speaks it can be measured: another build of bench-diff (`bench-diff worker`), or a script.

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::engine::{Loaded, ModelSpec};
use crate::results::{Ceilings, Failure, Measurement, Program, Settings};

/// One run: a model and its cases, in the order to take them. Without cases, the device's ceilings are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub model: ModelSpec,
    pub cases: Vec<Case>,
    pub settings: Settings,
    /// Measured at the session's start; used for the share of the device's limit.
    #[serde(default)]
    pub ceilings: Option<Ceilings>,
    /// Send every inter-token time as well.
    #[serde(default)]
    pub trace: bool,
}

/// What the child tells, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one event exists at a time")]
pub enum Event {
    /// The first line: who is measured.
    Hello {
        program: Program,
    },
    Loading {
        done: u64,
        total: u64,
    },
    Loaded {
        loaded: Loaded,
    },
    CaseStarted {
        case: String,
    },
    /// Generated tokens so far, warm-up included: for progress only, sent between generations.
    Progress {
        case: String,
        done: u64,
        total: u64,
    },
    CaseMeasured {
        case: String,
        measurement: Measurement,
        /// Every gap between tokens in ms, when the job asked for a trace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<Vec<f64>>,
    },
    CaseFailed {
        case: String,
        failure: Failure,
    },
    /// The answer to a job without cases: what the device can do at most, where that means something.
    Ceilings {
        ceilings: Option<Ceilings>,
    },
    /// The model can't be loaded: none of the cases can run.
    Failed {
        failure: Failure,
    },
    Done,
    /// Said by a newer worker; nothing that matters.
    #[serde(other)]
    Unknown,
}
