//! What a measuring process and its child say to each other: one JSON job in on standard input, JSON lines out.
//!
//! The measured program may be another build of bench-diff, and both sides name the number of the protocol that they
//! speak (without one it is 1). A job and an event only ever gain fields, and what one side doesn't know it ignores: so a
//! worker reads the jobs of newer sessions, and a session what older workers say. `protocol_v1` is what was said otherwise.
//!
//! It is internal, and carries finished numbers. Programs of others should speak `docs/engine-protocol.md` instead.

mod protocol_v1;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::child::Message;
use crate::engine::{self, Loaded, ModelSpec};
use crate::results::{Ceilings, Failure, Measurement, Program, Settings, StepParts};

/// The version that this build speaks.
pub const VERSION: u32 = 4;

/// Since this version workers know batches and seed protocols. Older ones would measure a single greedy sequence.
const BATCHES_SINCE: u32 = 3;
/// Since this version workers tell the tracer their phases. Older ones would time the cases.
pub const TRACED_SINCE: u32 = 4;

/// Since this version workers lay a model of their own engine on several GPUs. Older ones would measure it on the first.
const GPUS_SINCE: u32 = 4;

/// One run: a model and its cases, in the order to take them. Without cases, the device's ceilings are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What to load.
    pub model: ModelSpec,
    /// What to measure then.
    pub cases: Vec<Case>,
    /// How to measure it.
    pub settings: Settings,
    /// Measured at the session's start; used for the share of the device's limit.
    #[serde(default)]
    pub ceilings: Option<Ceilings>,
    /// The prompt of one's own, where the settings say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_ids: Option<Vec<u32>>,
    /// Send every inter-token time as well.
    #[serde(default)]
    pub trace: bool,
    /// The tracer is in the worker: the cases are traced and not timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<TracedGenerations>,
}

/// What a traced worker does with each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedGenerations {
    /// Of the longer generations; the others are of one token.
    pub tokens: u32,
    /// How often, after the warm-up.
    pub repeats: u32,
}

/// What the child tells, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one event exists at a time")]
pub enum Event {
    /// The first line: who is measured, and which version it speaks.
    Hello {
        /// The version that the worker speaks.
        protocol: u32,
        /// The measured program, as it calls itself.
        program: Program,
    },
    /// Loading goes on.
    Loading {
        /// Bytes of weights so far.
        done: u64,
        /// Bytes in all; 0 while that is unknown.
        total: u64,
    },
    /// Loading waits, and for what.
    Waiting {
        /// A sentence.
        why: String,
    },
    /// The model is there.
    Loaded {
        /// What loading found out.
        loaded: Loaded,
    },
    /// A case is taken up.
    CaseStarted {
        /// The case's id.
        case: String,
    },
    /// Generated tokens so far, warm-up included: for progress only, sent between generations.
    Progress {
        /// The case's id.
        case: String,
        /// Tokens so far.
        done: u64,
        /// Tokens of the whole run.
        total: u64,
    },
    /// A case gave numbers.
    CaseMeasured {
        /// The case's id.
        case: String,
        /// Its numbers.
        measurement: Measurement,
        /// Every gap between tokens in ms, when the job asked for a trace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<Vec<f64>>,
    },
    /// A case was traced: everything is in the tracers' files.
    CaseTraced {
        /// The case's id.
        case: String,
        /// What its decode step is made of, where the engine stamps that: in a generation of its own, that nobody traces.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parts: Option<StepParts>,
    },
    /// A case gave none.
    CaseFailed {
        /// The case's id.
        case: String,
        /// Why.
        failure: Failure,
    },
    /// The answer to a job without cases: what the device can do at most, where that means something.
    Ceilings {
        /// Absent on a CPU, and for engines whose speed they don't bound.
        ceilings: Option<Ceilings>,
    },
    /// The model can't be loaded: none of the cases can run.
    Failed {
        /// Why.
        failure: Failure,
        /// Another try would end the same way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lasting: bool,
    },
    /// All cases were taken up: the worker ends.
    Done,
    /// A message of a newer worker, which this version can ignore.
    #[serde(other)]
    Unknown,
}

/// The oldest version whose workers do what `model` asks for, and what that is.
pub fn needed_version(model: &ModelSpec) -> (u32, &'static str) {
    let is_own = || engine::find(&model.engine).is_ok_and(|engine| !engine.is_of_others());
    match model {
        _ if model.gpus.count() > 1 && is_own() => (GPUS_SINCE, "several GPUs"),
        _ if model.batch_size > 1 || model.seed_protocol.is_some() => {
            (BATCHES_SINCE, "a batch size or a seed protocol")
        }
        _ => (first(), "that"),
    }
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
    /// The job for a worker of any version.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Numbered<'a> {
            protocol: u32,
            #[serde(flatten)]
            job: &'a Job,
        }
        serde_json::to_vec(&Numbered { protocol: VERSION, job: self })
    }

    /// A job of any version.
    pub fn parse(text: &[u8]) -> serde_json::Result<Self> {
        match version_of(text)? {
            ..=1 => serde_json::from_slice::<protocol_v1::Job>(text).map(Self::from),
            _ => serde_json::from_slice(text),
        }
    }
}

impl Message for Event {
    fn parse(line: &[u8], _: Instant) -> Result<Self, String> {
        serde_json::from_slice(line).or_else(|error| protocol_v1::hello(line).ok_or_else(|| error.to_string()))
    }
}

impl Event {
    /// The line that says it. A hello can also be read by a session that speaks version 1.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Hello { protocol, program } => serde_json::to_vec(&protocol_v1::Hello::new(*protocol, program)),
            other => serde_json::to_vec(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::job;
    use super::*;

    fn parsed(line: &[u8]) -> Result<Event, String> {
        Event::parse(line, Instant::now())
    }

    #[test]
    fn a_job_arrives_as_it_was() {
        assert_eq!(Job::parse(&job().to_json().unwrap()).unwrap(), job());
    }

    /// Field by field: what is beside them, it ignores.
    #[test]
    fn what_a_worker_of_version_1_got_it_still_gets() {
        let recorded = include_bytes!("../../../tests/fixtures/worker/protocol-1.job.json");
        let sent = Job::parse(recorded).unwrap().to_json().unwrap();
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        holds(&value(&sent), &value(recorded));
    }

    fn holds(all: &serde_json::Value, part: &serde_json::Value) {
        match part.as_object() {
            Some(fields) => fields.iter().for_each(|(name, value)| holds(&all[name], value)),
            None => assert_eq!(all, part),
        }
    }

    #[test]
    fn a_hello_can_be_read_by_both_versions() {
        let hello = Event::Hello { protocol: VERSION, program: Program::this() };
        let line = hello.to_json().unwrap();
        assert_eq!(parsed(&line), Ok(hello));
        let old: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(old["program"]["candle_version"], env!("BENCH_DIFF_CANDLE_VERSION"));
    }

    #[test]
    fn an_unknown_word_costs_nothing() {
        let line = br#"{"event":"case_measured","case":"a","measurement":{"metrics":{},"implementation":"paged","clock":"server"}}"#;
        let Ok(Event::CaseMeasured { measurement, .. }) = parsed(line) else { panic!("no event") };
        assert_eq!(measurement.implementation.unwrap().as_str(), "paged");
        assert_eq!(parsed(br#"{"event":"from_the_future"}"#), Ok(Event::Unknown));
    }
}
