//! Quantized models: against the tools that made them, and their files' errors.
//!
//! tests/fixtures/make_quantized_fixtures.py made the models, and the logits of the matrices that GPTQModel's own code
//! makes of them.

use std::fs;

use super::*;

pub const FIXTURES: [&str; 12] = [
    "auto-round",
    "awq",
    "awq-gptqmodel",
    "awq-symmetric",
    "gptq-dynamic",
    "gptq-int4",
    "gptq-int4-asymmetric",
    "gptq-int4-desc-act",
    "gptq-int4-rows",
    "gptq-int8",
    "gptq-lm-head",
    "gptq-v2",
];

pub fn quantized(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantized").join(name)
}

/// A prompt and what the tool's matrices make of it.
#[derive(Deserialize)]
pub struct Reference {
    prompt: Prompt,
    pub f32: Vec<f32>,
    pub greedy: Vec<u32>,
}

impl Reference {
    pub fn all(name: &str) -> Vec<Self> {
        serde_json::from_str(&fs::read_to_string(quantized(name).join("expected.json")).unwrap()).unwrap()
    }

    pub fn ids(&self) -> Vec<u32> {
        let Prompt { start, step, length } = self.prompt;
        (0..length).map(|index| (start + step * index) % self.f32.len() as u32).collect()
    }
}

/// Does the device's F32 find the tool's tokens, and its logits?
pub fn assert_agrees_with_the_tool(name: &str, device: DeviceKind) {
    for expected in Reference::all(name) {
        let ids = expected.ids();
        let length = ids.len() + expected.greedy.len();
        let mut model = load(&plain(&quantized(name), device, Dtype::F32, length));
        let distance = distance(&prefill(&mut model, &ids), &expected.f32);
        assert!(distance < F32_TOLERANCE, "{name}, {} tokens: {distance}", ids.len());
        for dtype in [Dtype::Bf16, Dtype::F16] {
            let mut model = load(&plain(&quantized(name), device, dtype, length));
            let distance = self::distance(&prefill(&mut model, &ids), &expected.f32);
            assert!(distance < BF16_TOLERANCE, "{name}, {} tokens in {dtype}: {distance}", ids.len());
        }
        let generated = model.generate(&ids, expected.greedy.len()).unwrap().tokens.unwrap();
        assert_eq!(generated, expected.greedy, "{name}, {} tokens", ids.len());
    }
}

pub fn plain(directory: &Path, device: DeviceKind, dtype: Dtype, length: usize) -> ModelSpec {
    let implementation = Implementation::Plain.into();
    ModelSpec {
        device,
        implementation,
        gpus: ModelSpec::generated("", device).gpus,
        quantization: shape_of(directory),
        ..spec(directory, dtype, length)
    }
}

fn shape_of(directory: &Path) -> Quantization {
    bench_diff::engine::ENGINES[0].shape("", Some(directory)).unwrap().unwrap().quantization
}

#[test]
fn plain_agrees_with_the_tools_that_quantized() {
    for name in FIXTURES {
        assert_agrees_with_the_tool(name, DeviceKind::Cpu);
    }
}

/// Where the integers' columns have an order, too; and a prompt in chunks.
#[test]
fn a_prompt_in_chunks_is_the_same_prompt() {
    for name in ["gptq-int4-desc-act", "awq"] {
        let ids = Reference::all(name)[2].ids();
        let whole = plain(&quantized(name), DeviceKind::Cpu, Dtype::F32, ids.len());
        let chunked = ModelSpec { prefill_chunk: Some(7), ..whole.clone() };
        let distance = distance(&prefill(&mut load(&chunked), &ids), &prefill(&mut load(&whole), &ids));
        assert!(distance < 1e-5, "{name}: {distance}");
    }
}

/// Shapes in make_quantized_fixtures.py. On the CPU everything but the integers is held in F32.
#[test]
fn a_step_costs_the_bytes_of_its_integers() {
    let step = |name: &str| {
        let model = load(&plain(&quantized(name), DeviceKind::Cpu, Dtype::F32, 8));
        model.loaded().costs.unwrap().decode_weight_bytes as usize
    };
    let matrices = |q: usize, kv: usize, hidden: usize, inner: usize| 2 * (q + kv) * hidden + 3 * inner * hidden;
    let (large, small) = (matrices(256, 128, 256, 256), matrices(128, 64, 128, 256));
    let rest = |hidden: usize, q: usize, kv: usize| 4 * (2 * (2 * hidden + q + 2 * kv) + hidden);
    let head = |hidden: usize| 4 * 64 * hidden;
    // Two layers; of an integer 4 bits, and of a group a scale of 16 bits and a zero point of 4.
    let int4 = |weights: usize, group: usize| 2 * (weights / 2 + weights / group * 20 / 8);
    assert_eq!(step("gptq-int4"), int4(large, 128) + rest(256, 256, 128) + head(256));
    assert_eq!(step("awq"), step("gptq-int4"));
    assert_eq!(step("gptq-int8"), 2 * (small + small / 128 * 3) + rest(128, 128, 64) + head(128));
    // Where config.json says `lm_head`, GPTQModel takes 8 bits and groups of 32 for it.
    let packed_head = 64 * 128 + 64 * 128 / 32 * 24 / 8;
    assert_eq!(step("gptq-lm-head"), int4(small, 64) + rest(128, 128, 64) + packed_head);
}

/// A quantized model's generated weights are integers, too.
#[test]
fn generated_weights_are_of_the_quantization() {
    for name in ["gptq-int4", "gptq-int8", "awq"] {
        let spec =
            ModelSpec { weights: WeightsSource::Generated, ..plain(&quantized(name), DeviceKind::Cpu, Dtype::F32, 64) };
        let (mut seen, mut total) = (0, 0);
        let mut model = Candle::load(&spec, &mut |done, all| (seen, total) = (done, all)).unwrap();
        assert_eq!(seen, total, "progress ends at its end");
        let logits = prefill(&mut model, &[1, 2, 3]);
        assert!(logits.iter().all(|logit| logit.is_finite()) && logits.iter().any(|logit| logit.abs() > 1e-3));
        assert_eq!(logits, prefill(&mut load(&spec), &[1, 2, 3]), "{name}");
        let files = load(&ModelSpec { weights: WeightsSource::Local, ..spec.clone() });
        assert_eq!(model.loaded().costs, files.loaded().costs, "{name}");
    }
}

/// Whoever asks for no quantization gets the file's, and hears of it.
#[test]
fn a_file_tells_how_it_is_quantized() {
    let spec =
        ModelSpec { quantization: Quantization::None, ..plain(&quantized("awq"), DeviceKind::Cpu, Dtype::F32, 8) };
    assert_eq!(load(&spec).loaded().warnings, ["the weights of fixture are awq, by its config.json"]);
}

#[test]
fn generate_shows_a_quantized_models_tokens() {
    let model = quantized("gptq-int4").display().to_string();
    let args = [&model, "--prompt-ids", "7", "--tokens", "3", "--device", "cpu", "--dtype", "f32", "--format", "json"];
    let (exit, out, err) = generate(&args);
    assert_eq!((exit, err.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["tokens"], serde_json::json!(Reference::all("gptq-int4")[0].greedy[..3]));
}
