//! The results file, schema 1: what was planned, where it ran, and every run's metrics.
//!
//! These structs are the on-disk format. Reading is strict about meaning and lenient about unknown fields, so that
//! an older bench-diff reads what a newer one of the same schema wrote.

mod compact;
pub mod distribution;
mod export;
mod fingerprint;
pub mod occasions;
mod read;
mod write;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::{Case, Implementation, PromptRule};
use crate::metric::MetricName;

pub use occasions::Occasions;
pub(crate) use read::{from_json, read_bytes};
pub use read::{parse, read};

/// The schema that this build reads and writes.
pub const SCHEMA: u32 = 1;

/// One suite on one machine, in one or more sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// The version of this format.
    pub schema: u32,
    /// The suite's name in the configuration.
    pub suite: String,
    /// What the results stand for, such as a release (`v1.2.0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The plan: every case that was to run, also those that failed or never ran.
    pub cases: Vec<Case>,
    /// How it was to be measured.
    pub settings: Settings,
    pub sessions: Vec<Session>,
}

/// Settings that change what the numbers mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Runs of each case in a session.
    pub runs: u32,
    /// Uncounted generations at the start of a run, for each case.
    pub warmup: u32,
    /// Generated tokens of a warm-up; the whole length when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_length: Option<u32>,
    /// Measured generations of a run, for each case: a run's time is the median of theirs.
    #[serde(default = "one")]
    pub iterations: u32,
    /// CPU threads that the measured program was told to use; as many as it likes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// How the prompt is built: the id of a rule in `measure::prompt`.
    pub prompt: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            runs: 3,
            warmup: 1,
            warmup_length: None,
            iterations: one(),
            threads: None,
            prompt: PromptRule::Transformers.word().into(),
        }
    }
}

/// What files from before there were iterations mean.
const fn one() -> u32 {
    1
}

/// All cases measured in one go on one machine by one program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Unique. Two files that hold the same id were measured interleaved, in the same session.
    pub id: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// Absent while the session runs, or if it was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// The program that was measured.
    pub program: Program,
    pub environment: Environment,
    /// What the device can do at most, measured at the session's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,
    pub runs: Vec<Run>,
    /// Runs that don't count, as they were measured again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discarded: Vec<Discarded>,
}

/// A run that was measured again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Discarded {
    /// Why it doesn't count.
    pub why: String,
    pub run: Run,
}

/// The measured program and what it was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    pub name: String,
    pub version: String,
    /// The commit it was built from; `-dirty` is appended when the checkout had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub candle_version: String,
    /// The commit of candle, where it was built from a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle_commit: Option<String>,
}

/// The machine. Absent means unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Environment {
    /// One entry for each GPU that was used; empty on a CPU.
    pub gpus: Vec<Gpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuda_version: Option<String>,
    pub cpu: String,
    pub cpu_cores: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    pub os: String,
    pub kernel: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gpu {
    pub name: String,
    pub memory_mib: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_capability: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sm_clock_mhz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_clock_mhz: Option<u32>,
}

/// The device's measured limits: they tell a slow card from slow code.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ceilings {
    /// Device memory read bandwidth.
    pub bandwidth_gb_s: f64,
    /// Rate of a large bf16 matrix product.
    pub matmul_tflop_s: f64,
}

/// One run of one case: one process. The process is the unit of replication, so a metric has one value a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Run {
    /// The case's id.
    pub case: String,
    /// Counted from 1; run 1 of all cases comes before run 2 of any.
    pub round: u32,
    pub started: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every run is Ok")]
pub enum Outcome {
    Ok(Measurement),
    Failed(Failure),
}

/// What one run measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// One value for each metric. A metric that could not be measured is absent, never 0.
    pub metrics: BTreeMap<MetricName, f64>,
    /// The gaps between tokens, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub itl: Option<Distribution>,
    /// Start of the SHA-256 of the generated token ids: greedy decoding with the same weights must give the same
    /// tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_hash: Option<String>,
    /// What ran, which may not be what the case asked for; absent where the program didn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<Implementation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceState>,
    /// Share of the device's limit that was reached (0.7 is 70%).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roofline: Option<Roofline>,
    /// What a reader of the numbers must know, such as a fallback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Measurement {
    /// Why the device's clocks were held down, as NVML names it; empty where they weren't, or nobody looked.
    pub fn throttle_reasons(&self) -> &[String] {
        self.device.as_ref().map_or(&[], |device| &device.throttle_reasons)
    }
}

/// A distribution, compact: quantiles and a histogram of logarithmic buckets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    pub count: u64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// Quantile -> value, such as `"0.99": 7.1`.
    pub quantiles: BTreeMap<String, f64>,
    /// Pairs of a bucket's index and its count; bucket i holds values in [1.02^i, 1.02^(i+1)).
    pub histogram: Vec<(i32, u64)>,
}

/// The device while it measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeviceState {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_clock_mhz: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_clock_mhz: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// Why the clocks were held down, as NVML names it; empty when they weren't.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_reasons: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Roofline {
    /// Bytes that a decode step must move / time / measured bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<f64>,
    /// What a prefill takes at least (its operations at the measured matrix rate or, if that takes longer, its weights at
    /// the measured bandwidth) / its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<f64>,
}

/// Why a run gave no numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub kind: FailureKind,
    /// One sentence: what went wrong and what to do.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The plan already showed that the case can't fit.
    DoesNotFit,
    OutOfMemory,
    TimedOut,
    Crashed,
    /// The engine said why.
    Error,
}
