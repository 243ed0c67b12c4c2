//! Schema 2 of results files: what is written.
//!
//! These structs are the format. A run takes its fields side by side, `status` first among its own; an unknown value is
//! absent; words of other versions are kept ([`Word`]).

mod counters_v2;
mod identity_v2;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use counters_v2::CaseCounters;
pub use identity_v2::ModelIdentity;

use crate::case::{
    Clock, DeviceKind, Dtype, EngineName, ImplementationName, PromptRule, Quantization, SeedProtocol, WeightsSource,
};
use crate::metric::MetricName;
use crate::results::step_parts::CaseStepParts;
use crate::word::Word;

/// One suite on one machine, in one or more sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// The version of this format: 2.
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
    /// In the order in which they were measured.
    pub sessions: Vec<Session>,
}

/// What is measured. Two cases of the same `id` are compared when all other fields agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// `MODEL/PRECISION/CONTEXT`, such as `Qwen2.5-0.5B-Instruct/bf16/6144`; unique in a results file.
    pub id: String,
    /// The hub's id (`Qwen/Qwen2.5-0.5B-Instruct`), or the name of a local directory.
    pub model: String,
    /// The commit of the weights, where the hub told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the model is beside its name, where the measured program told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ModelIdentity>,
    /// Where the weights come from.
    pub weights: Word<WeightsSource>,
    /// How the weights are quantized.
    pub quantization: Word<Quantization>,
    /// The type of weights and activations.
    pub dtype: Word<Dtype>,
    /// What runs the model.
    pub engine: EngineName,
    /// Which of its implementations was asked for.
    pub implementation: ImplementationName,
    /// Where the case runs.
    pub device: Word<DeviceKind>,
    /// Number of GPUs; 0 on a CPU. Which cards they are stands in the session's environment.
    pub gpus: u32,
    /// Sequences that are generated at once.
    pub batch_size: u32,
    /// Prompt tokens.
    pub context_length: u32,
    /// Generated tokens.
    pub generated_length: u32,
    /// What a server has to do at once; absent for one generation after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// A closed loop of requests: as soon as one has ended, the next is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Requests in flight at once.
    pub concurrency: u32,
    /// Requests of a run.
    pub requests: u32,
}

/// Settings that change what the numbers mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// CPU threads that the measured program was told to use; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// How the prompt is built.
    pub prompt: Word<PromptRule>,
    /// SHA-256 of the prompt's token ids (each as 32 bits, little end first), where they are the configuration's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_sha256: Option<String>,
    /// The program of Qwen's Speed Benchmark that was followed to the letter; absent where bench-diff measured in its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_protocol: Option<Word<SeedProtocol>>,
    /// What the configuration takes for a change; absent where it says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
}

/// What counts as a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thresholds {
    /// Chance of a false alarm anywhere in a report.
    pub alpha: f64,
    /// Metrics to compare; the default ones when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// Noise thresholds as shares, by metric; `all` is every other one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub noise_thresholds: BTreeMap<String, f64>,
    /// Metrics whose noise threshold is what the baseline's sessions show; `all` is every other one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auto_noise_thresholds: Vec<String>,
    /// Whether a certain change that is about as large as the noise threshold is a regression.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gate_at_threshold: bool,
    /// Counters that differ by a smaller share are as before.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub counters_floor: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_nothing(share: &f64) -> bool {
    *share == 0.0
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
    /// The program that was measured; absent until it has said who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// SHA-256 of the program's file, in hexadecimal; absent where it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<String>,
    /// The machine.
    pub environment: Environment,
    /// What the device can do at most, measured at the session's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,
    /// Those that count, in the order in which they ended.
    pub runs: Vec<Run>,
    /// Runs that don't count, as they were measured again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discarded: Vec<Discarded>,
    /// What its cases do on the GPU, where that was counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<CaseCounters>,
    /// What their decode steps are made of, where the engine stamps that: in generations of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub step_parts: Vec<CaseStepParts>,
}

/// A run that was measured again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Discarded {
    /// Why it doesn't count.
    pub why: String,
    /// What it gave.
    pub run: Run,
}

/// The measured program and what it was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// As it calls itself, such as `bench-diff`.
    pub name: String,
    /// As it gives it.
    pub version: String,
    /// The commit it was built from; `-dirty` is appended when the checkout had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What it is built with or runs on, by name, such as `candle`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Component>,
}

/// A part of a program that has a version of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// Absent where it doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it was built from a checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The machine. Absent means unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Environment {
    /// One entry for each GPU that was used; empty on a CPU.
    pub gpus: Vec<Gpu>,
    /// Of the GPUs' driver, such as `570.86.10`; absent on a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_version: Option<String>,
    /// The newest CUDA that the driver supports, such as `12.8`; absent on a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuda_version: Option<String>,
    /// The processor's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Hardware threads that this process may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<u32>,
    /// The machine's memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The operating system, such as `Ubuntu 24.04.2 LTS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The kernel's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
}

/// A card. Absent means unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gpu {
    /// Its model, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// As the driver tells it (`GPU-...`); absent in files from before it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// All of its memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Such as `9.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_capability: Option<String>,
    /// The limit in force, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<f64>,
    /// Does its memory correct errors?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    /// The highest clock of its processors, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sm_clock_mhz: Option<u32>,
    /// The highest clock of its memory, in MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_clock_mhz: Option<u32>,
}

/// The device's measured limits: they tell a slow card from slow code.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ceilings {
    /// Memory bandwidth in GB/s (10^9 bytes), of a large copy within device memory; what is read and what is written both
    /// count.
    pub bandwidth_gb_s: f64,
    /// Rate of a large bf16 matrix product, in TFLOP/s (10^12 operations; a multiplication with its addition is two).
    pub matmul_tflop_s: f64,
}

/// One run of one case: one process. The process is the unit of replication, so a metric has one value a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Run {
    /// The case's id.
    pub case: String,
    /// Counted from 1; run 1 of all cases comes before run 2 of any.
    pub round: u32,
    /// RFC 3339, UTC.
    pub started: String,
    /// What it gave.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every run is Ok")]
pub enum Outcome {
    /// Numbers.
    Ok(Measurement),
    /// None, and why.
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
    /// tokens. Absent where the engine doesn't tell them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_hash: Option<String>,
    /// What ran, which may not be what the case asked for; absent where the program didn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation: Option<ImplementationName>,
    /// The engine, where it is a program of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// Whose clock the times are of; absent where the program didn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Word<Clock>>,
    /// The devices while it measured; absent on a CPU, and where nobody could look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceState>,
    /// Where several GPUs ran it; `device` and the metrics are of all of them together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_card: Vec<CardState>,
    /// Share of the device's limit that was reached (0.7 is 70%).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roofline: Option<Roofline>,
    /// Measured of a process that was there before and stayed: other runs, perhaps of other sessions, are of the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_process: bool,
    /// From opening the files to the last weight on the device, without downloading; absent where the engine didn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_ms: Option<f64>,
    /// What a reader of the numbers must know, such as a fallback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A distribution, compact: quantiles and a histogram of logarithmic buckets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Number of values.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
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
    /// Mean clock of the processors, in MHz; of several cards, over all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_clock_mhz: Option<f64>,
    /// Mean clock of the memory, in MHz; of several cards, over all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_clock_mhz: Option<f64>,
    /// The highest temperature, in degrees Celsius; of several cards, of the hottest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Mean power, in watts; of several cards, of all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// Why the clocks were held down, as NVML names it; empty when they weren't.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_reasons: Vec<String>,
}

/// One of several GPUs of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CardState {
    /// As in the session's environment.
    pub uuid: String,
    /// The most that the run held of its memory, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<f64>,
    /// Of all measured generations of the run, in joules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// Its clocks, temperature and power.
    #[serde(flatten)]
    pub state: DeviceState,
}

/// Shares of what the device's ceilings allow (0.7 is 70%), as in the roofline model (Williams 2009).
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
    /// What kind of failure, for programs.
    pub kind: FailureKind,
    /// One sentence: what went wrong and what to do.
    pub reason: String,
}

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The plan already showed that the case can't fit.
    DoesNotFit,
    /// The device's memory didn't suffice.
    OutOfMemory,
    /// It took longer than the limit.
    TimedOut,
    /// The measured program ended without a word.
    Crashed,
    /// The engine said why.
    Error,
}
