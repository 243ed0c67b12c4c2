//! Noise thresholds that the base's sessions show, and thresholds that results were configured with.

use bench_diff::results::Results;
use serde_json::{Value, json};

use crate::compare_support::{Files, Printed, compare_json, run, session};
use crate::results_files;

/// Sessions around their level, runs around their session's, both with these relative standard deviations or nearly.
fn sessions(count: usize, level: f64, between: f64, within: f64) -> Vec<Vec<f64>> {
    let day = |index: usize| level * (1.0 + between * [0.9, -1.2, 0.1, 1.1, -0.9][index % 5]);
    (0..count).map(|index| [-1.0, 0.2, 0.8].map(|z| day(index) * (1.0 + within * z)).to_vec()).collect()
}

fn file(sessions: &[Vec<f64>]) -> Value {
    json!([{"case": "a", "metric": "decode_throughput", "sessions": sessions}])
}

fn compared(base: &[Vec<f64>], head: f64, flags: &[&str]) -> Printed {
    compare_json(&Files::new(&file(base), &file(&sessions(1, head, 0.0, 0.0007))), flags)
}

/// Decode of an H100, which varies by 0.05 to 0.1% from run to run.
#[test]
fn a_change_of_one_percent_is_found_on_a_quiet_machine() {
    let quiet = sessions(5, 1700.0, 0.0004, 0.0007);
    let fixed = compared(&quiet, 1683.0, &[]);
    assert_eq!(fixed.rows[0].verdict.word(), "unchanged", "2% throw that away");
    for flags in [["--noise-threshold", "auto"], ["--noise-threshold", "decode_throughput=auto"]] {
        let row = &compared(&quiet, 1683.0, &flags).rows[0];
        assert_eq!((row.verdict.word(), row.noise_threshold), ("regressed", 0.005), "{row:?}");
        let learned = row.learned.expect("what it was learned from");
        assert_eq!((learned.sessions, learned.occasions), (5, 5));
    }
    let same = &compared(&quiet, 1699.0, &["--noise-threshold", "auto"]).rows[0];
    assert_eq!(same.verdict.word(), "unchanged", "{same:?}");
    let files = Files::new(&file(&quiet), &file(&sessions(1, 1683.0, 0.0, 0.0007)));
    let (_, out, _) = run(&files, &["--noise-threshold", "auto"]);
    assert!(out.contains("changes under 0.5% aren't reported"), "{out}");
    assert!(out.contains("thresholds of 1 row learned from 5 sessions of the base on 5 occasions"), "{out}");
}

/// On a noisy one it is what the same build moves by: that is no news.
#[test]
fn a_noisy_machine_has_a_wide_threshold() {
    let noisy = sessions(5, 1700.0, 0.01, 0.003);
    let row = &compared(&noisy, 1683.0, &["--noise-threshold", "auto"]).rows[0];
    assert!(row.noise_threshold > 0.03, "{row:?}");
    assert_eq!(row.verdict.word(), "unchanged", "{row:?}");
}

/// A percentage of a metric's own goes before one of all.
#[test]
fn metrics_can_have_their_own() {
    let quiet = sessions(5, 1700.0, 0.0004, 0.0007);
    let of = |flags: &[&str]| compared(&quiet, 1683.0, flags).rows[0].noise_threshold;
    assert_eq!(of(&["--noise-threshold", "auto", "--noise-threshold", "decode_throughput=3"]), 0.03);
    assert_eq!(of(&["--noise-threshold", "all=4"]), 0.04);
}

/// Two sessions show nothing, and that is said.
#[test]
fn a_base_of_too_few_sessions_tells_nothing() {
    let comparison = compared(&sessions(2, 1700.0, 0.0004, 0.0007), 1683.0, &["--noise-threshold", "auto"]);
    assert_eq!((comparison.rows[0].noise_threshold, comparison.rows[0].learned), (0.02, None));
    let said = comparison.warnings.join("\n");
    assert!(said.contains("fewer than 3 sessions") && said.contains("fixed noise thresholds hold"), "{said}");
}

/// Three days don't show the drift, so a screen goes by the fixed thresholds; what was learned is kept for the fresh runs.
#[test]
fn a_screen_keeps_what_it_learned() {
    let comparison = compared(&sessions(3, 1700.0, 0.0004, 0.0007), 1683.0, &["--noise-threshold", "auto"]);
    let row = &comparison.rows[0];
    assert_eq!((row.noise_threshold, row.learned.expect("learned").noise_threshold.get()), (0.02, 0.005));
    assert!(comparison.warnings.join("\n").contains("until base and head are measured interleaved"));
}

fn configured(mut results: Results, thresholds: Value) -> Value {
    results.sessions[0].id = "another".into();
    let mut file = serde_json::to_value(&results).expect("JSON");
    file["settings"]["thresholds"] = thresholds;
    file
}

#[test]
fn results_keep_what_they_were_configured_with() {
    let base = serde_json::to_value(session(|_, _| 1.0)).expect("JSON");
    let thresholds = json!({"alpha": 0.01, "metrics": ["ttft"], "noise_thresholds": {"ttft": 0.3}});
    let head = configured(session(|_, _| 1.1), thresholds);
    let files = Files::new(&base, &head);
    let comparison = compare_json(&files, &["--same-session"]);
    assert_eq!(comparison.rows.len(), 6, "the metric of the configuration only");
    assert!(comparison.rows.iter().all(|row| row.metric == "ttft" && row.noise_threshold == 0.3), "{comparison:?}");
    assert_eq!(comparison.counts.unchanged, 6);
    let (_, out, _) = run(&files, &["--same-session"]);
    assert!(out.contains("at most 1% of reports") && out.contains("changes under 30% aren't reported"), "{out}");
    // Flags win, each for what it says.
    let flags = ["--same-session", "--noise-threshold", "ttft=2", "--alpha", "0.05"];
    let comparison = compare_json(&files, &flags);
    assert_eq!((comparison.rows.len(), comparison.counts.regressed), (6, 6));
    assert_eq!(compare_json(&files, &["--same-session", "--metric", "tpot"]).rows[0].metric, "tpot");
}

/// A file may come from anybody.
#[test]
fn a_configuration_that_makes_no_sense_does_not_count() {
    let base = session(|_, _| 1.0);
    let nonsense = json!({"alpha": 7.0, "noise_thresholds": {"ttft": -1.0}});
    let head = configured(session(|_, _| 1.1), nonsense);
    let files = Files::new(&serde_json::to_value(&base).expect("JSON"), &head);
    let comparison = compare_json(&files, &["--same-session"]);
    assert!(comparison.rows.iter().filter(|row| row.metric == "ttft").all(|row| row.noise_threshold == 0.02));
    let plain = compare_json(&results_files(&base, &session(|_, _| 1.1)), &["--same-session"]);
    assert_eq!(comparison.counts, plain.counts);
}
