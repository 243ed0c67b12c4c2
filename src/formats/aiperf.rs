//! AIPerf's `profile_export_aiperf.json`: summaries of a run's requests, which wait for each other and are no samples.

use serde::Deserialize;
use serde_json::Value;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;
use crate::metric::Better;

pub(super) const FORMAT: Format = Format {
    name: "aiperf",
    tool: "AIPerf",
    repeats: Repeats::Program,
    looks: |look| look.first.field("request_throughput").is_some_and(|rate| rate.has(&["avg"])),
    read,
};

#[derive(Deserialize)]
struct Document {
    /// Its shape depends on the version.
    #[serde(default)]
    input_config: Value,
    #[serde(default)]
    was_cancelled: bool,
    #[serde(default)]
    request_count: Option<Summary>,
    #[serde(default)]
    error_request_count: Option<Summary>,
    #[serde(default)]
    request_throughput: Option<Summary>,
    #[serde(default)]
    output_token_throughput: Option<Summary>,
    #[serde(default)]
    total_token_throughput: Option<Summary>,
    #[serde(default)]
    output_token_throughput_per_user: Option<Summary>,
    #[serde(default)]
    time_to_first_token: Option<Summary>,
    #[serde(default)]
    inter_token_latency: Option<Summary>,
    #[serde(default)]
    request_latency: Option<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    avg: Option<f64>,
    #[serde(default)]
    p50: Option<f64>,
    #[serde(default)]
    p90: Option<f64>,
    #[serde(default)]
    p95: Option<f64>,
    #[serde(default)]
    p99: Option<f64>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for document in file.documents::<Document>()? {
        let case = document.case();
        let count = |of: &Option<Summary>| of.as_ref().and_then(|it| it.avg);
        if count(&document.request_count) == Some(0.0) {
            return Err(file.error(&format!("no request of `{case}` was completed")));
        }
        if document.was_cancelled {
            cells.warn(format!("{}: `{case}` was cancelled: its numbers are of a part of the run", file.name));
        }
        if let Some(errors) = count(&document.error_request_count).filter(|errors| *errors > 0.0) {
            cells.warn(format!("{}: {errors} requests of `{case}` failed", file.name));
        }
        document.add(&case, cells);
    }
    Ok(())
}

impl Document {
    /// The model and its load.
    fn case(&self) -> String {
        let at = |pointers: &[&str]| {
            let found = pointers.iter().find_map(|pointer| self.input_config.pointer(pointer))?;
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            (!found.is_null()).then_some(text)
        };
        let model = at(&["/endpoint/model_names/0", "/models/0/name", "/models/0"]);
        let load = [("concurrency", "/loadgen/concurrency"), ("rate", "/loadgen/request_rate")];
        let load = load.into_iter().filter_map(|(word, pointer)| Some(format!(", {word} {}", at(&[pointer])?)));
        model.unwrap_or_else(|| "profile".to_owned()) + &load.collect::<String>()
    }

    fn add(&self, case: &str, cells: &mut Cells) {
        for (name, usual, rate) in [
            ("request_throughput", "requests/sec", &self.request_throughput),
            ("output_token_throughput", "tokens/sec", &self.output_token_throughput),
            ("total_token_throughput", "tokens/sec", &self.total_token_throughput),
            ("output_token_throughput_per_user", "tokens/sec/user", &self.output_token_throughput_per_user),
        ] {
            let Some(rate) = rate else { continue };
            let unit = rate.unit.as_deref().unwrap_or(usual);
            cells.average(case, Measure { name, unit, better: Better::Higher }, rate.avg);
        }
        for (name, time) in [
            ("ttft", &self.time_to_first_token),
            ("itl", &self.inter_token_latency),
            ("e2e_latency", &self.request_latency),
        ] {
            let Some(time) = time else { continue };
            let unit = time.unit.as_deref().unwrap_or("ms");
            for (statistic, value) in
                [("mean", time.avg), ("median", time.p50), ("p90", time.p90), ("p95", time.p95), ("p99", time.p99)]
            {
                cells.average(case, Measure::lower(&format!("{statistic}_{name}"), unit), value);
            }
        }
    }
}
