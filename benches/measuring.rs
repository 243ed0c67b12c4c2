//! What measuring adds to a bare decode loop: `cargo bench --bench measuring [-- MODEL_DIRECTORY]`.
//!
//! 1. The cost of everything around a generation: the worker's `measure_case` on an engine that does nothing.
//! 2. The same generations of one loaded model, alone and through `measure_case`, taken in turn (A B B A ...), so that
//!    drift falls on both alike: the ratio of the times that end up in the results, and of the whole calls.
//! 3. Saving the results file, which is done after every run: how long it takes as the file grows.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a program for us")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bench_diff::case::{Clock, DeviceKind};
use bench_diff::device::Ordinals;
use bench_diff::engine::{self, Engine, EngineError, Generation, Loaded, ModelSpec};
use bench_diff::files::Output;
use bench_diff::measure::protocol::Job;
use bench_diff::measure::{Watcher, worker};
use bench_diff::metric::{Metric, MetricName};
use bench_diff::results::{Outcome, Results, Run, Settings};

const PAIRS: usize = 12;
const CONTEXT: u32 = 16;
const GENERATED: u32 = 32;
/// As in Qwen's Speed Benchmark.
const LONG: u32 = 2048;
const TRIES: usize = 50;

fn main() {
    // Cargo itself adds `--bench`.
    let directory = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let directory = directory.unwrap_or_else(|| "tests/models/qwen2.5-tiny".to_owned());

    let around = around(&job(PathBuf::from(&directory), LONG));
    println!(
        "around a generation of {LONG} tokens: {:.3} ms = {:.3} us a token (median of {TRIES})",
        around * 1e3,
        around * 1e6 / f64::from(LONG)
    );

    let job = job(PathBuf::from(&directory), GENERATED);
    let mut engine = engine::load(&job.model, &mut |_, _| {}).expect("the model can be loaded");
    let (mut bare_times, mut timed, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    bare(engine.as_mut());
    for pair in 0..PAIRS {
        let (bare, measured) = if pair % 2 == 0 {
            let bare = bare(engine.as_mut());
            (bare, measured(engine.as_mut(), &job))
        } else {
            let measured = measured(engine.as_mut(), &job);
            (bare(engine.as_mut()), measured)
        };
        timed.push(measured.timed / bare);
        whole.push(measured.whole / bare);
        bare_times.push(bare);
    }
    let token = median(&bare_times) / f64::from(GENERATED);
    println!(
        "{directory}: {CONTEXT} prompt tokens, {GENERATED} generated, {PAIRS} pairs, {:.3} ms a token",
        token * 1e3
    );
    println!("around / bare decode: {:.4}%", around / f64::from(LONG) / token * 100.0);
    println!("measured / bare, as in the results: {}", spread(&timed));
    println!("measured / bare, whole calls:       {}", spread(&whole));
    for runs in [30, 300, 3000, 30_000] {
        let (seconds, bytes) = saving(runs);
        println!("saving {runs} runs ({:.1} MiB): {:.1} ms", bytes as f64 / f64::from(1 << 20), seconds * 1e3);
    }
}

/// The median of seconds that saving a file of so many runs takes, of a generation as long as Qwen's; its size.
fn saving(runs: usize) -> (f64, u64) {
    let job = job(PathBuf::from("nowhere"), LONG);
    let watcher = Watcher::new(DeviceKind::Cpu, &Ordinals::default());
    let mut engine = Instantly(Loaded::default());
    let (measurement, _) =
        worker::measure_case(&mut engine, &job, &job.cases[0], &watcher, &mut |_, _| Ok(())).expect("measures");
    let run = |round: usize| Run {
        case: job.cases[0].id.clone(),
        round: round as u32,
        started: "2026-11-24T04:12:00Z".into(),
        outcome: Outcome::Ok(measurement.clone()),
    };
    let mut results: Results = serde_json::from_str(EMPTY).expect("a results file");
    results.sessions[0].runs = (1..=runs).map(run).collect();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("results.json");
    let output = Output::claim(&path).expect("a file of its own");
    let times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            results.save(&output).expect("saves");
            start.elapsed().as_secs_f64()
        })
        .collect();
    (median(&times), path.metadata().expect("it is there").len())
}

const EMPTY: &str = r#"{"schema": 2, "suite": "bench", "cases": [], "settings": {"runs": 1, "warmup": 0, "prompt":
    "transformers"}, "sessions": [{"id": "bench", "started": "", "environment": {}, "runs": []}]}"#;

/// Seconds of a `measure_case` whose generation takes no time.
fn around(job: &Job) -> f64 {
    let mut engine = Instantly(Loaded::default());
    let times: Vec<f64> = (0..TRIES).map(|_| measured(&mut engine, job).whole).collect();
    median(&times)
}

/// An engine that has every token ready.
struct Instantly(Loaded);

impl Engine for Instantly {
    fn loaded(&self) -> &Loaded {
        &self.0
    }

    fn generate(&mut self, _prompt: &[u32], length: usize) -> Result<Generation, EngineError> {
        let time = |i: usize| Duration::from_micros(1000 * i as u64 + i as u64 % 37);
        let times = (1..=length).map(time).collect();
        Ok(Generation::by_token(vec![1; length], times, Clock::Host, time(length)))
    }
}

/// In seconds.
struct Measured {
    /// As the engine times it: what ends up in the results.
    timed: f64,
    /// With the prompt, the watching thread, statistics and the token hash.
    whole: f64,
}

fn bare(engine: &mut dyn Engine) -> f64 {
    let prompt = vec![35946; CONTEXT as usize];
    let start = Instant::now();
    engine.generate(&prompt, GENERATED as usize).expect("generates");
    start.elapsed().as_secs_f64()
}

fn measured(engine: &mut dyn Engine, job: &Job) -> Measured {
    let watcher = Watcher::new(DeviceKind::Cpu, &Ordinals::default());
    let start = Instant::now();
    let (measurement, _) =
        worker::measure_case(engine, job, &job.cases[0], &watcher, &mut |_, _| Ok(())).expect("measures");
    let whole = start.elapsed().as_secs_f64();
    let latency = measurement.metrics[&MetricName::from(Metric::E2eLatency)];
    Measured { timed: latency / 1e3, whole }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

fn spread(values: &[f64]) -> String {
    let (low, high) = values.iter().fold((f64::MAX, 0.0_f64), |(low, high), &value| (low.min(value), high.max(value)));
    format!("{:.4} (median; {low:.4} to {high:.4})", median(values))
}

fn job(directory: PathBuf, generated_length: u32) -> Job {
    let model = ModelSpec {
        directory: Some(directory),
        max_length: (CONTEXT + generated_length) as usize,
        ..ModelSpec::generated("bench", DeviceKind::Cpu)
    };
    let cases = vec![model.case(CONTEXT, generated_length)];
    let settings = Settings { runs: 1, warmup: 0, ..Settings::default() };
    Job { model, cases, settings, prompt_ids: None, ceilings: None, trace: false, traced: None }
}
