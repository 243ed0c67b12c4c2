//! GuideLLM's `benchmarks.json`: for each load, summaries of its requests, which wait for each other and are no samples.

use serde::Deserialize;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "guidellm",
    tool: "GuideLLM",
    repeats: Repeats::Program,
    looks: |look| look.first.field("benchmarks").is_some_and(|one| one.has(&["metrics"])),
    read,
};

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    args: Option<Arguments>,
    benchmarks: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    model: Option<String>,
}

/// A load. Where its settings and counts are depends on the version.
#[derive(Deserialize)]
struct Benchmark {
    #[serde(default)]
    args: Option<Settings>,
    #[serde(default)]
    config: Option<Settings>,
    #[serde(default)]
    run_stats: Option<Counted>,
    #[serde(default)]
    scheduler_metrics: Option<Counted>,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    strategy: Option<Strategy>,
}

#[derive(Deserialize)]
struct Strategy {
    #[serde(default, alias = "type")]
    type_: Option<String>,
    #[serde(default)]
    streams: Option<u64>,
    #[serde(default)]
    rate: Option<f64>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    requests_made: Option<Totals>,
}

#[derive(Clone, Copy, Deserialize)]
struct Totals {
    #[serde(default)]
    successful: Option<u64>,
    #[serde(default)]
    errored: Option<u64>,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(default)]
    request_totals: Option<Totals>,
    #[serde(default)]
    requests_per_second: Option<ByStatus>,
    #[serde(default)]
    output_tokens_per_second: Option<ByStatus>,
    #[serde(default)]
    tokens_per_second: Option<ByStatus>,
    /// In seconds, unlike the others.
    #[serde(default)]
    request_latency: Option<ByStatus>,
    #[serde(default)]
    time_to_first_token_ms: Option<ByStatus>,
    #[serde(default)]
    inter_token_latency_ms: Option<ByStatus>,
    #[serde(default)]
    time_per_output_token_ms: Option<ByStatus>,
}

#[derive(Deserialize)]
struct ByStatus {
    #[serde(default)]
    successful: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    mean: Option<f64>,
    #[serde(default)]
    median: Option<f64>,
    #[serde(default)]
    percentiles: Option<Percentiles>,
}

#[derive(Deserialize)]
struct Percentiles {
    #[serde(default)]
    p90: Option<f64>,
    #[serde(default)]
    p95: Option<f64>,
    #[serde(default)]
    p99: Option<f64>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    let document: Document = file.json()?;
    let model = document.args.and_then(|args| args.model);
    for benchmark in &document.benchmarks {
        let case = benchmark.case(model.as_deref());
        let totals = benchmark.totals();
        if totals.is_some_and(|totals| totals.successful == Some(0)) {
            return Err(file.error(&format!("no request of `{case}` was completed")));
        }
        if let Some(errored) = totals.and_then(|totals| totals.errored).filter(|errored| *errored > 0) {
            cells.warn(format!("{}: {errored} requests of `{case}` failed", file.name));
        }
        benchmark.metrics.add(&case, cells);
    }
    Ok(())
}

impl Benchmark {
    fn totals(&self) -> Option<Totals> {
        let counted = [&self.scheduler_metrics, &self.run_stats].into_iter().flatten();
        self.metrics.request_totals.or_else(|| counted.filter_map(|it| it.requests_made).next())
    }

    /// `Qwen/Qwen2.5-7B, concurrent 8`
    fn case(&self, model: Option<&str>) -> String {
        let strategy = [&self.config, &self.args].into_iter().flatten().find_map(|it| it.strategy.as_ref());
        let kind = strategy.and_then(|it| it.type_.as_deref()).unwrap_or("benchmark");
        let streams = strategy.and_then(|it| it.streams).map(|streams| format!(" {streams}"));
        let rate = strategy.and_then(|it| it.rate).map(|rate| format!(" {rate} req/s"));
        let load = format!("{kind}{}", streams.or(rate).unwrap_or_default());
        model.map_or_else(|| load.clone(), |model| format!("{model}, {load}"))
    }
}

impl Metrics {
    fn add(&self, case: &str, cells: &mut Cells) {
        for (name, unit, rate) in [
            ("request_throughput", "req/s", &self.requests_per_second),
            ("output_throughput", "tok/s", &self.output_tokens_per_second),
            ("total_token_throughput", "tok/s", &self.tokens_per_second),
        ] {
            cells.average(case, Measure::higher(name, unit), summary(rate).and_then(|it| it.mean));
        }
        for (name, unit, time) in [
            ("ttft", "ms", &self.time_to_first_token_ms),
            ("tpot", "ms", &self.time_per_output_token_ms),
            ("itl", "ms", &self.inter_token_latency_ms),
            ("e2e_latency", "s", &self.request_latency),
        ] {
            let Some(time) = summary(time) else { continue };
            let percentile = |of: fn(&Percentiles) -> Option<f64>| time.percentiles.as_ref().and_then(of);
            for (statistic, value) in [
                ("mean", time.mean),
                ("median", time.median),
                ("p90", percentile(|it| it.p90)),
                ("p95", percentile(|it| it.p95)),
                ("p99", percentile(|it| it.p99)),
            ] {
                cells.average(case, Measure::lower(&format!("{statistic}_{name}"), unit), value);
            }
        }
    }
}

fn summary(of: &Option<ByStatus>) -> Option<&Summary> {
    of.as_ref()?.successful.as_ref()
}
