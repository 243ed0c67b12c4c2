//! What is asked for on the command line: which metrics, from which change on, and how much of it is shown.

use std::process::ExitCode;

use bench_diff::compare::Verdict;
use serde_json::{Value, json};

use crate::compare_support::{Files, cell, compare_json, run, session};
use crate::{SUCCESS, changed_report, noisy, other_session, report, results_files, usage_error};

fn metrics(files: &Files, flags: &[&str]) -> Vec<String> {
    let mut metrics: Vec<String> = compare_json(files, flags).rows.into_iter().map(|row| row.metric).collect();
    metrics.dedup();
    metrics
}

/// Tables head `decode_throughput` as `decode`.
#[test]
fn a_metric_may_be_called_as_tables_call_it() {
    let files = Files::new(&report(|_, _| 1.0).as_array().unwrap()[..3].into(), &changed_report());
    assert_eq!(metrics(&files, &["--metric", "decode"]), ["decode_throughput"]);
    assert_eq!(metrics(&files, &["--metric", "ttft", "--metric", "peak memory"]), ["ttft", "peak_memory"]);
    let json = compare_json(&files, &["--metric", "TTFT", "--noise-threshold", "TTFT=40", "--same-session"]);
    assert!(json.rows.iter().all(|row| row.noise_threshold == 0.4), "{:?}", json.rows);
}

#[test]
fn a_files_own_metric_keeps_its_name() {
    let own = |level| json!([{"case": "a", "metric": "decode", "unit": "ms", "better": "lower", "samples": noisy(level, 0.001)}]);
    assert_eq!(metrics(&Files::new(&own(1.0), &own(1.0)), &["--metric", "decode"]), ["decode"]);
}

#[test]
fn a_mistyped_metric_has_a_hint() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    for flags in [["--metric", "ttfd"], ["--noise-threshold", "ttfd=3"]] {
        let (exit, _, err) = run(&files, &flags);
        assert_eq!(exit, usage_error());
        assert!(err.contains("holds the metric `ttfd`\n  hint: did you mean `ttft`?"), "{err}");
    }
}

/// `all` is for the metrics that aren't named.
#[test]
fn a_noise_threshold_may_be_for_all_metrics() {
    let files = Files::new(&report(|_, _| 1.0), &changed_report());
    let at = |flags: &[&str]| compare_json(&files, &[&["--same-session"], flags].concat());
    assert_eq!(at(&[]).verdict, Verdict::Regressed);
    assert_eq!(at(&["--noise-threshold", "all=50"]).verdict, Verdict::Unchanged);
    let mixed = at(&["--margin", "all=50", "--noise-threshold", "ttft=1"]);
    let of = |metric: &str| mixed.rows.iter().find(|row| row.metric.as_str() == metric).unwrap().noise_threshold;
    assert_eq!((of("ttft"), of("decode_throughput"), of("peak_memory")), (0.01, 0.5, 0.5));
}

/// Base and head of each session share its level: what the sessions differ by is no noise.
#[test]
fn interleaved_sessions_of_samples_are_blocks() {
    let side = |change: f64| {
        json!([{"case": "a", "metric": "ttft", "sessions": [
        noisy(100.0 * change, 0.002), noisy(130.0 * change, 0.002), noisy(80.0 * change, 0.002)]}])
    };
    let comparison = compare_json(&Files::new(&side(1.0), &side(1.03)), &["--same-session"]);
    let row = &comparison.rows[0];
    assert_eq!(row.verdict, Verdict::Regressed, "{row:?}");
    let [low, high] = row.interval.unwrap();
    assert!(0.02 < low && low < 0.03 && 0.03 < high && high < 0.04, "{row:?}");
    assert_eq!(comparison.warnings, [""; 0], "when they were measured doesn't matter");
}

#[test]
fn interleaved_sessions_are_found_by_their_places() {
    let side =
        |sessions: usize| json!([{"case": "a", "metric": "ttft", "sessions": vec![noisy(100.0, 0.002); sessions]}]);
    let (exit, _, err) = run(&Files::new(&side(3), &side(2)), &["--same-session"]);
    assert_eq!(exit, usage_error());
    assert!(err.contains("base.json has 3 sessions, head.json has 2 sessions\n  hint: give both files"), "{err}");
}

#[test]
fn what_a_side_stands_for_is_shown() {
    let (mut base, mut head) = (session(|_, _| 1.0), other_session(|_, _| 1.0));
    (base.label, head.label) = (Some("v1.2.0".into()), Some("with *flash*".into()));
    let files = results_files(&base, &head);
    let (_, table, _) = run(&files, &[]);
    assert!(table.contains("\nbase v1.2.0 · head with *flash* · ↑ higher"), "{table}");
    let (_, markdown, _) = run(&files, &["--format", "markdown"]);
    assert!(markdown.contains("\nbase v1.2.0 · head with \\*flash\\* · ↑ higher"), "{markdown}");
    let printed: Value = serde_json::from_str(&run(&files, &["--format", "json"]).1).unwrap();
    assert_eq!((&printed["base_label"], &printed["head_label"]), (&json!("v1.2.0"), &json!("with *flash*")));
    let (_, unlabelled, _) = run(&results_files(&session(|_, _| 1.0), &other_session(|_, _| 1.0)), &[]);
    assert!(unlabelled.contains("\n↑ higher"), "{unlabelled}");
}

/// GitHub refuses comments of more than 65,536 characters.
#[test]
fn markdown_can_be_posted_however_much_there_is() {
    let side = |change: f64| -> Value {
        let cases = 0..3000;
        cases
            .map(|index| cell(&format!("a long name of a case/{index}"), "ttft", noisy(100.0 * change, 0.002)))
            .collect()
    };
    let (exit, out, _) = run(&Files::new(&side(1.0), &side(1.1)), &["--same-session", "--format", "markdown"]);
    assert_eq!(exit, SUCCESS);
    assert!(out.len() < 65_536 && out.contains(" more with `--format csv`.*"), "{} bytes", out.len());
}

/// Samples of another tool have no baseline, and nothing of ours runs them.
#[test]
fn advice_for_samples_is_about_samples() {
    let side = |change: f64| json!([cell("a", "ttft", noisy(100.0 * change, 0.02))]);
    let files = Files::new(&side(1.0), &side(1.03));
    let next = |flags: &[&str]| {
        let (exit, out, _) = run(&files, flags);
        assert_eq!(exit, ExitCode::SUCCESS);
        out.split_once("\nNext:\n").map(|(_, next)| next.lines().next().unwrap_or_default().trim().to_owned())
    };
    assert_eq!(
        next(&[]).unwrap(),
        "to be sure, measure base and head in turn and compare with `--same-session`, or give 4 more sessions of the base, at least 6 hours apart, as `sessions`."
    );
    let more = next(&["--same-session"]).unwrap();
    assert!(
        more.starts_with("to settle what is inconclusive, take ") && more.ends_with(" samples per side."),
        "{more}"
    );
}
