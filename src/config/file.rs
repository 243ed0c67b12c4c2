//! The shape of `bench-diff.toml`, and of the flags that override it: one definition for the parser, the published
//! JSON Schema (which [`super::check`] enforces) and `--help`.
//!
//! What the schema requires has a default for serde all the same: the rest of a file that lacks it is looked at as well.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::value_parser;
use schemars::JsonSchema;
use serde::Deserialize;

use super::engines;
use super::percent::Percent;
use crate::case::{
    DeviceKind, Dtype, EngineName, ImplementationName, PromptRule, Quantization, SeedProtocol, WeightsSource,
};
use crate::device::{GpuList, Machine};
use crate::engine::ServerSpec;
use crate::flags;
use crate::hub::HubName;
use crate::thresholds::{AUTO, NoiseThreshold};

/// Longest context that Qwen2.5 supports, prompt and generated tokens together.
pub const MAX_LENGTH: u32 = 131_072;

/// bench-diff.toml: what to measure, how, and what counts as a change.
///
/// Settings at the top hold for every suite; a suite can override them, and so can each of its models.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields, title = "bench-diff.toml")]
pub struct File {
    /// What holds for every suite.
    #[serde(flatten)]
    pub settings: SuiteSettings,
    /// Build the measured program against this candle [default: the released one]. `bench-diff ci` does.
    pub candle: Option<CandleTable>,
    /// Suites by name. The first one that fits `--device`, or this machine, is the default.
    #[serde(default)]
    #[schemars(!default)]
    pub suites: BTreeMap<String, SuiteTable>,
}

/// Where candle comes from: `path`, or `git` and `rev`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CandleTable {
    /// A checkout; relative to this file.
    pub path: Option<String>,
    /// A repository: `https://`, `ssh://`, `user@host:path`, or a path relative to this file.
    pub git: Option<String>,
    /// A branch, tag or commit of `git`.
    pub rev: Option<String>,
}

/// Models that are measured together.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields)]
pub struct SuiteTable {
    /// What holds for this suite.
    #[serde(flatten)]
    pub settings: SuiteSettings,
    /// Each a model's id, or a table with the id and its own settings.
    #[serde(default)]
    #[schemars(!default, length(min = 1))]
    pub models: Vec<ModelEntry>,
}

/// A model of a suite.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelEntry {
    /// An id such as `Qwen/Qwen2.5-0.5B-Instruct`, or a directory such as `./my-model`.
    Id(String),
    Table(Box<ModelTable>),
}

/// A model with settings of its own.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(deny_unknown_fields)]
pub struct ModelTable {
    /// An id such as `Qwen/Qwen2.5-0.5B-Instruct`, or a directory such as `./my-model`.
    #[serde(default)]
    #[schemars(!default)]
    pub model: String,
    /// The last part of its cases' ids: tells a model apart that the suite has several times, with other engines.
    pub name: Option<String>,
    /// What holds for this model.
    #[serde(flatten)]
    pub settings: ModelSettings,
}

/// Settings that each model of a suite can have of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, clap::Args)]
#[serde(rename_all = "kebab-case", default)]
pub struct ModelSettings {
    /// Where the weights come from [default: hub, or local for a directory]
    #[arg(long, value_parser = flags::word::<WeightsSource>())]
    pub weights: Option<WeightsSource>,
    /// Branch, tag or commit of the weights on the hub [default: main, or ModelScope's master]
    #[arg(long)]
    pub revision: Option<String>,
    /// Which hub has the weights [default: huggingface]
    #[arg(long, value_parser = flags::word::<HubName>())]
    pub hub: Option<HubName>,
    /// How the weights are quantized [default: as the model's are]
    #[arg(long, value_parser = flags::word::<Quantization>())]
    pub quantization: Option<Quantization>,
    /// Type of weights and activations [default: bf16 on a GPU, f32 on a CPU]
    #[arg(long, value_parser = flags::word::<Dtype>())]
    pub dtype: Option<Dtype>,
    /// What runs the model [default: candle; with `command` or `server`, that]
    #[arg(long, value_parser = engines::engine())]
    #[schemars(schema_with = "engines::engine_schema")]
    pub engine: Option<EngineName>,
    /// Which Qwen2.5 implementation of the engine; with `command`, a word of the program's own [default: graph on a GPU, plain
    /// on a CPU]
    #[arg(long, value_parser = engines::implementation())]
    #[schemars(schema_with = "engines::implementation_schema")]
    pub implementation: Option<ImplementationName>,
    /// The program of the engine `command` and its arguments: `["python3", "my-engine.py"]`, or on the command line 'python3
    /// my-engine.py' too; in the file, paths start from it
    #[arg(long, value_name = "COMMAND", value_delimiter = ' ')]
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// What builds that program from this repository, and its arguments: `["cargo", "build", "--release"]`. It is run where
    /// this file is, in the pull request's checkout and in the base's; `[]` where the checkout is all that it takes
    #[arg(skip)]
    pub build: Option<Vec<String>>,
    /// The endpoint of the engine `server`: its address up to `/v1`, or in the file a table
    #[arg(long, value_name = "URL", value_parser = engines::server_at)]
    pub server: Option<ServerSpec>,
    /// Prompt lengths in tokens, each a case [default: 1,6144]
    #[arg(
        long,
        aliases = ["context-length", "context"],
        value_delimiter = ',',
        value_name = "N,...",
        value_parser = value_parser!(u32).range(1..=131_071)
    )]
    #[schemars(length(min = 1), inner(range(min = 1, max = 131_071)))]
    pub context_lengths: Option<Vec<u32>>,
    /// Sequences to generate at once, of the same prompt [default: 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1024))]
    #[schemars(range(min = 1, max = 1024))]
    pub batch_size: Option<u32>,
    /// Tokens to generate [default: 2048]
    #[arg(long, alias = "tokens", value_name = "N", value_parser = value_parser!(u32).range(2..=131_071))]
    #[schemars(range(min = 2, max = 131_071))]
    pub generated_length: Option<u32>,
    /// Requests that the engine `server` has in flight at once, each a case; 1 is one after another [default: 1]
    #[arg(long, alias = "parallel", value_delimiter = ',', value_name = "N,...", value_parser = value_parser!(u32).range(1..=4096))]
    #[schemars(length(min = 1), inner(range(min = 1, max = 4096)))]
    pub concurrency: Option<Vec<u32>>,
    /// Requests of a run where several are in flight [default: 4 for each that is]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(2..=100_000))]
    #[schemars(range(min = 2, max = 100_000))]
    pub requests: Option<u32>,
}

/// Settings of a whole suite.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, clap::Args)]
#[serde(rename_all = "kebab-case", default)]
pub struct SuiteSettings {
    /// What holds for its models, where they don't say otherwise.
    #[serde(flatten)]
    #[command(flatten)]
    pub model: ModelSettings,
    /// Where to run [default: auto, a GPU if there is one]
    #[arg(long, value_enum)]
    pub device: Option<DeviceChoice>,
    /// Which GPUs: their numbers among those that are visible, or their UUIDs [default: 0]
    #[arg(long, alias = "gpu", value_name = "GPU,...")]
    pub gpus: Option<GpuList>,
    /// Runs of each case, each in a process of its own [default: 3]
    #[arg(long, alias = "rounds", value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    #[schemars(range(min = 1, max = 1000))]
    pub runs: Option<u32>,
    /// Uncounted generations of each case at the start of a run [default: 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(0..=100))]
    #[schemars(range(min = 0, max = 100))]
    pub warmup: Option<u32>,
    /// Tokens to generate in a warm-up [default: 128, or the generated length if that is less]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(2..=131_071))]
    #[schemars(range(min = 2, max = 131_071))]
    pub warmup_length: Option<u32>,
    /// Measured generations per run: their median is the run's value [default: 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    #[schemars(range(min = 1, max = 1000))]
    pub iterations: Option<u32>,
    /// CPU threads of the measured program [default: all]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1024))]
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u32>,
    /// How the prompt is built [default: transformers]
    #[arg(long, value_parser = flags::word::<PromptRule>())]
    pub prompt: Option<PromptRule>,
    /// Token ids of the prompt: a file with a JSON list, repeated or cut to each context length. In place of `prompt`, for
    /// models of other vocabularies
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_ids: Option<PathBuf>,
    /// Measure exactly as a program of Qwen's Speed Benchmark does, in place of `warmup`, `iterations` and `prompt`: its
    /// numbers are comparable only with its own [default: none]
    #[arg(long, value_name = "PROGRAM", value_parser = flags::word::<SeedProtocol>(), conflicts_with_all = ["prompt", "prompt_ids"])]
    pub seed_protocol: Option<SeedProtocol>,
    /// Accepted chance of a false alarm in a whole report [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    #[schemars(range(min = 0.0001, max = 0.5))]
    pub alpha: Option<f64>,
    /// Metrics to compare [default: decode_throughput, ttft, output_throughput, ttft_p99, itl_p99, peak_memory,
    /// allocated_memory]
    #[arg(skip)]
    #[schemars(length(min = 1))]
    pub metrics: Option<Vec<String>>,
    /// The smallest change worth reporting: `"auto"` for what the baseline's sessions show, a percentage, or a table of these
    /// by metric: `itl_p99 = "5%"` [default: 2%, ttft_p99 and itl_p99 5%, memory 1%]
    #[arg(skip)]
    pub noise_thresholds: Option<NoiseThresholdSettings>,
    /// Whether a certain change that is about as large as the noise threshold is a regression [default: false]
    #[arg(skip)]
    pub gate_at_threshold: Option<bool>,
    /// Count kernel launches, copies and the like of each case, in one untimed process beside the timed runs [default: true on
    /// a GPU]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub counters: Option<bool>,
    /// Counters that differ by less are as before, such as `"0.5%"` [default: 0%, every change counts]
    #[arg(skip)]
    pub counters_floor: Option<Percent>,
    /// When to give up.
    #[arg(skip)]
    pub limits: LimitsTable,
}

/// Where to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// A GPU if there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
}

impl DeviceChoice {
    /// What it is on this machine.
    pub fn kind(self, machine: &Machine) -> DeviceKind {
        match self {
            Self::Auto => machine.kind(),
            Self::Cpu => DeviceKind::Cpu,
            Self::Cuda => DeviceKind::Cuda,
        }
    }
}

/// When to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
#[schemars(deny_unknown_fields)]
pub struct LimitsTable {
    /// For one case in one run, loading excluded [default: 1800]
    #[schemars(range(min = 1, max = 86_400))]
    pub case_seconds: Option<u64>,
    /// For loading a model, download included [default: 3600]
    #[schemars(range(min = 1, max = 86_400))]
    pub load_seconds: Option<u64>,
    /// How long to wait for an idle GPU [default: 600]
    #[schemars(range(min = 0, max = 86_400))]
    pub idle_wait_seconds: Option<u64>,
}

/// For every metric, or by metric.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NoiseThresholdSettings {
    /// One for every metric.
    All(NoiseThresholdText),
    /// By metric; `all` is every other one.
    ByMetric(BTreeMap<String, NoiseThresholdText>),
}

/// A percentage such as `"2.5%"`, or `"auto"`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct NoiseThresholdText(#[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?%|auto)$"))] String);

impl NoiseThresholdText {
    /// `"2.5%"` is 0.025.
    pub fn threshold(&self) -> Result<NoiseThreshold, String> {
        let text = &self.0;
        if text == AUTO {
            return Ok(NoiseThreshold::Auto);
        }
        match text.strip_suffix('%').map(|number| number.trim().parse::<f64>()) {
            Some(Ok(percent)) if percent > 0.0 && percent < 100.0 => Ok(NoiseThreshold::Fixed(percent / 100.0)),
            Some(Ok(_)) => Err(format!("a noise threshold must be above 0% and below 100%, not `{text}`")),
            _ => Err(format!("`{text}` is not a percentage: write one such as \"2%\", or \"auto\"")),
        }
    }
}

/// Which suite, from which file, with which settings overridden.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selection {
    /// Configuration file [default: bench-diff.toml here or in a parent directory; without one, a built-in suite]
    #[arg(
        help_heading = "What to measure",
        long,
        value_name = "FILE",
        env = "BENCH_DIFF_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// Suite to run [default: the first one of the file that fits `--device`, or this machine]
    #[arg(help_heading = "What to measure", long, value_name = "NAME")]
    pub suite: Option<String>,
    /// Measure this model instead of the suite's: an id of the Qwen2.5 collection, or a directory (repeatable)
    #[arg(help_heading = "What to measure", long = "model", value_name = "ID|DIRECTORY")]
    pub models: Vec<String>,
    /// What flags override.
    #[command(flatten, next_help_heading = "Settings (override the configuration file)")]
    pub settings: SuiteSettings,
}
