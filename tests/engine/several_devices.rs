//! A model whose layers lie on several devices computes what it computes on one: the operations are the same, so that not a
//! bit may differ. Parts of a CPU stand for the devices; on two GPUs a test needs two of a kind.

use bench_diff::case::SeedProtocol;
use bench_diff::device::{Gpus, Machine, Ordinals};

use super::gpu::{PackedShape, assert_graph_is_as_close_as_plain, assert_graph_runs_config, generated, top};
use super::*;

/// The same on so many devices.
fn on(devices: usize, spec: &ModelSpec) -> ModelSpec {
    ModelSpec { gpus: Ordinals::first(devices), ..spec.clone() }
}

/// Logits of the prompt and of each step after it, and the tokens of a generation.
#[derive(Debug, PartialEq)]
struct Computed {
    logits: Vec<Vec<f32>>,
    tokens: Vec<u32>,
}

impl Computed {
    /// Of a model with places for 40 tokens.
    fn of(spec: &ModelSpec) -> Self {
        let mut model = load(&ModelSpec { max_length: 40, ..spec.clone() });
        let prompt: Vec<u32> = (0..23).map(|index| index * 7 % 61).collect();
        let generated = match spec.seed_protocol {
            None => model.generate(&prompt, 9),
            Some(_) => model.generate_sampled(&prompt, 9),
        };
        let mut step = |tokens: &[u32]| {
            let logits = match tokens {
                [] => model.forward.reset().and_then(|()| model.forward.prefill(&prompt)),
                tokens => model.forward.step_each(tokens),
            };
            logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        let each = |token: u32| (0..spec.batch_size).map(|sequence| token + sequence).collect::<Vec<_>>();
        let logits = [Vec::new(), each(3), each(50)].iter().map(|tokens| step(tokens)).collect();
        Self { logits, tokens: generated.unwrap().tokens.unwrap() }
    }
}

fn assert_the_same_on(devices: usize, spec: &ModelSpec) {
    let whole = Computed::of(spec);
    assert!(whole.logits.iter().flatten().all(|logit| logit.is_finite()));
    assert_eq!(Computed::of(&on(devices, spec)), whole, "{devices} devices: {spec:?}");
}

fn plain(name: &str) -> ModelSpec {
    spec(&fixture(name), Dtype::F32, 0)
}

/// Tied and untied, an embedding beside the layers or a device for itself.
#[test]
fn dense_layers_on_several_devices_are_the_layers_of_one() {
    for (name, devices) in [("untied", 2), ("tied", 2), ("tied", 3), ("yarn", 2), ("graph", 2), ("long", 2)] {
        assert_the_same_on(devices, &plain(name));
    }
    for dtype in [Dtype::Bf16, Dtype::F16] {
        assert_the_same_on(2, &ModelSpec { dtype, ..plain("untied") });
    }
}

#[test]
fn quantized_layers_on_two_devices_are_the_layers_of_one() {
    for name in quantized::FIXTURES {
        assert_the_same_on(2, &quantized::plain(&quantized::quantized(name), DeviceKind::Cpu, Dtype::F32, 0));
    }
    for name in ["small-q4_0", "narrow-q4_k_m", "narrow-q6_k", "small-bf16", "yarn-q8_0"] {
        let file = gguf::fixtures().join(format!("{name}.gguf"));
        assert_the_same_on(2, &ModelSpec { quantization: Quantization::Gguf, ..spec(&file, Dtype::F32, 0) });
    }
}

#[test]
fn batches_chunks_and_seed_protocols_go_over_two_devices() {
    let plain = plain("untied");
    assert_the_same_on(2, &ModelSpec { batch_size: 3, ..plain.clone() });
    for chunk in [1, 7, 22] {
        assert_the_same_on(2, &ModelSpec { prefill_chunk: Some(chunk), ..plain.clone() });
        assert_the_same_on(2, &ModelSpec { prefill_chunk: Some(chunk), batch_size: 2, ..plain.clone() });
    }
    for seed_protocol in [SeedProtocol::Transformers, SeedProtocol::Vllm].map(Some) {
        assert_the_same_on(2, &ModelSpec { seed_protocol, ..plain.clone() });
    }
}

/// Generated weights are those of the tensor's name, wherever it lies.
#[test]
fn generated_weights_are_the_same_on_two_devices() {
    for directory in [fixture("tied"), quantized::quantized("gptq-int4")] {
        let spec = quantized::plain(&directory, DeviceKind::Cpu, Dtype::F32, 0);
        assert_the_same_on(2, &ModelSpec { weights: WeightsSource::Generated, ..spec });
    }
}

/// A decode step reads the same weights; of a tied embedding it reads the copy.
#[test]
fn a_step_on_two_devices_costs_the_same_bytes() {
    for name in ["tied", "untied"] {
        let spec = ModelSpec { max_length: 8, ..plain(name) };
        let (one, two) = (load(&spec), load(&on(2, &spec)));
        let [one, two] = [one, two].map(|model| model.loaded().costs.unwrap());
        assert_eq!(
            (two.decode_weight_bytes, two.kv_bytes_per_token),
            (one.decode_weight_bytes, one.kv_bytes_per_token)
        );
        assert_eq!([(one.decode_cards, one.prefill_cards), (two.decode_cards, two.prefill_cards)], [(1, 1), (1, 2)]);
    }
}

#[test]
fn what_cannot_be_laid_on_several_devices_says_why() {
    let two = ModelSpec { max_length: 8, ..on(2, &plain("untied")) };
    let stock = ModelSpec { implementation: Implementation::Stock.into(), ..two.clone() };
    let said =
        "`stock` uses one GPU: name only one, or use `--implementation plain`, which lays a model's layers on several";
    assert_eq!(error(&stock, None), said);
    let graph = |cards| {
        let device = DeviceKind::Cuda;
        ModelSpec { implementation: Implementation::Graph.into(), device, ..on(cards, &two) }
    };
    let said = "`graph` uses one GPU or two: name fewer, or use `--implementation plain`, which lays a model's layers on several";
    assert_eq!(error(&graph(3), None), said);
    let said = "2 layers can't be laid on 7 GPUs: some would have nothing; name fewer";
    assert_eq!(error(&on(7, &two), None), said);
}

/// Are two GPUs visible? Otherwise says that the test tests nothing.
fn has_two_gpus() -> bool {
    let two = matches!(Machine::here().select(&"0,1".parse().unwrap()), Ok(Gpus::Known(_)));
    if !two {
        println!("nothing was tested: this needs two GPUs, and there aren't two here");
    }
    two
}

/// Logits of a prompt in many chunks, which follow each other over the cards, and the tokens after it.
fn on_gpus(count: usize, spec: &ModelSpec) -> (Vec<f32>, Vec<u32>) {
    let mut model = load(&on(count, spec));
    let prompt: Vec<u32> = (0..3001).map(|index| index * 7 % 60_000).collect();
    let tokens = model.generate(&prompt, 64).unwrap().tokens.unwrap();
    model.forward.reset().unwrap();
    let logits = model.forward.prefill(&prompt).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    (logits, tokens)
}

#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn plain_on_two_gpus_is_plain_on_one() {
    if !has_two_gpus() {
        return;
    }
    let names = ["0.5B", "1.5B-Instruct", "1.5B-Instruct-GPTQ-Int4", "0.5B-Instruct-AWQ", "0.5B-Instruct-GGUF:q4_k_m"];
    for name in names {
        let plain = generated(&format!("Qwen/Qwen2.5-{name}"), 3065);
        let short = ModelSpec { prefill_chunk: Some(128), ..plain.clone() };
        let batch = ModelSpec { batch_size: 2, dtype: Dtype::F32, prefill_chunk: Some(1000), ..plain.clone() };
        for spec in [plain, short, batch] {
            assert_eq!(on_gpus(2, &spec), on_gpus(1, &spec), "{spec:?}");
        }
    }
}

/// Weights once, but a tied embedding twice; caches by layer.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn two_gpus_hold_together_what_one_holds_and_a_copy_of_the_embedding() {
    if !has_two_gpus() {
        return;
    }
    let spec = generated("Qwen/Qwen2.5-0.5B", 4096);
    let [one, two] = [1, 2].map(|count| {
        let mut model = load(&on(count, &spec));
        model.reset_peak().unwrap();
        model.allocated_peak().unwrap().unwrap()
    });
    let (copy, tables) = (151_936 * 896 * 2, 2048 * 2048 * 4 + 4096 * 64 * 4);
    assert!((two - one).abs_diff(copy + tables) < 8 << 20, "{one} on one, {two} on two");
}

/// Both in bf16 on the two GPUs, beside `plain` in F32 there: a step; short; across chunks; long, with teams of blocks.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn graph_on_two_gpus_is_as_close_to_f32_as_plain_is() {
    if !has_two_gpus() {
        return;
    }
    let cases = [
        ("0.5B", 1, None),
        ("0.5B", 2, None),
        ("0.5B", 1500, None),
        ("0.5B", 3001, Some(1000)),
        ("0.5B", 20_000, None),
        ("1.5B", 3000, None),
        ("7B", 1, None),
        ("7B", 700, Some(256)),
    ];
    for (size, length, chunk) in cases {
        let plain = on(2, &generated(&format!("Qwen/Qwen2.5-{size}"), 0));
        assert_graph_is_as_close_as_plain(&plain, 151_936, length, chunk);
    }
}

/// Layers of 72B's shape, of which one card can't decode one in bf16; and 28 heads of which a card has 14.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn graph_on_two_gpus_runs_the_largest_shape() {
    if !has_two_gpus() {
        return;
    }
    for (hidden, intermediate, heads, kv_heads) in [(8192, 29_568, 64, 8), (3584, 18_944, 28, 4)] {
        let config = format!(
            r#"{{"model_type": "qwen2", "hidden_size": {hidden}, "intermediate_size": {intermediate},
                "num_hidden_layers": 2, "num_attention_heads": {heads}, "num_key_value_heads": {kv_heads},
                "vocab_size": 5000, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
                "hidden_act": "silu", "tie_word_embeddings": false, "torch_dtype": "bfloat16"}}"#
        );
        assert_graph_runs_config(&config, 2, 5000);
    }
}

/// Integers in groups, halves of which have whole groups or parts of one; and GGUF's blocks, with a head of them, too.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn graph_on_two_gpus_reads_packed_weights_as_plain_does() {
    if !has_two_gpus() {
        return;
    }
    let cases = [
        ("1.5B-Instruct-GPTQ-Int4", 1, None),
        ("1.5B-Instruct-GPTQ-Int4", 3000, Some(1000)),
        ("1.5B-Instruct-AWQ", 700, None),
        ("3B-Instruct-GPTQ-Int8", 333, None),
        ("7B-Instruct-GPTQ-Int8", 1, None),
        ("1.5B-Instruct-GGUF:q8_0", 1500, None),
        ("1.5B-Instruct-GGUF:q4_0", 1, None),
        ("7B-Instruct-GGUF:q4_k_m", 333, Some(256)),
    ];
    for (name, length, chunk) in cases {
        let plain = on(2, &generated(&format!("Qwen/Qwen2.5-{name}"), 0));
        assert_graph_is_as_close_as_plain(&plain, 151_936, length, chunk);
    }
    let shapes = [
        PackedShape { hidden: 8192, intermediate: 29_696, heads: 64, kv_heads: 8, head_dim: 128, vocabulary: 5000 },
        PackedShape { hidden: 384, intermediate: 1280, heads: 8, kv_heads: 2, head_dim: 64, vocabulary: 1004 },
    ];
    for shape in shapes {
        shape.assert_graph_reads_it_packed(2);
    }
}

/// Half of its attention's outputs have no whole groups.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn plain_runs_what_graph_cannot_halve() {
    if !has_two_gpus() {
        return;
    }
    let usual = ModelSpec::generated("Qwen/Qwen2.5-0.5B-Instruct-GPTQ-Int4", DeviceKind::Cuda);
    let model = load(&ModelSpec { max_length: 8, ..on(2, &usual) });
    assert_eq!(model.loaded().implementation, Some(Implementation::Plain.into()));
    let warnings = model.loaded().warnings.concat();
    assert!(warnings.contains("half of its query size (448), which a GPU of two has, is not a multiple"), "{warnings}");
}

/// Steps of a generation, many in a launch, are those that are asked for one by one, in a second generation too.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn graph_on_two_gpus_generates_what_it_computes_step_by_step() {
    if !has_two_gpus() {
        return;
    }
    let usual = ModelSpec::generated("Qwen/Qwen2.5-0.5B", DeviceKind::Cuda);
    let mut model = load(&ModelSpec { max_length: 200, ..on(2, &usual) });
    assert_eq!(model.loaded().implementation, Some(Implementation::Graph.into()), "{:?}", model.loaded().warnings);
    for prompt in [vec![7], (0..37).map(|index| index * 7 % 60_000).collect::<Vec<u32>>()] {
        let tokens = model.generate(&prompt, 100).unwrap().tokens.unwrap();
        model.forward.reset().unwrap();
        let mut logits = model.forward.prefill(&prompt).unwrap();
        let mut one_by_one = Vec::new();
        for _ in &tokens {
            one_by_one.push(top(&logits.to_vec1::<f32>().unwrap()) as u32);
            logits = model.forward.step(one_by_one[one_by_one.len() - 1]).unwrap();
        }
        assert_eq!(one_by_one, tokens);
    }
}

/// A layer's matrices once, halves on each; the embedding on both.
#[test]
#[ignore = "needs two CUDA GPUs of a kind: cargo test --features cuda --test engine -- --ignored"]
fn graph_on_two_gpus_reads_what_one_reads() {
    if !has_two_gpus() {
        return;
    }
    let spec = ModelSpec { max_length: 64, ..ModelSpec::generated("Qwen/Qwen2.5-0.5B", DeviceKind::Cuda) };
    let [one, two] = [1, 2].map(|count| load(&on(count, &spec)).loaded().clone());
    let (one, two) = (one.costs.unwrap(), two.costs.unwrap());
    assert_eq!(two.decode_weight_bytes, one.decode_weight_bytes);
    assert_eq!([(one.decode_cards, one.prefill_cards), (two.decode_cards, two.prefill_cards)], [(1, 1), (2, 2)]);
}
