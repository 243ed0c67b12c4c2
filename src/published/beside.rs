//! Measured numbers beside those that Qwen published: ratios between machines, never a verdict.

use schemars::JsonSchema;
use serde::Serialize;

use super::{GENERATED_LENGTH, Published, Software, rows};
use crate::case::{Case, Dtype, Quantization};
use crate::metric::{Metric, MetricName};
use crate::results::{Level, Results, levels};
use crate::stats::Summary;

const MIB_PER_GIB: f64 = 1024.0;

/// A session beside the published numbers, case by case.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Beside {
    /// Those that have one, in the order of the results.
    pub cases: Vec<CaseBeside>,
    /// The others, and why.
    pub unmatched: Vec<Unmatched>,
}

/// A case that was published, too.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CaseBeside {
    /// Its id.
    pub case: String,
    /// Number of GPUs; 0 on a CPU.
    pub gpus: u32,
    /// What was measured, over the session's runs, in tokens/s.
    pub speed_tok_s: Summary,
    /// What was measured; absent where it wasn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MeasuredMemory>,
    /// The page may have several numbers of a case, with other settings.
    pub published: Vec<Ratio>,
}

/// The most memory that was held, over the session's runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MeasuredMemory {
    /// `allocated_memory`, which is what Qwen's script reports; `peak_memory` where the engine doesn't tell it.
    pub metric: MetricName,
    /// The mean, in GiB.
    pub mean_gib: f64,
}

/// A published number, and how many times it was measured here.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Ratio {
    /// What was published.
    #[serde(flatten)]
    pub published: Published,
    /// Measured speed / published speed.
    pub speed_ratio: f64,
    /// Measured memory / published memory; absent where either is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_ratio: Option<f64>,
}

/// A case without a published number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unmatched {
    /// Its id.
    pub case: String,
    /// One sentence.
    pub reason: String,
}

/// The last session of `results` beside what was published, by one software or by all.
pub fn beside(results: &Results, software: Option<Software>) -> Beside {
    let levels = results.sessions.last().map(|session| levels(&results.cases, session)).unwrap_or_default();
    let mut beside = Beside { cases: Vec::new(), unmatched: Vec::new() };
    for (case, level) in results.cases.iter().zip(&levels) {
        match published(case, software).and_then(|rows| measured(case, level, &rows)) {
            Ok(found) => beside.cases.push(found),
            Err(reason) => beside.unmatched.push(Unmatched { case: case.id.clone(), reason }),
        }
    }
    beside
}

/// The numbers of the same case, or why there is none.
fn published(case: &Case, software: Option<Software>) -> Result<Vec<&'static Published>, String> {
    let by = software.map_or_else(|| "Qwen's tables".to_owned(), |by| format!("Qwen's tables of {}", by.title()));
    let is_named = |row: &Published| row.model == case.model || row.model.strip_prefix("Qwen/") == Some(&case.model);
    let of_model = rows().iter().filter(|row| is_named(row) && case.quantization == row.quantization);
    let rows: Vec<_> = of_model.filter(|row| software.is_none_or(|software| software == row.software)).collect();
    if rows.is_empty() {
        let quantized = if case.quantization == Quantization::None {
            String::new()
        } else {
            format!(" with {} weights", case.quantization)
        };
        return Err(format!("{}{quantized} isn't in {by}", case.model));
    }
    if let Some((own, theirs)) = difference(case) {
        return Err(format!("{own}, {by} have {theirs}"));
    }
    let rows: Vec<_> = rows.into_iter().filter(|row| row.context_length == case.context_length).collect();
    if rows.is_empty() { Err(format!("its context of {} isn't in {by}", case.context_length)) } else { Ok(rows) }
}

/// What keeps a case from being one of the tables, and what these have in its place.
fn difference(case: &Case) -> Option<(String, String)> {
    if case.quantization == Quantization::None && case.dtype != Dtype::Bf16 {
        return Some((format!("it was measured in {}", case.dtype), "bf16".to_owned()));
    }
    if case.generated_length != GENERATED_LENGTH {
        return Some((format!("it generates {} tokens", case.generated_length), GENERATED_LENGTH.to_string()));
    }
    let batched = case.batch_size != 1;
    batched.then(|| (format!("its batch has {} sequences", case.batch_size), "one".to_owned()))
}

fn measured(case: &Case, level: &Level, rows: &[&'static Published]) -> Result<CaseBeside, String> {
    let speed = level.metrics.get(&Metric::Speed.into()).ok_or("no run gave its speed")?;
    let memory = memory(level);
    let ratio = |row: &&'static Published| Ratio {
        published: (*row).clone(),
        speed_ratio: speed.mean / row.speed_tok_s,
        memory_ratio: memory.as_ref().zip(row.memory_gib).map(|(ours, theirs)| ours.mean_gib / theirs),
    };
    let published = rows.iter().map(ratio).collect();
    Ok(CaseBeside { case: case.id.clone(), gpus: case.gpus, speed_tok_s: *speed, memory, published })
}

fn memory(level: &Level) -> Option<MeasuredMemory> {
    [Metric::AllocatedMemory, Metric::PeakMemory].into_iter().find_map(|metric| {
        let metric = MetricName::from(metric);
        let mean_gib = level.metrics.get(&metric)?.mean / MIB_PER_GIB;
        Some(MeasuredMemory { metric, mean_gib })
    })
}
