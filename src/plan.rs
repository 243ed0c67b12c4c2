//! The plan: which cases of a suite will run, what they need, and which can't fit.
//!
//! Memory and time are estimates from the model's shape; they decide only what is hopeless to try.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::case::{Case, DeviceKind, Implementation};
use crate::config::{CandleSource, Suite};
use crate::device::Capacity;
use crate::engine::qwen2::config::ModelConfig;
use crate::engine::qwen2::plain::scores_limit;
use crate::engine::{self, ModelSpec};
use crate::error::{Error, Result};
use crate::models::{self, Model};
use crate::results::{Failure, FailureKind, Settings};

const GIB: f64 = (1u64 << 30) as f64;

/// What a CUDA context, its libraries and their workspaces take.
const CUDA_CONTEXT: u64 = 600 << 20;

/// Share of the device's peak that is usually reached, by decoding (of bandwidth) and prefill (of arithmetic).
const DECODE_EFFICIENCY: f64 = 0.6;
const PREFILL_EFFICIENCY: f64 = 0.4;

/// Starting a process and its device, in seconds.
const START_SECONDS: f64 = 3.0;

/// Bytes per second at which weights are read or made.
const LOAD_RATE: f64 = 2e9;

/// A suite on a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub suite: String,
    pub device: Capacity,
    /// What the program is built against before it is measured; the released candle when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candle: Option<CandleSource>,
    /// Runs of each case.
    pub runs: u32,
    /// In the order of the configuration.
    pub cases: Vec<PlannedCase>,
    /// For everything, loading included, downloads excluded.
    pub seconds: f64,
}

/// A case and what it is expected to need.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedCase {
    pub case: Case,
    pub memory: Memory,
    /// For one run of the case, warm-up included, loading excluded.
    pub seconds: f64,
    /// Why it can't run: the case becomes this failure without being tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Device memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    pub weights: u64,
    /// Keys and values of prompt and generated tokens.
    pub kv_cache: u64,
    /// Activations, attention scores and what the device's runtime takes.
    pub workspace: u64,
}

impl Memory {
    pub fn total(&self) -> u64 {
        self.weights + self.kv_cache + self.workspace
    }
}

impl Plan {
    /// Why cases can't run, by id.
    pub fn refused(&self) -> BTreeMap<String, Failure> {
        let failures = self.cases.iter().filter_map(|case| Some((case.case.id.clone(), case.failure.clone()?)));
        failures.collect()
    }

    /// Expected seconds of a run, by case.
    pub fn seconds_by_case(&self) -> BTreeMap<String, f64> {
        self.cases.iter().map(|case| (case.case.id.clone(), case.seconds)).collect()
    }

    /// The suite with each model's length cut to the longest of its cases that can run: the KV cache is made for it.
    pub fn fit(&self, mut suite: Suite) -> Suite {
        let runs =
            |case: &&Case| self.cases.iter().any(|planned| planned.case.id == case.id && planned.failure.is_none());
        for model in &mut suite.models {
            let longest = model.cases.iter().filter(runs).map(Case::length).max();
            model.spec.max_length = longest.map_or(model.spec.max_length, |longest| longest as usize);
        }
        suite
    }
}

/// Plans `suite` for this machine. The suite comes back ready to be measured: too long cases, which the plan refuses,
/// don't count for the length of their model.
pub fn here(suite: Suite) -> Result<(Suite, Plan)> {
    let plan = plan(&suite, Capacity::of(suite.device(), &suite.gpus))?;
    Ok((plan.fit(suite), plan))
}

/// Plans `suite` for `device`.
pub fn plan(suite: &Suite, device: Capacity) -> Result<Plan> {
    let mut cases = Vec::new();
    let mut seconds = 0.0;
    for model in &suite.models {
        let shape = shape(&model.spec)?;
        let planned: Vec<_> =
            model.cases.iter().map(|case| plan_case(case, &shape, &suite.settings, &device)).collect();
        let running = || planned.iter().filter(|case| case.failure.is_none());
        if running().next().is_some() {
            let load = START_SECONDS + shape.weight_bytes(model.spec.dtype) as f64 / LOAD_RATE;
            seconds += f64::from(suite.settings.runs) * (load + running().map(|case| case.seconds).sum::<f64>());
        }
        cases.extend(planned);
    }
    let (name, candle) = (suite.name.clone(), suite.candle.clone());
    Ok(Plan { suite: name, device, candle, runs: suite.settings.runs, cases, seconds })
}

/// The shape of the model that `spec` names.
fn shape(spec: &ModelSpec) -> Result<Model> {
    match &spec.directory {
        Some(directory) => Ok(ModelConfig::read(directory, &spec.model).map_err(Error::usage)?.shape),
        None => {
            models::find(&spec.model).cloned().ok_or_else(|| Error::usage(format!("unknown model `{}`", spec.model)))
        }
    }
}

fn plan_case(case: &Case, shape: &Model, settings: &Settings, device: &Capacity) -> PlannedCase {
    let memory = memory(case, shape);
    let failure =
        too_large(case, shape, &memory, device).map(|reason| Failure { kind: FailureKind::DoesNotFit, reason });
    let warmup_length = settings.warmup_length.unwrap_or(case.generated_length);
    let seconds = f64::from(settings.iterations) * generation_seconds(case, shape, case.generated_length, device)
        + f64::from(settings.warmup) * generation_seconds(case, shape, warmup_length, device);
    PlannedCase { case: case.clone(), memory, seconds, failure }
}

fn memory(case: &Case, shape: &Model) -> Memory {
    let context = u64::from(case.context_length);
    let dtype = engine::held_dtype(case.implementation, case.device, case.dtype);
    let size = dtype.size();
    let chunk = context.min(engine::default_prefill_chunk(case.device) as u64);
    let activations = chunk * (4 * shape.hidden_size as u64 + 3 * shape.intermediate_size as u64) * size;
    let heads = shape.num_attention_heads as u64;
    let kv_cache = u64::from(case.length()) * shape.kv_bytes_per_token(dtype);
    let attention = match case.implementation {
        Implementation::Graph => 0,
        // Scores and their softmax, both in f32 and in the model's type, a block at a time.
        Implementation::Plain => (heads * chunk * context).min(scores_limit(case.device) as u64) * 2 * (4 + size),
        // Scores of the whole prompt, and one layer's keys and values repeated for each query head.
        Implementation::Stock => {
            let repeats = heads / shape.num_key_value_heads as u64;
            3 * heads * context * context * size + 2 * repeats * kv_cache / shape.num_hidden_layers as u64
        }
    };
    let runtime = if case.device == DeviceKind::Cuda { CUDA_CONTEXT } else { 0 };
    let workspace = runtime + activations + attention + shape.vocab_size as u64 * 4;
    Memory { weights: shape.weight_bytes(dtype), kv_cache, workspace }
}

/// Why the case can't run on the device at all.
fn too_large(case: &Case, shape: &Model, memory: &Memory, device: &Capacity) -> Option<String> {
    // candle's softmax counts its elements in 32 bits.
    let context = u64::from(case.context_length);
    let scores = shape.num_attention_heads as u64 * context * context;
    if case.implementation == Implementation::Stock && case.device == DeviceKind::Cuda && scores > i32::MAX as u64 {
        let longest = (f64::from(i32::MAX) / shape.num_attention_heads as f64).sqrt() as u64;
        return Some(format!(
            "`stock` prefills in one piece and can't index more than {longest} tokens of this model: use `graph` or `plain`"
        ));
    }
    let available = device.memory?;
    (memory.total() > available).then(|| {
        let (needed, available) = (memory.total() as f64 / GIB, available as f64 / GIB);
        format!(
            "needs about {needed:.1} GiB of the device's {available:.1} GiB: use a shorter context or a smaller model"
        )
    })
}

/// Prefill and decode of one generation, in seconds.
fn generation_seconds(case: &Case, shape: &Model, generated: u32, device: &Capacity) -> f64 {
    let (context, generated) = (f64::from(case.context_length), f64::from(generated));
    let operations =
        shape.flops_per_token() as f64 * context + shape.attention_flops_per_token_squared() as f64 * context * context;
    let prefill = operations / (device.flops * PREFILL_EFFICIENCY);
    let dtype = engine::held_dtype(case.implementation, case.device, case.dtype);
    let kv = shape.kv_bytes_per_token(dtype) as f64 * (context + generated / 2.0);
    let bytes = shape.decode_weight_bytes(dtype) as f64 + kv;
    let step = bytes / (device.bandwidth * DECODE_EFFICIENCY) + step_overhead(case, shape);
    prefill + generated * step
}

/// Time of a decode step in which the device waits for the host to launch the next kernel, in seconds.
fn step_overhead(case: &Case, shape: &Model) -> f64 {
    match case.implementation {
        // One launch for the whole step.
        Implementation::Graph => 0.0,
        // About 40 launches a layer, 5 us each.
        Implementation::Plain | Implementation::Stock => 200e-6 * shape.num_hidden_layers as f64,
    }
}
