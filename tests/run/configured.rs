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

/// Without any, the file is what it always was.
#[test]
fn nothing_is_kept_of_the_usual_thresholds() {
    let bench = Bench::new();
    assert_eq!(bench.run(&[]).code, Some(0));
    assert!(!bench.read("results.json").contains("thresholds"));
}
