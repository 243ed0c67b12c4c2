//! What a measuring process and its child say to each other: one JSON job in on standard input, JSON lines out.
//!
//! The measured program may be another build of bench-diff. It says `hello` before it reads its job, with the number of
//! the protocol that it speaks; without a number that is 1. It gets its job in that version, or in ours if it speaks a
//! newer one: a worker reads the jobs of all versions before its own. [`v1`] is what changed since.
//!
//! Internal, and finished numbers pass: `docs/engine-protocol.md` is what a program of somebody else should speak.

mod v1;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::child::Message;
use crate::engine::{Loaded, ModelSpec};
use crate::results::{Ceilings, Failure, Measurement, Program, Settings};

/// The version that this build speaks.
pub const VERSION: u32 = 2;

/// A program that hasn't said hello after this time wants its job first, in version 1.
pub const GREETING: Duration = Duration::from_secs(2);

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
    /// The first line: who is measured, and which version it speaks.
    Hello {
        protocol: u32,
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

/// What tells the version, of a job and of a hello.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default = "first")]
    protocol: u32,
}

const fn first() -> u32 {
    1
}

fn version_of(text: &[u8]) -> serde_json::Result<u32> {
    serde_json::from_slice::<Versioned>(text).map(|versioned| versioned.protocol)
}

impl Job {
    /// The job for a worker that speaks `version`.
    pub fn to_json(&self, version: u32) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Current<'a> {
            protocol: u32,
            #[serde(flatten)]
            job: &'a Job,
        }
        match version {
            ..=1 => serde_json::to_vec(&v1::Job::from(self)),
            _ => serde_json::to_vec(&Current { protocol: VERSION, job: self }),
        }
    }

    /// A job of any version up to ours.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        match version_of(text)? {
            ..=1 => serde_json::from_slice::<v1::Job>(text).map(Self::from),
            _ => serde_json::from_slice(text),
        }
    }
}

impl Message for Event {
    fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().or_else(|| v1::hello(line))
    }
}

impl Event {
    /// The line that says it. A hello can also be read by a session that speaks version 1.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Hello { protocol, program } => serde_json::to_vec(&v1::Hello::new(*protocol, program)),
            other => serde_json::to_vec(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::job;
    use super::*;

    #[test]
    fn a_job_survives_every_version() {
        let job = job();
        for version in [0, 1, 2, 3] {
            assert_eq!(Job::parse(&job.to_json(version).unwrap()).unwrap(), job, "version {version}");
        }
    }

    #[test]
    fn what_a_worker_of_version_1_got_is_what_it_gets() {
        let recorded = include_bytes!("../../../tests/fixtures/worker/protocol-1.job.json");
        let job = Job::parse(recorded).unwrap();
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&job.to_json(1).unwrap()), value(recorded));
    }

    #[test]
    fn a_hello_can_be_read_by_both_versions() {
        let hello = Event::Hello { protocol: VERSION, program: Program::this() };
        let line = hello.to_json().unwrap();
        assert_eq!(Event::parse(&line), Some(hello));
        let old: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(old["program"]["candle_version"], env!("BENCH_DIFF_CANDLE_VERSION"));
    }

    #[test]
    fn an_unknown_word_costs_nothing() {
        let line = br#"{"event":"case_measured","case":"a","measurement":{"metrics":{},"implementation":"paged","clock":"server"}}"#;
        let Some(Event::CaseMeasured { measurement, .. }) = Event::parse(line) else { panic!("no event") };
        assert_eq!(measurement.implementation.unwrap().as_str(), "paged");
        assert_eq!(Event::parse(br#"{"event":"from_the_future"}"#), Some(Event::Unknown));
    }
}
