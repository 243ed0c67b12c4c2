//! SGLang's benchmarks: `bench_serving`, `bench_offline_throughput`, `bench_one_batch` and `bench_one_batch_server`.
//!
//! Each appends a line a run to its file, so that several of one load are samples.

use super::cells::{Cells, Measure};
use super::flat::Flat;
use super::foreign_file::ForeignFile;
use super::look::Shape;
use super::{Format, Repeats, vllm_serve};
use crate::error::Result;

pub(super) const FORMAT: Format = Format {
    name: "sglang",
    tool: "SGLang's benchmarks",
    repeats: Repeats::Program,
    looks: |look| [SERVING, OFFLINE, ONE_BATCH].iter().any(|fields| Shape::has(&look.first, fields)),
    read,
};

/// Fields that only one of them writes. The server's benchmark began as a copy of vLLM's.
const SERVING: &[&str] = &["request_throughput", "output_throughput", "total_output_tokens_retokenized"];
const OFFLINE: &[&str] = &["successful_requests", "total_latency", "output_throughput"];
const ONE_BATCH: &[&str] = &["batch_size", "input_len", "output_len", "overall_throughput"];

/// Of a batch that is measured by itself, and of all requests that a process is given at once.
const RATES: [&str; 7] = [
    "input_throughput",
    "output_throughput",
    "overall_throughput",
    "total_throughput",
    "prefill_throughput",
    "decode_throughput",
    "median_decode_throughput",
];
/// In seconds.
const TIMES: [&str; 7] =
    ["latency", "total_latency", "prefill_latency", "decode_latency", "median_decode_latency", "last_ttft", "ttft"];

fn read(file: &ForeignFile, cells: &mut Cells) -> Result<()> {
    for document in file.documents::<Flat>()? {
        if document.number("total_output_tokens_retokenized").is_some() {
            vllm_serve::run(file, &document, &served(&document), cells)?;
        } else {
            of_one_process(file, &document, cells)?;
        }
    }
    Ok(())
}

/// The file doesn't name the model, but its load.
fn served(document: &Flat) -> String {
    let load = [
        ("", "dataset_name"),
        ("input ", "random_input_len"),
        ("output ", "random_output_len"),
        ("concurrency ", "max_concurrency"),
        ("rate ", "request_rate"),
    ];
    described("serve", document, &load)
}

fn of_one_process(file: &ForeignFile, document: &Flat, cells: &mut Cells) -> Result<()> {
    let load = [("batch ", "batch_size"), ("input ", "input_len"), ("output ", "output_len")];
    let kind = if document.number("batch_size").is_some() { "one batch" } else { "offline" };
    let name = document.text("run_name").filter(|name| name != "default");
    let case = described(name.as_deref().unwrap_or(kind), document, &load);
    if document.number("successful_requests") == Some(0.0) {
        return Err(file.error(&format!("no request of `{case}` was completed")));
    }
    cells.average(&case, Measure::higher("request_throughput", "req/s"), document.number("request_throughput"));
    for name in RATES {
        cells.average(&case, Measure::higher(name, "tok/s"), document.number(name));
    }
    for name in TIMES {
        cells.average(&case, Measure::lower(name, "s"), document.number(name));
    }
    Ok(())
}

fn described(what: &str, document: &Flat, load: &[(&str, &str)]) -> String {
    let said = load.iter().filter_map(|(word, name)| Some((word, document.text(name)?)));
    said.fold(what.to_owned(), |case, (word, text)| format!("{case}, {word}{text}"))
}
