//! What measuring adds to a bare decode loop: `cargo bench --bench measuring [-- MODEL_DIRECTORY]`.
//!
//! The same generations of the same loaded model, alone and through the worker's `measure_case`, taken in turn
//! (A B B A ...), so that drift falls on both alike. Prints the median of the pairs' ratios for the generation as
//! the engine times it, and for the whole call with everything that a worker does around it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bench_diff::case::{Case, DeviceKind, Dtype, EngineKind, Implementation, Quantization, WeightsSource};
use bench_diff::engine::{self, Engine, ModelSpec};
use bench_diff::measure::protocol::Job;
use bench_diff::measure::{Watcher, worker};
use bench_diff::results::Settings;

const PAIRS: usize = 20;
const CONTEXT: u32 = 16;
const GENERATED: u32 = 256;

fn main() {
    // Cargo itself adds `--bench`.
    let directory = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let directory = directory.unwrap_or_else(|| "tests/models/qwen2.5-tiny".to_owned());
    let job = job(PathBuf::from(&directory));
    let mut engine = engine::load(&job.model, &mut |_, _| {}).expect("the model can be loaded");
    let (mut timed, mut whole) = (Vec::new(), Vec::new());
    let mut bare_times = Vec::new();
    bare(engine.as_mut());
    for pair in 0..PAIRS {
        let (bare, measured) = if pair % 2 == 0 {
            let bare = bare(engine.as_mut());
            (bare, measured(engine.as_mut(), &job))
        } else {
            let measured = measured(engine.as_mut(), &job);
            (bare(engine.as_mut()), measured)
        };
        timed.push(measured.timed.as_secs_f64() / bare.as_secs_f64());
        whole.push(measured.whole.as_secs_f64() / bare.as_secs_f64());
        bare_times.push(bare.as_secs_f64() * 1e3);
    }
    let (low, high) = (min(&timed), max(&timed));
    println!("{directory}: {CONTEXT} prompt tokens, {GENERATED} generated, {PAIRS} pairs");
    println!("bare generation: {:.2} ms (median)", median(bare_times));
    println!("measured / bare, as timed: {:.4} ({low:.4} to {high:.4})", median(timed));
    println!("measured / bare, whole call: {:.4}", median(whole));
}

struct Measured {
    /// As the engine times it: what ends up in the results.
    timed: Duration,
    /// With the prompt, the watching thread, statistics and the token hash.
    whole: Duration,
}

fn bare(engine: &mut dyn Engine) -> Duration {
    let prompt = vec![35946; CONTEXT as usize];
    let start = Instant::now();
    engine.generate(&prompt, GENERATED as usize).expect("generates");
    start.elapsed()
}

fn measured(engine: &mut dyn Engine, job: &Job) -> Measured {
    let watcher = Watcher::new(DeviceKind::Cpu, 0);
    let start = Instant::now();
    let (measurement, _) =
        worker::measure_case(engine, job, &job.cases[0], &watcher, &mut |_, _| Ok(())).expect("measures");
    let whole = start.elapsed();
    let milliseconds = measurement.metrics.iter().find(|(name, _)| name.as_str() == "e2e_latency").expect("timed").1;
    Measured { timed: Duration::from_secs_f64(milliseconds / 1e3), whole }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn job(directory: PathBuf) -> Job {
    let case = Case {
        id: "bench".into(),
        model: "bench".into(),
        revision: None,
        weights: WeightsSource::Generated,
        quantization: Quantization::None,
        dtype: Dtype::F32,
        engine: EngineKind::Candle,
        implementation: Implementation::Plain,
        device: DeviceKind::Cpu,
        gpus: 0,
        batch_size: 1,
        context_length: CONTEXT,
        generated_length: GENERATED,
    };
    let model = ModelSpec {
        model: case.model.clone(),
        directory: Some(directory),
        revision: None,
        weights: case.weights,
        quantization: case.quantization,
        dtype: case.dtype,
        engine: case.engine,
        implementation: case.implementation,
        device: case.device,
        gpu: 0,
        max_length: (CONTEXT + GENERATED) as usize,
    };
    let settings = Settings { runs: 1, warmup: 0, warmup_length: None, prompt: "transformers".into() };
    Job { model, cases: vec![case], settings, ceilings: None, trace: false }
}
