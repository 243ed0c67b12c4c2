//! The engine, through `bench-diff generate` and the library: against transformers, against itself, and its errors.
//!
//! tests/fixtures/make_qwen2_fixture.py made the models and transformers' logits.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

#[path = "engine/checkpoints.rs"]
mod checkpoints;
#[path = "engine/gguf.rs"]
mod gguf;
#[path = "engine/gguf_headers.rs"]
mod gguf_headers;
#[path = "engine/gguf_names.rs"]
mod gguf_names;
#[path = "engine/gpu.rs"]
mod gpu;
#[path = "engine/graph_on_files.rs"]
mod graph_on_files;
#[path = "engine/hostile_files.rs"]
mod hostile_files;
#[path = "engine/hub.rs"]
mod hub;
#[path = "engine/quantized.rs"]
mod quantized;
#[path = "engine/quantized_files.rs"]
mod quantized_files;
#[path = "engine/same_names.rs"]
mod same_names;
#[path = "engine/several_devices.rs"]
mod several_devices;
#[path = "engine/written_checkpoints.rs"]
mod written_checkpoints;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bench_diff::case::{DeviceKind, Dtype, Quantization, WeightsSource};
use bench_diff::engine::candle::{Candle, Implementation};
use bench_diff::engine::{Engine, EngineError, ModelSpec};
use bench_diff::error::Advice;
use candle_core::{Device, Tensor};
use serde::Deserialize;

/// The largest difference from transformers, relative to the largest logit.
const F32_TOLERANCE: f32 = 1e-4;
const BF16_TOLERANCE: f32 = 2e-2;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2").join(name)
}

/// A prompt and what transformers made of it.
#[derive(Deserialize)]
struct Expected {
    prompt: Prompt,
    f32: Vec<f32>,
    bf16: Vec<f32>,
    greedy: Vec<u32>,
}

#[derive(Deserialize)]
struct Prompt {
    start: u32,
    step: u32,
    length: u32,
}

impl Expected {
    fn all(name: &str) -> Vec<Self> {
        serde_json::from_str(&std::fs::read_to_string(fixture(name).join("expected.json")).unwrap()).unwrap()
    }

    /// Every logit is there, so their number is the vocabulary's.
    fn ids(&self) -> Vec<u32> {
        let Prompt { start, step, length } = self.prompt;
        (0..length).map(|index| (start + step * index) % self.f32.len() as u32).collect()
    }
}

fn spec(directory: &Path, dtype: Dtype, max_length: usize) -> ModelSpec {
    ModelSpec {
        directory: Some(directory.to_owned()),
        weights: WeightsSource::Local,
        dtype,
        max_length,
        ..ModelSpec::generated("fixture", DeviceKind::Cpu)
    }
}

/// Euclidean, relative to what is expected.
fn relative_error(logits: &[f32], expected: &[f32]) -> f32 {
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
    let difference = squares(&mut logits.iter().zip(expected).map(|(logit, expected)| logit - expected));
    (difference / squares(&mut expected.iter().copied())).sqrt()
}

fn load(spec: &ModelSpec) -> Candle {
    Candle::load(spec, &mut |_, _| {}).unwrap()
}

fn error(spec: &ModelSpec, prefill_chunk: Option<usize>) -> String {
    match Candle::load(&ModelSpec { prefill_chunk, ..spec.clone() }, &mut |_, _| {}) {
        Ok(_) => panic!("this must not load"),
        Err(error) => error.in_one_line(),
    }
}

fn prefill(model: &mut Candle, ids: &[u32]) -> Vec<f32> {
    model.forward.reset().unwrap();
    model.forward.prefill(ids).unwrap().to_vec1().unwrap()
}

/// The largest difference, relative to the largest of `expected`.
fn distance(logits: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(logits.len(), expected.len());
    let largest = expected.iter().fold(0_f32, |largest, value| largest.max(value.abs()));
    let difference = logits.iter().zip(expected).map(|(a, b)| (a - b).abs());
    // A NaN must not be lost in `max`.
    difference.fold(0_f32, |most, value| if value > most || value.is_nan() { value } else { most }) / largest
}

fn assert_agrees_with_transformers(name: &str, device: DeviceKind) {
    for expected in Expected::all(name) {
        let ids = expected.ids();
        let place = format!("{name}, {} tokens", ids.len());
        let length = ids.len() + expected.greedy.len();
        // Transformers' bf16 is up to 0.014 from its f32. A GPU rounds in other places: the two must not add up.
        let bf16 = if device == DeviceKind::Cuda { &expected.f32 } else { &expected.bf16 };
        for (dtype, logits, tolerance) in
            [(Dtype::F32, &expected.f32, F32_TOLERANCE), (Dtype::Bf16, bf16, BF16_TOLERANCE)]
        {
            let mut model = load(&ModelSpec { device, ..spec(&fixture(name), dtype, length) });
            let distance = distance(&prefill(&mut model, &ids), logits);
            assert!(distance < tolerance, "{place}, {dtype}: {distance}");
            if dtype == Dtype::F32 {
                assert_eq!(
                    model.generate(&ids, expected.greedy.len()).unwrap().tokens.unwrap(),
                    expected.greedy,
                    "{place}"
                );
            }
        }
    }
}

#[test]
fn untied_with_four_heads_a_key_agrees_with_transformers() {
    assert_agrees_with_transformers("untied", DeviceKind::Cpu);
}

#[test]
fn tied_with_an_explicit_head_dim_agrees_with_transformers() {
    assert_agrees_with_transformers("tied", DeviceKind::Cpu);
}

#[test]
fn yarn_agrees_with_transformers() {
    assert_agrees_with_transformers("yarn", DeviceKind::Cpu);
}

#[test]
fn heads_of_64_in_groups_agree_with_transformers() {
    assert_agrees_with_transformers("graph", DeviceKind::Cpu);
}

#[test]
fn bf16_is_right_beyond_32768_tokens() {
    let expected = &Expected::all("long")[0];
    let ids = expected.ids();
    assert_eq!(ids.len(), 33_000);
    let mut model = load(&spec(&fixture("long"), Dtype::Bf16, ids.len()));
    let distance = distance(&prefill(&mut model, &ids), &expected.bf16);
    assert!(distance < BF16_TOLERANCE, "{distance}");
}

#[test]
fn a_prompt_in_chunks_is_the_prompt_at_once() {
    let ids: Vec<u32> = (0..300).map(|index| index * 7 % 251).collect();
    let spec = spec(&fixture("untied"), Dtype::F32, 400);
    let whole = prefill(&mut load(&spec), &ids);
    for chunk in [1, 7, 64, 299, 300, 1000] {
        let mut chunked = load(&ModelSpec { prefill_chunk: Some(chunk), ..spec.clone() });
        let distance = distance(&prefill(&mut chunked, &ids), &whole);
        assert!(distance < 1e-5, "chunks of {chunk}: {distance}");
    }
}

#[test]
fn a_step_with_the_cache_is_a_pass_over_everything() {
    let ids: Vec<u32> = (0..60).map(|index| index * 5 % 251).collect();
    let mut model = load(&spec(&fixture("untied"), Dtype::F32, 60));
    let whole = prefill(&mut model, &ids);
    model.forward.reset().unwrap();
    let mut last = model.forward.prefill(&ids[..40]).unwrap();
    for &token in &ids[40..] {
        last = model.forward.step(token).unwrap();
    }
    let distance = distance(&last.to_vec1().unwrap(), &whole);
    assert!(distance < 1e-5, "{distance}");
}

#[test]
fn a_second_generation_does_not_see_the_first() {
    let mut model = load(&spec(&fixture("tied"), Dtype::F32, 64));
    let first = model.generate(&[1, 2, 3], 8).unwrap();
    model.generate(&[200; 40], 8).unwrap();
    let again = model.generate(&[1, 2, 3], 8).unwrap();
    assert_eq!(first.tokens, again.tokens);
    assert_eq!((again.tokens.as_ref().map(Vec::len), again.chunks.len()), (Some(8), 8));
    assert!(again.check(8).is_ok());
}

#[test]
fn stock_agrees_with_plain_on_a_short_prompt() {
    let ids = Expected::all("untied")[1].ids();
    let plain = spec(&fixture("untied"), Dtype::F32, ids.len() + 2);
    let stock = ModelSpec { implementation: Implementation::Stock.into(), ..plain.clone() };
    let (mut plain, mut stock) = (load(&plain), load(&stock));
    let distance = distance(&prefill(&mut stock, &ids), &prefill(&mut plain, &ids));
    assert!(distance < F32_TOLERANCE, "{distance}");
    assert_eq!(stock.generate(&ids, 2).unwrap().tokens, plain.generate(&ids, 2).unwrap().tokens);
}

#[test]
fn sharded_weights_are_the_same_weights() {
    let directory = tempfile::tempdir().unwrap();
    let tensors = candle_core::safetensors::load(fixture("tied").join("model.safetensors"), &Device::Cpu).unwrap();
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let mut weight_map = HashMap::new();
    for (number, names) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let file = format!("model-{:05}-of-00002.safetensors", number + 1);
        let part: HashMap<&str, Tensor> = names.iter().map(|name| (name.as_str(), tensors[*name].clone())).collect();
        candle_core::safetensors::save(&part, directory.path().join(&file)).unwrap();
        weight_map.extend(names.iter().map(|name| ((*name).clone(), file.clone())));
    }
    let index = serde_json::json!({ "weight_map": weight_map });
    std::fs::write(directory.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::copy(fixture("tied").join("config.json"), directory.path().join("config.json")).unwrap();

    let ids = [3, 1, 4, 1, 5];
    let sharded = prefill(&mut load(&spec(directory.path(), Dtype::F32, 8)), &ids);
    assert_eq!(sharded, prefill(&mut load(&spec(&fixture("tied"), Dtype::F32, 8)), &ids));
}

#[test]
fn generated_weights_are_the_same_each_time_and_finite() {
    let spec = ModelSpec { weights: WeightsSource::Generated, ..spec(&fixture("untied"), Dtype::F32, 64) };
    let (mut seen, mut total) = (0, 0);
    let mut model = Candle::load(&spec, &mut |done, all| (seen, total) = (done, all)).unwrap();
    assert_eq!(seen, total, "progress ends at its end");
    let first = prefill(&mut model, &[1, 2, 3]);
    assert!(first.iter().all(|logit| logit.is_finite()));
    assert!(first.iter().any(|logit| logit.abs() > 1e-3), "not all the same");
    assert_eq!(first, prefill(&mut load(&spec), &[1, 2, 3]));
    // Stock asks for the tensors in another order.
    let mut stock = load(&ModelSpec { implementation: Implementation::Stock.into(), ..spec });
    assert!(distance(&prefill(&mut stock, &[1, 2, 3]), &first) < F32_TOLERANCE);
}

#[test]
fn loading_says_what_a_step_costs() {
    let loaded = load(&spec(&fixture("untied"), Dtype::F32, 8)).loaded().clone();
    // Shapes in make_qwen2_fixture.py. A layer: q, k, v with biases, o, three MLP matrices, two norms.
    let layer = 65 * (64 + 2 * 16) + 64 * 64 + 3 * 64 * 160 + 2 * 64;
    let costs = loaded.costs.unwrap();
    assert_eq!(costs.decode_weight_bytes, 4 * (2 * layer + 64 + 251 * 64));
    assert_eq!(costs.kv_bytes_per_token, 4 * 2 * 2 * 16);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn what_cannot_run_says_why() {
    let usual = spec(&fixture("untied"), Dtype::F32, 8);
    let cases = [
        ("graph on a CPU", ModelSpec { implementation: Implementation::Graph.into(), ..usual.clone() }, None),
        ("quantized by its case only", ModelSpec { quantization: Quantization::Awq, ..usual.clone() }, None),
        (
            "stock with YaRN",
            ModelSpec {
                implementation: Implementation::Stock.into(),
                directory: Some(fixture("yarn")),
                ..usual.clone()
            },
            None,
        ),
        (
            "stock beyond its positions",
            ModelSpec { implementation: Implementation::Stock.into(), max_length: 513, ..usual.clone() },
            None,
        ),
        (
            "stock with another head_dim",
            ModelSpec {
                implementation: Implementation::Stock.into(),
                directory: Some(fixture("tied")),
                ..usual.clone()
            },
            None,
        ),
        (
            "stock in bf16 on a CPU",
            ModelSpec { implementation: Implementation::Stock.into(), dtype: Dtype::Bf16, ..usual.clone() },
            None,
        ),
        ("stock in chunks", ModelSpec { implementation: Implementation::Stock.into(), ..usual.clone() }, Some(4)),
        (
            "unknown shape",
            ModelSpec {
                weights: WeightsSource::Generated,
                directory: None,
                model: "Qwen/Qwen9".into(),
                ..usual.clone()
            },
            None,
        ),
        ("no directory", ModelSpec { directory: None, ..usual.clone() }, None),
    ];
    let said: String =
        cases.iter().map(|(what, spec, chunk)| format!("{what}:\n  {}\n", error(spec, *chunk))).collect();
    insta::assert_snapshot!(said);
}

#[test]
fn tokens_that_do_not_fit_are_refused() {
    let mut model = load(&spec(&fixture("untied"), Dtype::F32, 4));
    let refused = |result: Result<_, EngineError>| match result {
        Ok(_) => panic!("this must be refused"),
        Err(error) => error.in_one_line(),
    };
    let said = [
        refused(model.generate(&[1, 251], 1)),
        refused(model.generate(&[], 1)),
        refused(model.generate(&[1, 2, 3], 3)),
    ];
    insta::assert_snapshot!(said.join("\n"));
    assert!(model.generate(&[1, 2, 3], 2).is_ok(), "an error leaves the model usable");
}

/// Runs `bench-diff generate` in this process: exit code, standard output and standard error.
fn generate(args: &[&str]) -> (i32, String, String) {
    run(&[&["generate"], args].concat())
}

fn run(args: &[&str]) -> (i32, String, String) {
    let args = ["bench-diff"].iter().chain(args).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = bench_diff::run(args, &mut out, &mut err);
    // ExitCode has no number, but prints one.
    let digits: String = format!("{exit:?}").chars().filter(char::is_ascii_digit).collect();
    (digits.parse().unwrap(), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn generate_shows_tokens_and_logits() {
    let model = fixture("untied").display().to_string();
    let args = [model.as_str(), "--prompt-ids", "7", "--tokens", "3", "--top-logits", "2", "--device", "cpu"];
    let (exit, out, err) = generate(&[&args[..], &["--dtype", "f32"]].concat());
    assert_eq!((exit, err.as_str()), (0, ""));
    insta::assert_snapshot!(out.replace(&model, "MODEL"));

    let (exit, out, _) = generate(&[&args[..], &["--dtype", "f32", "--format", "json"]].concat());
    assert_eq!(exit, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["prompt_ids"], serde_json::json!([7]));
    assert_eq!(json["tokens"], serde_json::json!(Expected::all("untied")[0].greedy[..3]));
    assert_eq!(json["steps"][0]["token"], json["tokens"][0]);
    assert_eq!(json["steps"][0]["top_logits"][0]["id"], json["tokens"][0]);
    let logit = json["steps"][0]["top_logits"][0]["logit"].as_f64().unwrap();
    let expected = Expected::all("untied")[0].f32.iter().copied().fold(f32::MIN, f32::max);
    assert!((logit as f32 - expected).abs() < 1e-4 * expected.abs());
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["device", "dtype", "implementation", "model", "prompt_ids", "steps", "tokens", "weights"]);
}

#[test]
fn generate_reads_a_prompt_from_a_file_and_warns() {
    let model = fixture("untied").display().to_string();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prompt.json");
    std::fs::write(&path, "[1, 2,\n 3]\n").unwrap();
    let prompt = format!("@{}", path.display());
    // Without --dtype it is that of the weights.
    let (exit, out, err) =
        generate(&[&model, "--prompt-ids", &prompt, "--tokens", "1", "--device", "cpu", "--format", "json"]);
    assert_eq!(exit, 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["prompt_ids"], serde_json::json!([1, 2, 3]));
    assert_eq!(json["dtype"], "bf16");
    insta::assert_snapshot!(err);
}

#[test]
fn generate_refuses_what_makes_no_sense() {
    let model = fixture("untied").display().to_string();
    let refused = |args: &[&str]| {
        let (exit, out, err) = generate(&[args, &["--device", "cpu"]].concat());
        assert_eq!(out, "");
        format!("{exit}: {}", err.replace(&model, "MODEL"))
    };
    let said = [
        refused(&[&model, "--prompt-ids", "1,x", "--tokens", "1"]),
        refused(&[&model, "--prompt-ids", "", "--tokens", "1"]),
        refused(&[&model, "--prompt-ids", "@/no/such/file", "--tokens", "1"]),
        refused(&[&model, "--prompt-ids", "1", "--tokens", "0"]),
        refused(&[&model, "--prompt-ids", "300", "--tokens", "1", "--dtype", "f32"]),
        refused(&[&model, "--prompt-ids", "1", "--tokens", "1", "--prefill-chunk", "0"]),
        refused(&["no-such-model", "--prompt-ids", "1", "--tokens", "1"]),
        refused(&["no-such-model", "--prompt-ids", "1", "--tokens", "1", "--weights", "local"]),
        refused(&["../../etc/passwd", "--prompt-ids", "1", "--tokens", "1"]),
    ];
    insta::assert_snapshot!(said.join(""));
}

#[test]
fn profile_needs_a_gpu() {
    if cfg!(feature = "cuda") {
        return;
    }
    let (exit, out, err) = run(&["profile", "Qwen/Qwen2.5-0.5B"]);
    assert_eq!((exit, out.as_str()), (2, ""));
    insta::assert_snapshot!(err);
}
