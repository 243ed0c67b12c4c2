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

/// A model that transformers itself wrote, with random weights and the whole vocabulary.
fn model(bench: &Bench) -> PathBuf {
    const WRITE: &str = "import sys, torch, transformers; torch.manual_seed(0); \
        config = transformers.Qwen2Config(hidden_size=64, intermediate_size=128, num_hidden_layers=2, \
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True); \
        transformers.Qwen2ForCausalLM(config).save_pretrained(sys.argv[1])";
    let path = bench.path("model");
    let output = Command::new(python()).args(["-c", WRITE]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// One run of the model at two contexts, with flags for the engine.
fn measured(bench: &Bench, model: &Path, engine: &[&str]) -> Results {
    bench.write("bench-diff.toml", &CONFIG.replace("weights = \"generated\"", ""));
    let fixed = ["--context-lengths", "1,8", "--generated-length", "16", "--runs", "1", "--dtype", "f32"];
    let force = ["--force"];
    let finished =
        Finished::of(bench.plain(&fixed).args(force).arg("--model").arg(model).args(engine).output().unwrap());
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    bench.results()
}

fn transformers(bench: &Bench, model: &Path, flags: &str) -> Results {
    let command = format!("{} {} {flags}", python(), adapter("transformers.py").display());
    measured(bench, model, &["--engine", "command", "--command", command.trim_end()])
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
        let results = transformers(&bench, &model, flags);
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
    let results = transformers(&bench, &model(&bench), "--sampling generation-config");
    assert_eq!(hashes(&results).len(), 2);
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
