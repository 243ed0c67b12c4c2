//! What needs a GPU: the implementations against each other, and what a device tells of time and memory.

use std::time::Duration;

use bench_diff::case::Clock;
use bench_diff::device::Ordinals;
use bench_diff::engine::candle::forward::argmax;
use bench_diff::engine::profile::{DECODED, Profile};

use super::*;

/// One of the collection's shapes with random weights, run by `plain` on a GPU.
pub fn generated(model: &str, max_length: usize) -> ModelSpec {
    let usual = ModelSpec::generated(model, DeviceKind::Cuda);
    ModelSpec { implementation: Implementation::Plain.into(), max_length, ..usual }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn plain_on_a_gpu_agrees_with_transformers() {
    for name in ["untied", "tied", "yarn", "long", "graph"] {
        assert_agrees_with_transformers(name, DeviceKind::Cuda);
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn plain_on_a_gpu_agrees_with_the_tools_that_quantized() {
    for name in quantized::FIXTURES {
        quantized::assert_agrees_with_the_tool(name, DeviceKind::Cuda);
    }
}

/// Published shapes, whose matrices are unpacked in several parts.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn plain_on_a_gpu_runs_generated_integers() {
    for name in ["GPTQ-Int4", "GPTQ-Int8", "AWQ"] {
        let spec = generated(&format!("Qwen/Qwen2.5-1.5B-Instruct-{name}"), 32);
        let exact = prefill(&mut load(&ModelSpec { dtype: Dtype::F32, ..spec.clone() }), &[1, 2, 3, 4, 5]);
        for dtype in [Dtype::Bf16, Dtype::F16] {
            let error =
                relative_error(&prefill(&mut load(&ModelSpec { dtype, ..spec.clone() }), &[1, 2, 3, 4, 5]), &exact);
            assert!(error < 5e-2, "{name}, {dtype}: {error}");
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn stock_on_a_gpu_agrees_with_plain() {
    let ids = Expected::all("untied")[1].ids();
    let plain = ModelSpec { device: DeviceKind::Cuda, ..spec(&fixture("untied"), Dtype::F32, ids.len()) };
    let stock = ModelSpec { implementation: Implementation::Stock.into(), ..plain.clone() };
    assert!(distance(&prefill(&mut load(&stock), &ids), &prefill(&mut load(&plain), &ids)) < F32_TOLERANCE);
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn a_generation_of_no_numbers_is_no_measurement_on_a_gpu_either() {
    let directory = checkpoints::not_a_number("graph");
    for implementation in [Implementation::Graph, Implementation::Plain] {
        let spec = ModelSpec {
            device: DeviceKind::Cuda,
            implementation: implementation.into(),
            ..spec(directory.path(), Dtype::Bf16, 8)
        };
        let error = load(&spec).generate(&[1, 2], 3).unwrap_err().to_string();
        assert!(error.contains("the logits of step 3 are not numbers"), "{error}");
    }
}

/// Both compute in bf16, and each rounds in other places: what they are compared with is `plain` in F32.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_is_as_close_to_f32_as_plain_is() {
    // A step; short; several parts of attention; across chunks, the last of a single row; teams of blocks, of large and small heads.
    let cases = [
        ("Qwen/Qwen2.5-0.5B", 1, None),
        ("Qwen/Qwen2.5-0.5B", 5, None),
        ("Qwen/Qwen2.5-0.5B", 1500, None),
        ("Qwen/Qwen2.5-0.5B", 3001, Some(1000)),
        ("Qwen/Qwen2.5-1.5B", 900, None),
        ("Qwen/Qwen2.5-1.5B", 3000, None),
        ("Qwen/Qwen2.5-0.5B", 20_000, None),
        ("Qwen/Qwen2.5-7B", 333, None),
    ];
    for (model, length, chunk) in cases {
        assert_graph_is_as_close_as_plain(&generated(model, 0), 151_936, length, chunk);
    }
}

/// The same of integers in groups, which `plain` turns into the numbers of the formula.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_reads_packed_weights_as_plain_does() {
    let cases = [
        ("Qwen/Qwen2.5-0.5B-Instruct-GPTQ-Int4", 1, None),
        ("Qwen/Qwen2.5-0.5B-Instruct-GPTQ-Int4", 1500, None),
        ("Qwen/Qwen2.5-0.5B-Instruct-GPTQ-Int4", 20_000, None),
        ("Qwen/Qwen2.5-0.5B-Instruct-GPTQ-Int8", 900, Some(256)),
        ("Qwen/Qwen2.5-0.5B-Instruct-AWQ", 700, None),
        ("Qwen/Qwen2.5-1.5B-Instruct-GPTQ-Int8", 3000, None),
        ("Qwen/Qwen2.5-1.5B-Instruct-AWQ", 2, None),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", 333, None),
    ];
    for (model, length, chunk) in cases {
        assert_graph_is_as_close_as_plain(&generated(model, 0), 151_936, length, chunk);
    }
}

/// Two layers of 7B's shape, and sizes that divide by nothing they needn't.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_reads_packed_weights_of_other_shapes() {
    let shapes = [
        PackedShape { hidden: 3584, intermediate: 18_944, heads: 28, kv_heads: 4, head_dim: 128, vocabulary: 152_064 },
        PackedShape { hidden: 384, intermediate: 640, heads: 6, kv_heads: 2, head_dim: 64, vocabulary: 1002 },
        PackedShape { hidden: 1152, intermediate: 2176, heads: 9, kv_heads: 3, head_dim: 128, vocabulary: 5000 },
    ];
    for shape in shapes {
        shape.assert_graph_reads_it_packed(1);
    }
}

/// GGUF's blocks: of one type, and of mixtures; a head of its own, and a tied one.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_reads_blocks_as_plain_does() {
    let cases = [
        ("0.5B", "q8_0", 1, None),
        ("0.5B", "q8_0", 1500, None),
        ("0.5B", "q8_0", 20_000, None),
        ("0.5B", "q4_0", 900, Some(256)),
        ("1.5B", "q4_0", 2, None),
        ("1.5B", "q4_k_m", 1, None),
        ("1.5B", "q4_k_m", 3000, Some(1000)),
        ("1.5B", "q6_k", 700, None),
        ("7B", "q4_k_m", 1, None),
        ("7B", "q4_k_m", 333, None),
    ];
    for (size, mixture, length, chunk) in cases {
        let model = format!("Qwen/Qwen2.5-{size}-Instruct-GGUF:{mixture}");
        assert_graph_is_as_close_as_plain(&generated(&model, 0), 151_936, length, chunk);
    }
}

/// Which may be said of a shape whose blocks the kernels don't read.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn other_blocks_are_refused_by_name() {
    let spec = ModelSpec {
        implementation: Implementation::Graph.into(),
        ..generated("Qwen/Qwen2.5-0.5B-Instruct-GGUF:q4_k_m", 8)
    };
    let model = load(&spec);
    assert_eq!(model.loaded().implementation, Some(Implementation::Plain.into()));
    let warnings = model.loaded().warnings.concat();
    assert!(warnings.contains("attn_q matrices are Q5_0; Q4_0, Q8_0, Q4_K and Q6_K are supported"), "{warnings}");
}

pub struct PackedShape {
    pub hidden: usize,
    pub intermediate: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub vocabulary: usize,
}

impl PackedShape {
    /// In each way of packing, on so many GPUs.
    pub fn assert_graph_reads_it_packed(&self, gpus: usize) {
        for (method, bits, group) in [("gptq", 4, 128), ("gptq", 8, 128), ("awq", 4, 128), ("gptq", 4, -1)] {
            assert_graph_runs_config(&self.config(method, bits, group), gpus, self.vocabulary as u32);
        }
    }

    /// The config.json of two layers.
    fn config(&self, method: &str, bits: usize, group: i64) -> String {
        let Self { hidden, intermediate, heads, kv_heads, head_dim, vocabulary } = self;
        format!(
            r#"{{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": {hidden},
                "intermediate_size": {intermediate}, "num_hidden_layers": 2, "num_attention_heads": {heads},
                "num_key_value_heads": {kv_heads}, "head_dim": {head_dim}, "vocab_size": {vocabulary},
                "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
                "tie_word_embeddings": false, "hidden_act": "silu", "torch_dtype": "bfloat16",
                "quantization_config": {{"quant_method": "{method}", "bits": {bits}, "group_size": {group},
                    "sym": true, "zero_point": true, "version": "gemm"}}}}"#
        )
    }
}

/// Of a model that has nothing but its config.json: a step, and a prompt.
pub fn assert_graph_runs_config(config: &str, gpus: usize, vocabulary: u32) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), config).unwrap();
    let local = ModelSpec { directory: Some(directory.path().to_owned()), ..generated("local", 0) };
    for length in [1, 333] {
        let spec = ModelSpec { gpus: Ordinals::first(gpus), ..local.clone() };
        assert_graph_is_as_close_as_plain(&spec, vocabulary, length, None);
    }
}

/// Of a prompt of so many tokens, in chunks, and of the step after it.
pub fn assert_graph_is_as_close_as_plain(usual: &ModelSpec, vocabulary: u32, length: u32, chunk: Option<usize>) {
    let name = usual.directory.as_ref().map_or(usual.model.clone(), |directory| directory.display().to_string());
    let ids: Vec<u32> = (0..length).map(|index| index * 37 % vocabulary).collect();
    let plain = ModelSpec { max_length: ids.len() + 1, ..usual.clone() };
    let exact = ModelSpec { dtype: Dtype::F32, ..plain.clone() };
    let graph = ModelSpec { implementation: Implementation::Graph.into(), ..plain.clone() };
    let exact = prompt_and_step(&mut load(&exact), &ids);
    let plain = prompt_and_step(&mut load(&plain), &ids);
    let mut graph = load(&ModelSpec { prefill_chunk: chunk, ..graph });
    let ran = graph.loaded().implementation.clone();
    assert_eq!(ran, Some(Implementation::Graph.into()), "{name}: {:?}", graph.loaded().warnings);
    let graph = prompt_and_step(&mut graph, &ids);
    for (part, place) in ["prompt", "step"].into_iter().enumerate() {
        let plain = relative_error(&plain[part], &exact[part]);
        let graph = relative_error(&graph[part], &exact[part]);
        println!("{name}, {length} tokens, {place}: graph is {graph:.4} from f32, plain {plain:.4}");
        // What rounding to bf16 costs is plain's own distance: 0.007 to 0.14 on an H100, where numbers without a
        // relation would be 1.4 apart. It grows with layers, and most where made-up weights have an even mean of 0.
        assert!(plain < 0.25 && graph < 1.25 * plain, "{name}, {length} tokens, {place}: {graph}, {plain}");
    }
}

/// Logits after a prompt and after one token more.
fn prompt_and_step(model: &mut Candle, ids: &[u32]) -> [Vec<f32>; 2] {
    [prefill(model, ids), model.forward.step(7).unwrap().to_vec1().unwrap()]
}

/// Token by token on the one fixture whose shape the kernels take, with transformers as the judge of both.
#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_agrees_with_plain_and_transformers_on_a_checkpoint() {
    const STEPS: usize = 64;
    for expected in Expected::all("graph") {
        let ids = expected.ids();
        let place = format!("{} tokens", ids.len());
        let plain = ModelSpec { device: DeviceKind::Cuda, ..spec(&fixture("graph"), Dtype::Bf16, ids.len() + STEPS) };
        let graph = ModelSpec { implementation: Implementation::Graph.into(), ..plain.clone() };
        let (mut plain, mut graph) = (load(&plain), load(&graph));
        assert_eq!(graph.loaded().implementation, Some(Implementation::Graph.into()), "{:?}", graph.loaded().warnings);
        let (mut ours, mut reference) = (prefill(&mut graph, &ids), prefill(&mut plain, &ids));
        let from_transformers = distance(&ours, &expected.f32);
        assert!(from_transformers < BF16_TOLERANCE, "{place}: {from_transformers}");
        let mut same = 0;
        for step in 0..STEPS {
            let away = relative_error(&ours, &reference);
            assert!(away < BF16_TOLERANCE, "{place}, step {step}: {away}");
            // Both go on with the token of plain, so that one near tie doesn't make the rest incomparable.
            let (token, other) = (top(&reference), top(&ours));
            let gap = (reference[token] - reference[other]) / reference[token].abs();
            assert!(gap < 2.0 * BF16_TOLERANCE, "{place}, step {step}: {other} instead of {token}, {gap} below");
            same += usize::from(token == other);
            ours = graph.forward.step(token as u32).unwrap().to_vec1().unwrap();
            reference = plain.forward.step(token as u32).unwrap().to_vec1().unwrap();
        }
        assert!(same * 10 >= STEPS * 9, "{place}: only {same} of {STEPS} tokens are the same");
    }
}

/// The index of the highest logit, the first of equal ones.
pub fn top(logits: &[f32]) -> usize {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|&logit| logit == highest).unwrap()
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn graph_generates_what_its_steps_choose() {
    // From one split of attention to several, and over more steps than one launch has.
    let ids: Vec<u32> = (0..480).map(|index| index * 37 % 151_936).collect();
    let spec = ModelSpec { implementation: Implementation::Graph.into(), ..generated("Qwen/Qwen2.5-0.5B", 600) };
    let mut graph = load(&spec);
    let generation = graph.generate(&ids, 100).unwrap();
    graph.forward.reset().unwrap();
    let mut logits = graph.forward.prefill(&ids).unwrap();
    let mut tokens = Vec::new();
    for _ in 0..100 {
        // Logits are rounded to bf16, so several can be highest: the first counts.
        let token = top(&logits.to_vec1().unwrap()) as u32;
        tokens.push(token);
        logits = graph.forward.step(token).unwrap();
    }
    assert_eq!(generation.tokens, Some(tokens));
    assert_eq!(generation.clock, Clock::Device);
    let times: Vec<_> = generation.chunks.iter().map(|chunk| chunk.at).collect();
    assert!(times.is_sorted() && times.len() == 100, "{times:?}");
    assert!(times[99] <= generation.end_to_end + Duration::from_millis(1), "{generation:?}");
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn gguf_agrees_with_transformers() {
    gguf::assert_agrees_with_transformers(DeviceKind::Cuda);
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn profile_adds_up() {
    let tokens = 2048 + DECODED;
    let spec = ModelSpec { implementation: Implementation::Graph.into(), ..generated("Qwen/Qwen2.5-0.5B", tokens) };
    let mut model = load(&spec);
    let profile = model.forward.profile(2048).unwrap().unwrap();
    for parts in [&profile.decode, &profile.prefill] {
        // The last block of all may be over a tick of the clock after the first.
        assert!(parts.iter().all(|part| part.seconds >= -1e-6 && part.seconds < 0.1), "{profile:?}");
        assert!(Profile::seconds(parts) > 1e-4, "{profile:?}");
    }
    let prompt: Vec<u32> = (0..2000).collect();
    let stamped = model.step_parts(&prompt, 65).unwrap().unwrap();
    for step in [&profile.step, &stamped] {
        let times = step.products.iter().flat_map(|product| product.waiting_us.iter().chain(&product.work_us));
        let sum = times.sum::<f64>() + step.unexplained_us;
        assert!((sum - step.step_us).abs() < 1e-6 && step.unexplained_us.abs() < 0.01 * step.step_us, "{step:?}");
        assert!(step.products[..5].iter().all(|product| product.work_us.len() == 24), "{step:?}");
        assert!(step.products.iter().flat_map(|product| &product.work_us).all(|work| *work >= 0.0), "{step:?}");
    }
    assert!(
        (stamped.step_us / profile.step.step_us - 1.0).abs() < 0.05,
        "{} {}",
        stamped.step_us,
        profile.step.step_us
    );
    assert_eq!(model.step_parts(&prompt, 5).unwrap(), None, "too short");
}

#[test]
#[ignore = "needs a CUDA GPU: cargo test --features cuda --test engine -- --ignored"]
fn a_gpu_tells_its_peak_memory() {
    let spec = generated("Qwen/Qwen2.5-0.5B", 4096);
    let mut model = load(&spec);
    model.reset_peak().unwrap();
    let held = model.allocated_peak().unwrap().unwrap();
    assert!(held >= model.loaded().costs.unwrap().decode_weight_bytes, "{held}");
    let first = model.generate(&[35_946; 2048], 4).unwrap();
    let peak = model.allocated_peak().unwrap().unwrap();
    assert!(peak > held, "{peak}");
    // Weights are generated from the same seed.
    assert_eq!(first.tokens, load(&spec).generate(&[35_946; 2048], 4).unwrap().tokens);
    let logits = model.forward.step(1).unwrap();
    assert!((argmax(&logits).unwrap() as usize) < 151_936);
}
