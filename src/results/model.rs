//! Results in memory: what was planned, where it ran, and every run's metrics.
//!
//! No file format: [`v2`](super::v2) says how this is written, and [`upgrade`](super::upgrade) how older files become it.

use std::collections::BTreeMap;

use super::counters::CaseCounters;
use super::step_parts::CaseStepParts;
use crate::case::{Case, Clock, ImplementationName, PromptRule, SeedProtocol};
use crate::metric::MetricName;
use crate::thresholds::Thresholds;
use crate::word::Word;

/// One suite on one machine, in one or more sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// The suite's name in the configuration.
    pub suite: String,
    /// What the results stand for, such as a release (`v1.2.0`).
    pub label: Option<String>,
    /// The plan: every case that was to run, also those that failed or never ran.
    pub cases: Vec<Case>,
    /// How it was to be measured.
    pub settings: Settings,
    /// In the order in which they were measured.
    pub sessions: Vec<Session>,
}

/// Settings that change what the numbers mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Runs of each case in a session.
    pub runs: u32,
    /// Uncounted generations at the start of a run, for each case.
    pub warmup: u32,
    /// Generated tokens of a warm-up; the whole length when absent.
    pub warmup_length: Option<u32>,
    /// Measured generations of a run, for each case: a run's time is the median of theirs.
    pub iterations: u32,
    /// CPU threads that the measured program was told to use; all when absent.
    pub threads: Option<u32>,
    /// How the prompt is built: a rule of `prompt.rs`, or `ids` where it is the configuration's own.
    pub prompt: Word<PromptRule>,
    /// SHA-256 of the prompt's token ids (each as 32 bits, little end first), where they are the configuration's own.
    pub prompt_sha256: Option<String>,
    /// The program of Qwen's Speed Benchmark that was followed to the letter; absent where bench-diff measured in its way.
    pub seed_protocol: Option<Word<SeedProtocol>>,
    /// What the configuration takes for a change; absent where it says nothing of it. The numbers mean the same without it.
    pub thresholds: Option<Box<Thresholds>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            runs: 3,
            warmup: 1,
            warmup_length: None,
            iterations: 1,
            threads: None,
            prompt: PromptRule::Transformers.into(),
            prompt_sha256: None,
            seed_protocol: None,
            thresholds: None,
        }
    }
}

/// All cases measured in one go on one machine by one program.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Unique. Two files that hold the same id were measured interleaved, in the same session.
    pub id: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// Absent while the session runs, or if it was cut off.
    pub finished: Option<String>,
    /// The program that was measured; all empty until it has said who it is.
    pub program: Program,
    /// SHA-256 of the program's file, in hexadecimal: another build may say the same of itself. `None` where the file
    /// can't be read.
    pub program_sha256: Option<String>,
    /// The machine.
    pub environment: Environment,
    /// What the device can do at most, measured at the session's start.
    pub ceilings: Option<Ceilings>,
    /// Those that count, in the order in which they ended.
    pub runs: Vec<Run>,
    /// Runs that don't count, as they were measured again.
    pub discarded: Vec<Discarded>,
    /// What its cases do on the GPU, where that was counted.
    pub counters: Vec<CaseCounters>,
    /// What their decode steps are made of, where the engine stamps that.
    pub step_parts: Vec<CaseStepParts>,
}

/// A run that was measured again.
#[derive(Debug, Clone, PartialEq)]
pub struct Discarded {
    /// Why it doesn't count.
    pub why: String,
    /// What it gave.
    pub run: Run,
}

/// The measured program and what it was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// As it calls itself, such as `bench-diff`.
    pub name: String,
    /// As it gives it.
    pub version: String,
    /// The commit it was built from; `-dirty` is appended when the checkout had changes.
    pub commit: Option<String>,
    /// What it is built with or runs on, by name: `candle`, or for another engine the server and its libraries.
    pub components: BTreeMap<String, Component>,
}

/// A part of a program that has a version of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Component {
    /// Absent where it doesn't say.
    pub version: Option<String>,
    /// Where it was built from a checkout.
    pub commit: Option<String>,
}

/// The machine. Absent means unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    /// One entry for each GPU that was used; empty on a CPU.
    pub gpus: Vec<Gpu>,
    /// Of the GPUs' driver, such as `570.86.10`; absent on a CPU.
    pub driver_version: Option<String>,
    /// The newest CUDA that the driver supports, such as `12.8`; absent on a CPU.
    pub cuda_version: Option<String>,
    /// The processor's model.
    pub cpu: Option<String>,
    /// Hardware threads that this process may use.
    pub cpu_cores: Option<u32>,
    /// The machine's memory, in MiB.
    pub memory_mib: Option<u64>,
    /// The operating system, such as `Ubuntu 24.04.2 LTS`.
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
}

/// A card. Absent means unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gpu {
    /// Its model, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// As the driver tells it (`GPU-...`).
    pub uuid: Option<String>,
    /// All of its memory, in MiB.
    pub memory_mib: Option<u64>,
    /// Such as `9.0`.
    pub compute_capability: Option<String>,
    /// The limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// Does its memory correct errors?
    pub ecc: Option<bool>,
    /// The highest clock of its processors, in MHz.
    pub max_sm_clock_mhz: Option<u32>,
    /// The highest clock of its memory, in MHz.
    pub max_memory_clock_mhz: Option<u32>,
}

/// The device's measured limits: they tell a slow card from slow code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceilings {
    /// Memory bandwidth in GB/s (10^9 bytes), of a large copy within device memory; what is read and what is written both
    /// count.
    pub bandwidth_gb_s: f64,
    /// Rate of a large bf16 matrix product, in TFLOP/s (10^12 operations; a multiplication with its addition is two).
    pub matmul_tflop_s: f64,
}

/// One run of one case: one process. The process is the unit of replication, so a metric has one value a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The case's id.
    pub case: String,
    /// Counted from 1; run 1 of all cases comes before run 2 of any.
    pub round: u32,
    /// RFC 3339, UTC.
    pub started: String,
    /// What it gave.
    pub outcome: Outcome,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every run is Ok")]
pub enum Outcome {
    /// Numbers.
    Ok(Measurement),
    /// None, and why.
    Failed(Failure),
}

/// What one run measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measurement {
    /// One value for each metric. A metric that could not be measured is absent, never 0.
    pub metrics: BTreeMap<MetricName, f64>,
    /// The gaps between tokens, in ms.
    pub itl: Option<Distribution>,
    /// Start of the SHA-256 of the generated token ids: greedy decoding with the same weights must give the same
    /// tokens.
    pub token_hash: Option<String>,
    /// What ran, which may not be what the case asked for; absent where the program didn't say.
    pub implementation: Option<ImplementationName>,
    /// The engine, where it is a program of its own.
    pub program: Option<Program>,
    /// Whose clock the times are of; absent in files from before it was told.
    pub clock: Option<Word<Clock>>,
    /// The devices while it measured; absent on a CPU, and where nobody could look.
    pub device: Option<DeviceState>,
    /// Where several GPUs ran it; `device` and the metrics are of all of them together.
    pub by_card: Vec<CardState>,
    /// Share of the device's limit that was reached (0.7 is 70%).
    pub roofline: Option<Roofline>,
    /// Measured of a process that was there before and stayed: other runs, perhaps of other sessions, are of the same.
    pub shared_process: bool,
    /// Until the weights were on the device, without downloading; absent where nobody took the time.
    pub load_ms: Option<f64>,
    /// What a reader of the numbers must know, such as a fallback.
    pub warnings: Vec<String>,
}

impl Measurement {
    /// Why the device's clocks were held down, as NVML names it; empty where they weren't, or nobody looked.
    pub fn throttle_reasons(&self) -> &[String] {
        self.device.as_ref().map_or(&[], |device| &device.throttle_reasons)
    }
}

/// A distribution, compact: quantiles and a histogram of logarithmic buckets.
#[derive(Debug, Clone, Default, PartialEq)]
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceState {
    /// Mean clock of the processors, in MHz; of several cards, over all.
    pub sm_clock_mhz: Option<f64>,
    /// Mean clock of the memory, in MHz; of several cards, over all.
    pub memory_clock_mhz: Option<f64>,
    /// The highest temperature, in degrees Celsius; of several cards, of the hottest.
    pub temperature_c: Option<f64>,
    /// Mean power, in watts; of several cards, of all together.
    pub power_w: Option<f64>,
    /// Why the clocks were held down, as NVML names it; empty when they weren't.
    pub throttle_reasons: Vec<String>,
}

/// One of several GPUs of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CardState {
    /// As in the session's environment.
    pub uuid: String,
    /// The most that the run held of its memory, in MiB.
    pub peak_memory_mib: Option<f64>,
    /// Of all measured generations of the run, in joules.
    pub energy_j: Option<f64>,
    /// Its clocks, temperature and power.
    pub state: DeviceState,
}

/// Shares of what the device's ceilings allow (0.7 is 70%), as in the roofline model (Williams 2009).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Bytes that a decode step must move / time / measured bandwidth.
    pub decode: Option<f64>,
    /// What a prefill takes at least (its operations at the measured matrix rate or, if that takes longer, its weights at
    /// the measured bandwidth) / its time.
    pub prefill: Option<f64>,
}

/// Why a run gave no numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure, for programs.
    pub kind: FailureKind,
    /// One sentence: what went wrong and what to do.
    pub reason: String,
}

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
