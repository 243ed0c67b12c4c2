//! Results keep what the configuration takes for a change, and `compare` goes by it.

use super::*;

#[test]
fn results_keep_the_thresholds_of_their_configuration() {
    let bench = Bench::new();
    let thresholds = "noise-thresholds = { all = \"auto\", ttft = \"60%\" }\nalpha = 0.01\nmetrics = [\"ttft\"]\n";
    bench.write("bench-diff.toml", &format!("{thresholds}gate-at-threshold = true\n{CONFIG}"));
    assert_eq!(bench.run(&[]).code, Some(0));
    let file: serde_json::Value = serde_json::from_str(&bench.read("results.json")).unwrap();
    let kept = serde_json::json!({
        "alpha": 0.01, "metrics": ["ttft"], "noise_thresholds": {"ttft": 0.6}, "auto_noise_thresholds": ["all"],
        "gate_at_threshold": true
    });
    assert_eq!(file["settings"]["thresholds"], kept);
    let mut compare = Command::new(env!("CARGO_BIN_EXE_bench-diff"));
    compare.args(["compare", "results.json", "results.json", "--format", "json"]).current_dir(&bench.directory);
    let finished = Finished::of(compare.output().unwrap());
    let comparison: serde_json::Value = serde_json::from_str(&finished.out).unwrap();
    let rows = comparison["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["metric"] == "ttft" && row["noise_threshold"] == 0.6), "{comparison}");
    assert_eq!((rows.len(), &comparison["alpha"]), (4, &serde_json::json!(0.01)));
}

/// The engine can't run the one model; the other is measured.
#[test]
fn a_refused_model_fails_its_cases_and_the_rest_is_measured() {
    let bench = Bench::new();
    bench.write("bench-diff.toml", &CONFIG.replace("\"./two\"", "\"Qwen/Qwen2.5-0.5B-Instruct-GGUF\""));
    let finished = bench.run(&["--runs", "1"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    let results = bench.results();
    let gguf = |context: u32| format!("Qwen2.5-0.5B-Instruct-GGUF/gguf/{context} 1 Error");
    let mut runs = runs(&results);
    runs.sort();
    assert_eq!(runs, [gguf(1), gguf(8), "one/f32/1 1".to_owned(), "one/f32/8 1".to_owned()]);
    let reason = "`Qwen/Qwen2.5-0.5B-Instruct-GGUF` with gguf weights is not supported yet: use its safetensors";
    assert!(failures(&results).iter().all(|(_, said)| said == reason), "{:?}", failures(&results));
    assert_eq!(bench.read("log"), "start\none/f32/1\none/f32/8\n", "nothing is started for it");
}

/// Without any, the file is what it always was.
#[test]
fn nothing_is_kept_of_the_usual_thresholds() {
    let bench = Bench::new();
    assert_eq!(bench.run(&[]).code, Some(0));
    assert!(!bench.read("results.json").contains("thresholds"));
}
