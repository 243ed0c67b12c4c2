//! The adapters for real, on a small model. They need Python with the engine that they adapt:
//! `.ci/adapters` installs it and runs these.

use super::*;

/// The interpreter that `.ci/adapters` names.
fn python() -> String {
    std::env::var("BENCH_DIFF_PYTHON").expect("BENCH_DIFF_PYTHON: the Python to take; .ci/adapters sets it")
}

fn adapter(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(name)
}

/// A model that transformers itself wrote, with random weights and the whole vocabulary. As with Instruct models, its
/// generation_config samples, has a penalty, and ends answers: every second token is an end.
fn model(bench: &Bench) -> PathBuf {
    const WRITE: &str = "import sys, torch, transformers; torch.manual_seed(0); \
        config = transformers.Qwen2Config(hidden_size=64, intermediate_size=128, num_hidden_layers=2, \
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True); \
        model = transformers.Qwen2ForCausalLM(config); \
        model.generation_config = transformers.GenerationConfig(do_sample=True, temperature=0.7, top_p=0.8, top_k=20, \
        repetition_penalty=1.1, pad_token_id=1, eos_token_id=list(range(0, 151936, 2))); \
        model.save_pretrained(sys.argv[1])";
    let path = bench.path("model");
    let output = Command::new(python()).args(["-c", WRITE]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// One run of the model at two contexts, with flags for the engine.
fn run(bench: &Bench, model: &Path, engine: &[&str]) -> (Finished, Results) {
    bench.write("bench-diff.toml", &CONFIG.replace("weights = \"generated\"", ""));
    let fixed = ["--context-lengths", "1,8", "--generated-length", "16", "--runs", "1", "--dtype", "f32", "--force"];
    let finished = Finished::of(bench.plain(&fixed).arg("--model").arg(model).args(engine).output().unwrap());
    let results = bench.results();
    (finished, results)
}

fn measured(bench: &Bench, model: &Path, engine: &[&str]) -> Results {
    let (finished, results) = run(bench, model, engine);
    assert_eq!(finished.code, Some(0), "{engine:?}: {} {:?}", finished.err, failures(&results));
    results
}

/// The adapter, started with `flags`.
fn with_adapter(flags: &str) -> [String; 4] {
    let command = format!("{} {} {flags}", python(), adapter("transformers.py").display());
    ["--engine".into(), "command".into(), "--command".into(), command.trim_end().into()]
}

fn transformers(bench: &Bench, model: &Path, flags: &str, settings: &[&str]) -> Results {
    let engine = with_adapter(flags);
    measured(bench, model, &engine.iter().map(String::as_str).chain(settings.iter().copied()).collect::<Vec<_>>())
}

fn hashes(results: &Results) -> Vec<String> {
    let runs = results.sessions[0].runs.iter();
    runs.map(|run| measurement(run).unwrap().token_hash.clone().unwrap()).collect()
}

/// The same greedy tokens from the same weights: the adapter asks for what the protocol says.
#[test]
#[ignore = "needs Python with torch and transformers: .ci/adapters"]
fn transformers_and_candle_give_the_same_tokens() {
    let bench = Bench::new();
    let model = model(&bench);
    let candle = hashes(&measured(&bench, &model, &["--implementation", "plain"]));
    for flags in ["", "--attn-implementation eager", "--no-stream", "--compile"] {
        let results = transformers(&bench, &model, flags, &[]);
        assert_eq!(hashes(&results), candle, "{flags}");
        let run = measurement(&results.sessions[0].runs[0]).unwrap();
        assert_eq!(run.program.as_ref().unwrap().name, "transformers");
    }
}

/// As Qwen's script samples: other tokens perhaps, but exactly as many.
#[test]
#[ignore = "needs Python with torch and transformers: .ci/adapters"]
fn transformers_samples_as_its_generation_config_says() {
    let bench = Bench::new();
    let results = transformers(&bench, &model(&bench), "--sampling generation-config", &[]);
    assert_eq!(hashes(&results).len(), 2);
}

/// Each sequence of a batch does what a single one does, and a token counts when those of all are there.
#[test]
#[ignore = "needs Python with torch and transformers: .ci/adapters"]
fn a_batch_of_transformers_gives_the_tokens_of_one_sequence() {
    let bench = Bench::new();
    let model = model(&bench);
    let candle = hashes(&measured(&bench, &model, &["--implementation", "plain"]));
    for flags in ["", "--no-stream", "--compile"] {
        let results = transformers(&bench, &model, flags, &["--batch-size", "3"]);
        assert_eq!(hashes(&results), candle, "{flags}");
        for run in &results.sessions[0].runs {
            let metrics = &measurement(run).unwrap().metrics;
            let [speed, batch] = ["speed", "batch_throughput"].map(|name| metrics[&name.into()]);
            assert!((batch / speed - 3.0).abs() < 1e-4, "{flags}: {batch} is of three sequences, {speed} of one");
        }
    }
}

/// As Qwen's script and EvalScope's server do it: sampled, and past every end of sequence.
#[test]
#[ignore = "needs Python with torch and transformers: .ci/adapters"]
fn transformers_follows_the_seed_protocols_that_are_its_own() {
    let bench = Bench::new();
    let model = model(&bench);
    for (protocol, iterations) in [("transformers", 1), ("evalscope", 2)] {
        let results = transformers(&bench, &model, "", &["--seed-protocol", protocol]);
        assert_eq!((results.settings.iterations, results.settings.prompt.to_string().as_str()), (iterations, protocol));
        for run in results.sessions[0].runs.iter().map(|run| measurement(run).unwrap()) {
            let told: Vec<&str> = run.metrics.keys().map(|name| name.as_str()).collect();
            assert_eq!((told, &run.token_hash), (vec!["e2e_latency", "speed"], &None), "{protocol}");
            assert!(run.warnings.is_empty(), "no end came early: {:?}", run.warnings);
        }
    }
    let engine = with_adapter("");
    let vllm = engine.iter().map(String::as_str).chain(["--seed-protocol", "vllm"]);
    let (finished, results) = run(&bench, &model, &vllm.collect::<Vec<_>>());
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    for (_, reason) in failures(&results) {
        assert!(reason.contains("Qwen's vllm protocol") && reason.contains("use adapters/vllm.py"), "{reason}");
    }
}

#[test]
#[ignore = "needs Python with torch and transformers: .ci/adapters"]
fn the_adapter_keeps_the_protocols_promises() {
    let bench = Bench::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    command.args(["check-engine", "--model"]).arg(model(&bench)).arg("--").arg(python());
    let output = command.arg(adapter("transformers.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
