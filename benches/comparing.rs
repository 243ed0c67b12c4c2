//! What `bench-diff compare` costs as files grow: `cargo bench --bench comparing [-- MOST_CASES]`.
//!
//! Seconds for reading two files, comparing and rendering. A factor of 2 in cases is a factor of about 2 in time; what is
//! quadratic somewhere shows as a factor of 4.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a program for us")]

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

const MOST_CASES: usize = 100_000;
/// Medians of so many.
const TRIES: usize = 3;

/// How a file is made of a number of cells.
struct Shape {
    name: &'static str,
    make: fn(cells: usize, factor: f64) -> String,
    flags: &'static [&'static str],
}

const SHAPES: [Shape; 8] = [
    Shape { name: "samples, a metric a case, csv", make: samples_of_cases, flags: &["--format", "csv"] },
    Shape { name: "samples, a metric a case, json", make: samples_of_cases, flags: &["--format", "json"] },
    Shape { name: "samples, a metric a case, table", make: samples_of_cases, flags: &[] },
    Shape { name: "samples, a metric a case, markdown", make: samples_of_cases, flags: &["--format", "markdown"] },
    Shape { name: "samples, one case of many metrics", make: samples_of_metrics, flags: &["--format", "csv"] },
    Shape { name: "results, one session", make: one_session, flags: &["--format", "csv"] },
    Shape { name: "results, six sessions", make: six_sessions, flags: &["--format", "csv"] },
    Shape { name: "results, a session of its own each", make: many_sessions, flags: &["--format", "csv"] },
];

fn main() {
    // Cargo itself adds `--bench`.
    let most = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let most = most.map_or(MOST_CASES, |text| text.parse().expect("MOST_CASES is a number"));
    println!("| files | cells | seconds | times the row before |\n|---|---:|---:|---:|");
    for shape in &SHAPES {
        let mut before = None;
        for cells in [most / 16, most / 8, most / 4, most / 2, most] {
            let seconds = measure(shape, cells);
            let ratio = before.map_or_else(String::new, |before: f64| format!("{:.1}", seconds / before));
            println!("| {} | {cells} | {seconds:.3} | {ratio} |", shape.name);
            before = Some(seconds);
        }
    }
}

fn measure(shape: &Shape, cells: usize) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("old.json"), (shape.make)(cells, 1.0)).expect("old.json");
    std::fs::write(path("new.json"), (shape.make)(cells, 0.97).replace("\"s-", "\"t-")).expect("new.json");
    let mut times: Vec<f64> = (0..TRIES).map(|_| compare(&path("old.json"), &path("new.json"), shape.flags)).collect();
    times.sort_by(f64::total_cmp);
    times[TRIES / 2]
}

fn compare(old: &Path, new: &Path, flags: &[&str]) -> f64 {
    let files = [old, new].map(|path| path.display().to_string());
    let args = ["bench-diff", "compare", &files[0], &files[1]].into_iter().chain(flags.iter().copied());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let start = Instant::now();
    bench_diff::run(args.map(Into::into).collect::<Vec<std::ffi::OsString>>(), &mut out, &mut err);
    let seconds = start.elapsed().as_secs_f64();
    assert!(err.is_empty() && !out.is_empty(), "{}", String::from_utf8_lossy(&err));
    seconds
}

/// About 10, a little different in each run.
fn value(cell: usize, run: usize, factor: f64) -> f64 {
    10.0 * factor * (1.0 + ((cell * 31 + run * 17) % 23) as f64 / 4000.0)
}

fn samples(cells: usize, factor: f64, name: impl Fn(usize) -> (String, String)) -> String {
    let entry = |cell: usize| {
        let (case, metric) = name(cell);
        let samples: Vec<f64> = (0..3).map(|run| value(cell, run, factor)).collect();
        json!({"case": case, "metric": metric, "unit": "ms", "better": "lower", "samples": samples})
    };
    json!((0..cells).map(entry).collect::<Vec<_>>()).to_string()
}

fn samples_of_cases(cells: usize, factor: f64) -> String {
    samples(cells, factor, |cell| (format!("case-{cell}"), "ttft".to_owned()))
}

fn samples_of_metrics(cells: usize, factor: f64) -> String {
    samples(cells, factor, |cell| ("case".to_owned(), format!("metric-{cell}")))
}

fn one_session(cells: usize, factor: f64) -> String {
    results(cells, factor, 1, 3, |_| 0..cells)
}

fn six_sessions(cells: usize, factor: f64) -> String {
    results(cells, factor, 6, 2, |_| 0..cells)
}

/// Every fourth case begins a session of its own, with four cases in it.
fn many_sessions(cells: usize, factor: f64) -> String {
    results(cells, factor, cells / 4, 2, |session| 4 * session..4 * session + 4)
}

fn results(
    cells: usize,
    factor: f64,
    sessions: usize,
    runs: usize,
    cases_of: impl Fn(usize) -> Range<usize>,
) -> String {
    let run = |session: usize, case: usize, round: usize| {
        let ttft = value(case + session, round, factor);
        json!({"case": format!("case-{case}"), "round": round, "started": "2026-01-01T00:00:00Z", "status": "ok",
            "metrics": {"ttft": ttft}, "device": {"throttle_reasons": ["sw_power_cap"]}})
    };
    let session = |session: usize| {
        let runs = (1..=runs).flat_map(|round| cases_of(session).map(move |case| (case, round)));
        json!({"id": format!("s-{session}"), "started": format!("20{:02}-01-01T00:00:00Z", 20 + session % 6),
            "finished": format!("20{:02}-01-01T01:00:00Z", 20 + session % 6), "environment": {},
            "program": {"name": "p", "version": "1", "candle_version": "0.11.1"},
            "runs": runs.map(|(case, round)| run(session, case, round)).collect::<Vec<_>>()})
    };
    let case = |case: usize| {
        json!({"id": format!("case-{case}"), "model": "m", "weights": "generated", "quantization": "none", "dtype": "bf16",
            "engine": "candle", "implementation": "plain", "device": "cpu", "gpus": 0, "batch_size": 1,
            "context_length": 1, "generated_length": 32})
    };
    json!({"schema": 1, "suite": "large", "settings": {"runs": runs, "warmup": 1, "prompt": "x"},
        "cases": (0..cells).map(case).collect::<Vec<_>>(), "sessions": (0..sessions).map(session).collect::<Vec<_>>()})
    .to_string()
}
