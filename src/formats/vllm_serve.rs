//! `vllm bench serve`.
//!
//! A document is a run: several of one name, as `--append-result` writes them, are samples. The requests of a run aren't,
//! since they wait for each other; of `--save-detailed` only the summaries are read.

use super::cells::{Cells, Measure};
use super::flat::Flat;
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

/// `input_throughput` and `total_throughput` are SGLang's.
const RATES: [(&str, &str); 6] = [
    ("request_throughput", "req/s"),
    ("input_throughput", "tok/s"),
    ("output_throughput", "tok/s"),
    ("total_throughput", "tok/s"),
    ("total_token_throughput", "tok/s"),
    ("request_goodput", "req/s"),
];
/// Summaries of a run's requests, in milliseconds.
const STATISTICS: [&str; 5] = ["mean", "median", "p90", "p95", "p99"];
/// What they are of; `e2e_latency` is SGLang's.
const TIMES: [&str; 5] = ["ttft", "tpot", "itl", "e2el", "e2e_latency"];

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    file.documents::<Flat>()?.iter().try_for_each(|document| run(file, document, &case(document), cells))
}

/// A run of the benchmark, or of one that writes the same fields.
pub(super) fn run(file: &ForeignFile, document: &Flat, case: &str, cells: &mut Cells) -> Result<()> {
    if document.number("completed") == Some(0.0) {
        return Err(file.error(&format!("no request of `{case}` was completed")));
    }
    if let Some(failed) = document.number("failed").filter(|failed| *failed > 0.0) {
        cells.warn(format!("{}: {failed} requests of `{case}` failed", file.name));
    }
    add(document, case, cells);
    Ok(())
}

/// The model and its load.
fn case(document: &Flat) -> String {
    let load = [("concurrency", "max_concurrency"), ("rate", "request_rate")];
    let load = load.into_iter().filter_map(|(word, name)| Some(format!(", {word} {}", document.text(name)?)));
    document.text("model_id").unwrap_or_else(|| "serve".to_owned()) + &load.collect::<String>()
}

fn add(document: &Flat, case: &str, cells: &mut Cells) {
    for (name, unit) in RATES {
        cells.average(case, Measure::higher(name, unit), document.number(name));
    }
    for time in TIMES {
        for statistic in STATISTICS {
            let name = format!("{statistic}_{time}");
            cells.average(case, Measure::lower(&name, "ms"), document.number(&format!("{name}_ms")));
        }
    }
}
