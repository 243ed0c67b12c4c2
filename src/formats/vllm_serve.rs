//! `vllm bench serve`, and SGLang's `bench_serving`, which began as a copy of it.
//!
//! A document is a run: several of one name, as `--append-result` writes them, are samples. The requests of a run aren't,
//! since they wait for each other; of `--save-detailed` only the summaries are read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::cells::{Cells, Measure};
use super::foreign_file::ForeignFile;
use super::{Format, Repeats};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "vllm-serve",
    tool: "vllm bench serve",
    repeats: Repeats::Program,
    looks: |look| look.first.has(&["request_throughput", "output_throughput"]),
    read,
};

const RATES: [(&str, &str); 4] = [
    ("request_throughput", "req/s"),
    ("output_throughput", "tok/s"),
    ("total_token_throughput", "tok/s"),
    ("request_goodput", "req/s"),
];
/// Summaries of a run's requests, in milliseconds.
const STATISTICS: [&str; 5] = ["mean", "median", "p90", "p95", "p99"];
/// What they are of; `e2e_latency` is SGLang's.
const TIMES: [&str; 5] = ["ttft", "tpot", "itl", "e2el", "e2e_latency"];

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    model_id: Option<String>,
    #[serde(default)]
    max_concurrency: Option<Value>,
    #[serde(default)]
    request_rate: Option<Value>,
    #[serde(default)]
    completed: Option<u64>,
    #[serde(default)]
    failed: Option<u64>,
    #[serde(flatten)]
    numbers: BTreeMap<String, Value>,
}

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for document in file.documents::<Document>()? {
        let case = document.case();
        match (document.completed, document.failed) {
            (Some(0), _) => return Err(file.error(&format!("no request of `{case}` was completed"))),
            (_, Some(failed @ 1..)) => cells.warn(format!("{}: {failed} requests of `{case}` failed", file.name)),
            _ => {}
        }
        document.add(&case, cells);
    }
    Ok(())
}

impl Document {
    /// The model and its load.
    fn case(&self) -> String {
        let mut case = self.model_id.clone().unwrap_or_else(|| "serve".to_owned());
        for (name, value) in [("concurrency", &self.max_concurrency), ("rate", &self.request_rate)] {
            match value {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => case += &format!(", {name} {text}"),
                Some(value) => case += &format!(", {name} {value}"),
            }
        }
        case
    }

    fn add(&self, case: &str, cells: &mut Cells) {
        let number = |name: &str| self.numbers.get(name).and_then(Value::as_f64);
        for (name, unit) in RATES {
            cells.average(case, Measure::higher(name, unit), number(name));
        }
        for time in TIMES {
            for statistic in STATISTICS {
                let name = format!("{statistic}_{time}");
                cells.average(case, Measure::lower(&name, "ms"), number(&format!("{name}_ms")));
            }
        }
    }
}
